"""AUs by OpenFace 2.0: the annotator that runs it over batches of crops.

One picture can end or hang a whole run, so what a run left unanswered is divided and run again,
until each crop has an answer or has failed alone.
"""

import shutil
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..action_units import NUMBERS
from ..annotator import Annotator, Batch, Crop, Reading, Result
from ..errors import WrongUse
from . import workspace
from .crops import MOST_BYTES, divide_by_room, reading_of, write_pictures
from .output import MIN_CONFIDENCE, BadCsv, read_csv
from .process import Failure, Program, Stopped, find_program
from .slots import Slot

_ARGUMENTS = ["-fdir", "{in}", "-aus", "-2Dfp", "-out_dir", "{out}"]
# To start costs 0.4 s for the models and about 0.5 s for a container, a crop 25 ms.
_BATCH = 1000
_LEAST_BATCH = 400
_IN_HAND = 4000
_DETAILS = "_of_details.txt"
# Three crops that fail one by one, and not one answered: it is not the crops.
_LONE_FAILURES = 3
# A broad smile. Any OpenFace that works sees it.
_PROBE = Path(__file__).with_name("probe.jpg")
_PROBE_AU12 = 0.5
_PROBE_CONFIDENCE = 0.5


@dataclass(frozen=True)
class _Run:
    """What one run of OpenFace left behind."""

    readings: dict[int, Reading]
    begun: set[int]
    """The pictures it wrote anything about."""
    failure: Failure | None


