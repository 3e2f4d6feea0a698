"""The annotator that reads AUs by OpenFace 2.0."""

import shutil
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..annotator import Annotator, Batch, Crop, Reading, Result
from ..errors import WrongUse
from . import workspace
from .batch import BatchResult, run_batch
from .crops import MAX_BYTES
from .output import MIN_CONFIDENCE, BadCsv, read_csv
from .process import Program, Stopped, find_program
from .retry import read_with_retries
from .self_test import run_self_test

# To start takes OpenFace 0.4 s for its models and a container about 0.5 s; a crop takes 25 ms.
_MAX_BATCH = 1000
_MIN_BATCH = 400
# Of all workers together: their pictures, of 0.4 MB each, are in memory.
_MAX_BATCHES_SUM = 4000


class OpenFace(Annotator):
    """The annotator that runs OpenFace. `find_openface` makes one."""

    reads_clips = True

    def __init__(
        self,
        program: Program,
        min_confidence: float = MIN_CONFIDENCE,
        workers: int = 1,
        idle_timeout: float = 60.0,
    ) -> None:
        """min_confidence: faces with a lower confidence (0-1) are read with an error.
        workers: how many processes read at once.
        idle_timeout: seconds without output after which a process is considered hung and killed.
        """
        self.program = program
        self.name = f"openface {program.label}"
        self.min_confidence = min_confidence
        self.workers = workers
        self.idle_timeout = idle_timeout
        self.batch = max(_MIN_BATCH, min(_MAX_BATCH, _MAX_BATCHES_SUM // workers))
        self.seconds_reading = 0.0
        """How long all processes read pictures; the time to start them is not counted."""
        self._works = False
        self._self_test: Future[None] | None = None
        """The self-test that `run` has started beside the first batches."""
        self._lock = threading.RLock()
        self._semaphore = threading.BoundedSemaphore(workers)
        self._stop = threading.Event()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.program, self.min_confidence, self.workers, self.idle_timeout)

    def for_cluster(self) -> "OpenFace":
        """The same with one run at a time, and with batches as large as here."""
        single = OpenFace(self.program, self.min_confidence, 1, self.idle_timeout)
        single.batch = self.batch
        return single

    def summary(self, seconds: float) -> str:
        """The share of the time in which OpenFace read no crop; empty if it was not run here."""
        if not self.seconds_reading:
            return ""
        idle = max(0.0, 1 - self.seconds_reading / (seconds * self.workers))
        return f"OpenFace read no crop in {idle:.1%} of the time"

    def run(
        self, read: Callable[[Batch], Result], batches: Iterable[Batch]
    ) -> Generator[tuple[Batch, Result], None, None]:
        """Apply `read`, which calls `self.read`, to batches; yield each with its result, as they
        complete.

        There are two threads per worker: while OpenFace reads the batch of one, the other writes
        pictures or parses CSVs. The self-test runs beside the first batches. If it fails, or the
        caller closes this generator, all processes are killed.
        """
        pending: dict[Future[Result], Batch] = {}
        try:
            threads = 2 * self.workers
            with ThreadPoolExecutor(threads + 1) as pool:
                try:
                    for batch in batches:
                        if self._self_test is None:
                            self._self_test = pool.submit(self._check_or_stop)
                        pending[pool.submit(read, batch)] = batch
                        if len(pending) == threads:
                            yield from _completed(pending)
                    while pending:
                        yield from _completed(pending)
                except BaseException:
                    self._stop.set()
                    raise
        finally:
            self._self_test = None
            self._stop.clear()

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """Read the AUs of crops: one reading per crop, in order.

        A crop without a face, with a confidence below `min_confidence`, or that OpenFace fails on
        gets a reading with an error. Raises WrongUse if OpenFace itself does not work.
        """
        return read_with_retries(self.program, crops, self._run_batch)

    def check(self) -> None:
        """Run the self-test, the first time this is called. Raises WrongUse if it fails."""
        with self._lock:
            if not self._works:
                run_self_test(self.program, self.idle_timeout, self._stop)
                self._works = True

    def check_clips(self) -> None:
        """Raise WrongUse unless FeatureExtraction is in the same folder as FaceLandmarkImg."""
        with workspace.workspace() as folder:
            workspace.make_folders(folder)
            program = self.program.with_name("FeatureExtraction")
            program.execute(["-out_dir", "{out}"], folder, self.idle_timeout, self._stop)

    def read_clip(self, clip: Path, idle_timeout: float = 600.0) -> str:
        """Read a clip by FeatureExtraction, and return its CSV, with one row per frame.

        idle_timeout: as for images, but longer, as FeatureExtraction writes seldom and much.
        Raises BadCsv with the reason if OpenFace cannot read the clip, and WrongUse if there is no
        FeatureExtraction in the same folder as FaceLandmarkImg.
        """
        with workspace.workspace() as folder:
            inputs, outputs = workspace.make_folders(folder)
            # The clip's own name may have characters that an option or a mount would misread.
            name = f"clip{clip.suffix}"
            shutil.copyfile(clip, inputs / name)
            arguments = ["-f", f"{{in}}/{name}", "-aus", "-out_dir", "{out}"]
            program = self.program.with_name("FeatureExtraction")
            failure = program.execute(arguments, folder, idle_timeout, self._stop)
            if failure is not None:
                raise BadCsv(f"OpenFace fails on this clip: {failure.reason}")
            read_csv(outputs / "clip.csv")
            return (outputs / "clip.csv").read_text()

    def _check_or_stop(self) -> None:
        try:
            self.check()
        except BaseException:
            self._stop.set()
            raise

    def _run_batch(self, crops: dict[int, Crop]) -> BatchResult:
        """Run one process, after the self-test or, within `run`, beside it."""
        self_test = self._self_test
        try:
            result = run_batch(
                self.program,
                crops,
                self.min_confidence,
                self.idle_timeout,
                self._stop,
                self._semaphore,
                2 * self.workers * MAX_BYTES,
                before_start=self.check if self_test is None else lambda: None,
            )
        except (Stopped, WrongUse):
            if self_test is not None:
                self_test.result()  # raises the error of the self-test, which is the cause
            raise
        if self_test is not None:
            self_test.result()
        with self._lock:
            self.seconds_reading += result.seconds
        return result


def find_openface(
    min_confidence: float = MIN_CONFIDENCE, workers: int = 1, **program: Any
) -> OpenFace:
    """Find OpenFace, remove what killed processes of it left, and make the annotator.

    program: the arguments of `find_program`, which also documents the errors raised.
    """
    found = find_program(**program)
    _remove_abandoned(found)
    return OpenFace(found, min_confidence, workers)


@lru_cache(maxsize=1)
def _unpickle(
    program: Program, min_confidence: float, workers: int, idle_timeout: float
) -> OpenFace:
    """The annotator on a worker of a cluster. It is pickled with each batch; the cache keeps one
    instance per worker, so that the self-test runs once."""
    _remove_abandoned(program)
    return OpenFace(program, min_confidence, workers, idle_timeout)


def _remove_abandoned(program: Program) -> None:
    if program.image is not None:
        program.image.remove_abandoned()
    workspace.remove_abandoned()


def _completed(pending: dict[Future[Result], Batch]) -> Iterator[tuple[Batch, Result]]:
    """Wait for at least one future; remove and yield those that are completed."""
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        batch = pending.pop(future)
        yield batch, future.result()
