"""The limit on how many OpenFace processes read pictures at once."""

import threading
import time


class Permit:
    """A permit of a semaphore, held by one OpenFace process.

    The permit is released before the process ends: as many seconds earlier as the process took to
    start. The next process then loads its models while this one reads its last pictures.
    """

    def __init__(self, semaphore: threading.Semaphore, pictures: int) -> None:
        """Acquire the permit; this blocks until one is free. pictures: how many will be read."""
        semaphore.acquire()
        self._semaphore: threading.Semaphore | None = semaphore
        self._pictures = pictures
        self._acquired = time.monotonic()
        self._first_update: tuple[float, int] | None = None

    def update(self, started: int) -> None:
        """Report that `started` pictures have been opened; this may release the permit."""
        now = time.monotonic()
        if self._first_update is None:
            self._first_update = now, started
            return
        first_time, first_started = self._first_update
        seconds_per_picture = (now - first_time) / max(1, started - first_started)
        seconds_left = (self._pictures - started) * seconds_per_picture
        if seconds_left <= first_time - self._acquired:
            self.release()

    def release(self) -> None:
        """Release the permit, if it is still held."""
        if self._semaphore is not None:
            self._semaphore.release()
        self._semaphore = None
