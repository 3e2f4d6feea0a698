"""One process of FaceLandmarkImg over a batch of crops."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..annotator import Crop, Reading
from .concurrency import Permit
from .crops import reading_of, write_pictures
from .output import BadCsv, read_csv
from .process import Failure, Program
from .workspace import make_folders, workspace

ARGUMENTS = ["-fdir", "{in}", "-aus", "-2Dfp", "-out_dir", "{out}"]

# OpenFace opens this file of a picture before it reads the picture, and the CSV after.
_DETAILS = "_of_details.txt"


@dataclass(frozen=True)
class BatchResult:
    """What one process read of a batch. Crops are named by their index."""

    readings: dict[int, Reading]
    """Of every crop if the process finished; otherwise of those it had finished."""
    started: set[int]
    """The crops whose picture OpenFace opened."""
    failure: Failure | None = None
    """Why the process did not finish."""
    seconds: float = 0.0
    """Time from the first file that OpenFace wrote to the last: without loading its models."""


def run_batch(
    program: Program,
    crops: dict[int, Crop],
    min_confidence: float,
    idle_timeout: float,
    stop: threading.Event,
    semaphore: threading.Semaphore,
    size: int = 0,
    before_start: Callable[[], None] = lambda: None,
) -> BatchResult:
    """Read the AUs of crops by one process of FaceLandmarkImg.

    crops: by their index in the caller's batch. Crops that cannot be decoded are not given to
    OpenFace, and no process is started if none is left.
    min_confidence: faces with a lower confidence (0-1) are read with an error.
    idle_timeout: seconds without output after which the process is killed.
    semaphore: limits the processes that read at once.
    size: how many bytes of pictures must fit in memory for the workspace to be made there.
    before_start: called just before the process is started.
    Raises Stopped once `stop` is set, and WrongUse if the program does not start.
    """
    with workspace(size) as folder:
        inputs, outputs = make_folders(folder)
        sizes = write_pictures(inputs, crops)
        undecodable = Reading(None, error="the crop is no readable picture")
        readings = {index: undecodable for index in crops if index not in sizes}
        if not sizes:
            return BatchResult(readings, set())
        before_start()
        permit = Permit(semaphore, len(sizes))

        def on_output(names: set[str]) -> None:
            _delete_finished(inputs, names)
            permit.update(sum(name.endswith(_DETAILS) for name in names))

        try:
            failure = program.execute(ARGUMENTS, folder, idle_timeout, stop, on_output)
        finally:
            permit.release()
        times = {path.name: path.stat().st_mtime for path in outputs.iterdir()}
        started = {index for index in sizes if f"{index:05d}{_DETAILS}" in times}
        for index, (height, width) in sizes.items():
            path = outputs / f"{index:05d}.csv"
            if path.name in times:
                try:
                    faces = read_csv(path)
                except BadCsv as reason:
                    if failure is None:  # otherwise the process ended while it wrote this file
                        readings[index] = Reading(None, error=str(reason))
                else:
                    readings[index] = reading_of(faces, height, width, min_confidence)
            elif failure is None:
                what = "found no face in the crop" if index in started else "skipped the crop"
                readings[index] = Reading(None, error=f"OpenFace {what}")
        seconds = max(times.values(), default=0.0) - min(times.values(), default=0.0)
        return BatchResult(readings, started, failure, seconds)


def _delete_finished(inputs: Path, names: set[str]) -> None:
    """Delete the pictures that have a CSV, to free their memory."""
    for name in names:
        if name.endswith(".csv"):
            (inputs / name).with_suffix(".bmp").unlink(missing_ok=True)