class OpenFace(Annotator):
    """The annotator that runs OpenFace. `find_openface` makes one."""

    def __init__(
        self,
        program: Program,
        min_confidence: float = MIN_CONFIDENCE,
        workers: int = 1,
        silence: float = 60.0,
    ) -> None:
        """min_confidence: faces read with less (0-1) get an error in place of AUs.
        workers: runs at once. silence: seconds without a new answer after which a run hangs.
        """
        self.program = program
        self.name = f"openface {program.label}"
        self.min_confidence = min_confidence
        self.workers = workers
        self.silence = silence
        # A crop's picture has 0.4 MB, and each worker has two batches in hand.
        self.batch = max(_LEAST_BATCH, min(_BATCH, _IN_HAND // workers))
        self.seconds_reading = 0.0
        """How long OpenFace looked at pictures, over all runs; its start is not counted."""
        self._works = False
        self._checking: Future[None] | None = None
        self._lock = threading.RLock()
        self._slots = threading.BoundedSemaphore(workers)
        self._stop = threading.Event()

    def __reduce__(self) -> tuple[Any, ...]:
        return _here, (self.program, self.min_confidence, self.workers, self.silence)

    def for_cluster(self) -> "OpenFace":
        """The same with one run at a time, and with batches as large as here."""
        single = OpenFace(self.program, self.min_confidence, 1, self.silence)
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
        """Apply `read`, which calls our own, to batches; yield as results come.

        Each worker has two batches in hand: the pictures of one are written, and the answers of
        the one before read, while the other is looked at. When the caller stops, so do all runs.
        The first ones begin while the check is still under way, and are given up if it fails.
        """
        waiting: dict[Future[Result], Batch] = {}
        try:
            in_hand = 2 * self.workers
            with ThreadPoolExecutor(in_hand + 1) as pool:
                try:
                    for batch in batches:
                        if self._checking is None:
                            self._checking = pool.submit(self._check_or_stop)
                        waiting[pool.submit(read, batch)] = batch
                        if len(waiting) == in_hand:
                            yield from _finished(waiting)
                    while waiting:
                        yield from _finished(waiting)
                except BaseException:
                    self._stop.set()
                    raise
        finally:
            self._checking = None
            self._stop.clear()

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """One reading a crop, in order.

        A crop that OpenFace finds no face in, is unsure of or fails on is a reading with an
        error. Raises WrongUse where OpenFace itself does not work.
        """
        answers: dict[int, Reading] = {}
        failed: dict[int, Reading] = {}
        queue = [(lot, True) for lot in divide_by_room(crops)]
        while queue:
            indices, retry = queue.pop()
            run = self._run({index: crops[index] for index in indices})
            answers |= run.readings
            left = [index for index in indices if index not in run.readings]
            if run.failure is None or not left:
                continue
            if run.failure.sudden and retry:
                queue.append((left, False))
            elif len(indices) > 1:
                queue += [(lot, False) for lot in _divide(left, run.begun)]
            else:
                reason = f"OpenFace fails on this crop: {run.failure.reason}"
                failed[left[0]] = Reading(None, error=reason)
                if len(failed) == _LONE_FAILURES and not answers:
                    raise self.program.broken("on one crop after the other", run.failure.reason)
        return [(answers | failed)[index] for index in range(len(crops))]

    def check(self) -> None:
        """Raise WrongUse unless OpenFace reads a small known picture as it should; once."""
        with self._lock:
            if self._works:
                return
            probe = Crop("probe", "probe.jpg", _PROBE.read_bytes(), (0, 0, 98, 98))
            run = self._run({0: probe}, is_probe=True)
            if run.failure is not None:
                raise self.program.broken("on a picture it should know", run.failure.reason)
            reading = run.readings[0]
            if reading.aus is None:
                raise self.program.broken("on a picture it should know", f"{reading.error}.")
            if reading.aus[NUMBERS.index(12)] < _PROBE_AU12:
                raise self.program.broken("on a picture it should know", "it sees no smile there.")
            self._works = True

    def _check_or_stop(self) -> None:
        try:
            self.check()
        except BaseException:
            self._stop.set()
            raise

    def check_clips(self) -> None:
        """Raise WrongUse unless FeatureExtraction is there, beside FaceLandmarkImg."""
        with workspace.workspace() as folder:
            _in_and_out(folder)
            program = self.program.beside("FeatureExtraction")
            program.execute(["-out_dir", "{out}"], folder, self.silence, self._stop)

    def read_clip(self, clip: Path, silence: float = 600.0) -> str:
        """The CSV of a clip, a row a frame, as FeatureExtraction writes it: late, in large parts.

        Raises BadCsv with the reason where it could not read the clip, and WrongUse where there
        is no FeatureExtraction beside FaceLandmarkImg.
        """
        with workspace.workspace() as folder:
            inputs, outputs = _in_and_out(folder)
            # A name of our own: theirs may hold what a command line or a mount would misread.
            name = f"clip{clip.suffix}"
            shutil.copyfile(clip, inputs / name)
            arguments = ["-f", f"{{in}}/{name}", "-aus", "-out_dir", "{out}"]
            program = self.program.beside("FeatureExtraction")
            failure = program.execute(arguments, folder, silence, self._stop)
            if failure is not None:
                raise BadCsv(f"OpenFace fails on this clip: {failure.reason}")
            read_csv(outputs / "clip.csv")
            return (outputs / "clip.csv").read_text()

    def _run(self, crops: dict[int, Crop], is_probe: bool = False) -> _Run:
        """OpenFace once over some crops, as files named by their index.

        If it reached its end, every crop has a reading. If not, only those with a CSV, and those
        that are no picture: OpenFace opens `_of_details.txt` before it looks at a picture.
        """
        # Each worker has two batches in hand.
        with workspace.workspace(2 * self.workers * MOST_BYTES) as folder:
            inputs, outputs = _in_and_out(folder)
            sizes = write_pictures(inputs, crops)
            unreadable = Reading(None, error="the crop is no readable picture")
            readings = {index: unreadable for index in crops if index not in sizes}
            if not sizes:
                return _Run(readings, set(), None)
            checking = None if is_probe else self._checking
            if checking is None and not is_probe:
                self.check()
            # One small picture looks beside the others.
            slot = Slot(threading.Semaphore() if is_probe else self._slots, len(sizes))

            def on_look(written: set[str]) -> None:
                _make_room(inputs, written)
                slot.look(sum(name.endswith(_DETAILS) for name in written))

            try:
                failure = self.program.execute(
                    _ARGUMENTS, folder, self.silence, self._stop, on_look
                )
            except (Stopped, WrongUse):
                if checking is not None:
                    checking.result()  # if this is why, it is what to tell
                raise
            finally:
                slot.free()
            if checking is not None:
                checking.result()
            written = {path.name: path.stat().st_mtime for path in outputs.iterdir()}
            with self._lock:
                times = written.values()
                self.seconds_reading += max(times, default=0.0) - min(times, default=0.0)
            begun = {index for index in sizes if f"{index:05d}{_DETAILS}" in written}
            unsure = _PROBE_CONFIDENCE if is_probe else self.min_confidence
            for index, size in sizes.items():
                path = outputs / f"{index:05d}.csv"
                if path.name in written:
                    try:
                        readings[index] = reading_of(read_csv(path), *size, unsure)
                    except BadCsv as reason:
                        if failure is None:  # otherwise it was writing it when it ended
                            readings[index] = Reading(None, error=str(reason))
                elif failure is None:
                    found = "found no face in the crop" if index in begun else "left it out"
                    readings[index] = Reading(None, error=f"OpenFace {found}")
            return _Run(readings, begun, failure)


def find_openface(
    min_confidence: float = MIN_CONFIDENCE, workers: int = 1, **program: Any
) -> OpenFace:
    """The OpenFace annotator; what `program` may say, and what it raises: see `find_program`."""
    found = find_program(**program)
    _sweep(found)
    return OpenFace(found, min_confidence, workers)


@lru_cache(maxsize=1)
def _here(program: Program, min_confidence: float, workers: int, silence: float) -> OpenFace:
    """The OpenFace of this process, where one was sent with each batch; it is checked once."""
    _sweep(program)
    return OpenFace(program, min_confidence, workers, silence)


def _sweep(program: Program) -> None:
    """Remove the containers and folders that a killed run of ours left behind."""
    if program.image is not None:
        program.image.sweep()
    workspace.sweep()


def _make_room(inputs: Path, written: set[str]) -> None:
    """Delete the pictures that are answered; what has to be run again is written again."""
    for name in written:
        if name.endswith(".csv"):
            (inputs / name).with_suffix(".bmp").unlink(missing_ok=True)


def _finished(waiting: dict[Future[Result], Batch]) -> Iterator[tuple[Batch, Result]]:
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        batch = waiting.pop(future)
        yield batch, future.result()


def _in_and_out(folder: Path) -> tuple[Path, Path]:
    inputs, outputs = folder / "in", folder / "out"
    inputs.mkdir()
    outputs.mkdir()
    return inputs, outputs


def _divide(indices: list[int], begun: set[int]) -> list[list[int]]:
    """Two smaller lots: the pictures a broken run had begun and the others, or else halves.

    A picture that crashes or hangs OpenFace is one it had begun, so it is soon cornered.
    """
    first = [index for index in indices if index in begun]
    rest = [index for index in indices if index not in begun]
    if not first or not rest:
        middle = len(indices) // 2
        first, rest = indices[:middle], indices[middle:]
    return [lot for lot in (rest, first) if lot]
