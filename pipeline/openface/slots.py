"""How many runs work at once, with the start of each hidden behind the end of another."""

import threading
import time


class Slot:
    """One of the runs that may work at once. The next may start as long before this one's end as
    this one took to start, which is spent waiting."""

    def __init__(self, slots: threading.Semaphore, pictures: int) -> None:
        slots.acquire()
        self._slots: threading.Semaphore | None = slots
        self._pictures = pictures
        self._taken = time.monotonic()
        self._first: tuple[float, int] | None = None

    def look(self, begun: int) -> None:
        """Take note of how many pictures are begun by now."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, begun
            return
        first, begun_then = self._first
        pace = (now - first) / max(1, begun - begun_then)
        if (self._pictures - begun) * pace <= first - self._taken:
            self.free()

    def free(self) -> None:
        """Let the next one start."""
        if self._slots is not None:
            self._slots.release()
        self._slots = None
