"""Shards to annotated shards: fill the 17 AU columns, through any annotator."""

import contextlib
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from .. import shards
from ..action_units import COLUMNS, COUNT
from ..annotator import Annotator, Crop, Reading
from ..errors import NothingUsable, WrongUse
from ..execution import pool
from ..files import locked
from .redo import Redo, begin

CLUSTER_WORKERS = 16
"""Batches are sized for so many workers of a cluster, whose number can change."""
_AHEAD = 8
"""Batches each worker of a cluster may be ahead of the oldest unanswered one."""


@dataclass(frozen=True)
class Summary:
    """How a run of annotate ended, in faces over the whole shard set."""

    annotated: int
    failed: int
    skipped: int
    """Faces an earlier run had answered, with AUs or a reason."""
    read: int = 0
    """Faces this run asked the annotator about."""
    seconds: float = field(default=0.0, compare=False)
    """How long that took."""

    @property
    def rate(self) -> float:
        """Faces read a second."""
        return self.read / max(self.seconds, 1e-6)


@dataclass(frozen=True)
class Face:
    """A crop, and the row of the shard it stands in."""

    shard: Path
    row: int
    crop: Crop


Item = TypeVar("Item")
Read = Callable[[list[Face]], list[Reading]]
Answers = Generator[tuple[list[Face], list[Reading]], None, None]


def _on_cluster(scheduler: str, read: Read, batches: Iterable[list[Face]]) -> Answers:
    """Read batches by the workers of a Dask cluster, whose scheduler is at that address."""
    for batch, readings in pool.run(read, batches, scheduler=scheduler, ahead=_AHEAD):
        if isinstance(readings, pool.Crashed):
            raise WrongUse(
                f"Worker after worker of {scheduler} died over the same {len(batch)} faces: "
                f"{readings}. Look at the workers' logs; the same command goes on."
            )
        yield batch, readings


def annotate(
    folder: Path,
    annotator: Annotator,
    overwrite: bool = False,
    redo_below: float | None = None,
    scheduler: str | None = None,
    on_start: Callable[[int, int], None] = lambda total, skipped: None,
    on_face: Callable[[str], None] = lambda status: None,
) -> Summary:
    """Fill the AUs of every face in the shards of `folder` that has none yet.

    Each shard is replaced whole when all its faces are answered, and when we are stopped, with
    the answers there are; so a second call goes on where the first was stopped. `overwrite` does
    every face again, `redo_below` those with less confidence (0-1) and those without AUs.

    Batches are read as the annotator runs them on this machine, or by the Dask cluster whose
    `scheduler` is at that address. Raises WrongUse where there are no shards, or where faces were
    annotated by another annotator.
    """
    shards.shard_paths(folder)
    with locked(folder):
        return _annotate(folder, annotator, overwrite, redo_below, scheduler, on_start, on_face)


def _annotate(
    folder: Path,
    annotator: Annotator,
    overwrite: bool,
    redo_below: float | None,
    scheduler: str | None,
    on_start: Callable[[int, int], None],
    on_face: Callable[[str], None],
) -> Summary:
    began = time.monotonic()
    paths = shards.shard_paths(folder)
    manifest = shards.read_manifest(folder)
    redo = begin(folder, annotator.name, overwrite, redo_below)
    todo_of, total = {}, 0
    for path in paths:
        todo_of[path], faces = _todo(path, annotator.name, redo)
        total += faces
    left = sum(len(todo) for todo in todo_of.values())
    on_start(total, total - left)
    being_read = _ShardsBeingRead(todo_of, annotator.name, redo)
    if scheduler is not None:
        annotator, workers = annotator.for_cluster(), CLUSTER_WORKERS
    else:
        workers = annotator.workers
    batches = batched(being_read.faces(), batch_size(left, annotator.batch, workers))
    read = partial(read_faces, annotator)
    answers = (
        annotator.run(read, batches) if scheduler is None else _on_cluster(scheduler, read, batches)
    )
    with contextlib.closing(being_read), contextlib.closing(answers):
        for batch, readings in answers:
            for face, reading in zip(batch, readings, strict=True):
                on_face(being_read.answer(face, reading))
    redo.end()
    counts = shards.write_manifest(folder, manifest["settings"] if manifest else {})
    summary = Summary(
        counts.get(shards.OK, 0),
        counts.get(shards.NO_AUS, 0),
        total - left,
        left,
        time.monotonic() - began,
    )
    if not summary.annotated:
        raise NothingUsable(
            f"{annotator.name} gave no face in {folder} its action units. The reasons stand in "
            "the column `error` of the shards."
        )
    return summary


def read_faces(annotator: Annotator, faces: list[Face]) -> list[Reading]:
    """What an annotator says of the crops of some faces, in order."""
    return annotator.read([face.crop for face in faces])


def batch_size(faces: int, most: int, workers: int) -> int:
    """How many faces make a batch: as many for each worker, `most` at most.

    To begin a batch may cost as much as some crops, so few faces are not divided further than
    into thirds of `most`.
    """
    rounds = math.ceil(faces / (most * workers))
    return max(math.ceil(faces / max(1, rounds * workers)), most // 3, 1)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items, `size` at a time."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


class _ShardsBeingRead:
    """Rows of shards whose faces are out for reading; a shard is written when all are back."""

    def __init__(self, todo_of: dict[Path, list[int]], annotator: str, redo: Redo) -> None:
        self._todo_of, self._annotator, self._redo = todo_of, annotator, redo
        self._rows: dict[Path, list[dict[str, Any]]] = {}
        self._left: dict[Path, int] = {}

    def faces(self) -> Iterator[Face]:
        """All faces that are to be read; a shard is loaded when its first one is asked for."""
        for path, todo in self._todo_of.items():
            if todo:
                self._rows[path] = rows = shards.read_shard(path).to_pylist()
                self._left[path] = len(todo)
                for index in todo:
                    yield Face(path, index, _crop(rows[index]))

    def answer(self, face: Face, reading: Reading) -> str:
        """Take a reading in; the face's new status."""
        row = self._rows[face.shard][face.row]
        row.update(_columns(reading, self._annotator))
        self._left[face.shard] -= 1
        if not self._left[face.shard]:
            self._write(face.shard)
            self._redo.finished(face.shard)
        return row["status"]

    def close(self) -> None:
        """Stopped before the end, keep the answers that are there."""
        for path in list(self._rows):
            if self._left[path] < len(self._todo_of[path]):
                self._write(path)

    def _write(self, path: Path) -> None:
        shards.write_shard(path, shards.rows_to_table(self._rows[path]))
        del self._rows[path]


def _todo(path: Path, name: str, redo: Redo) -> tuple[list[int], int]:
    """The rows of a shard whose crop is to be read, and how many have a crop."""
    columns = ["status", "annotator", "au_confidence"]
    rows, faces = [], 0
    for index, row in enumerate(shards.read_shard(path, columns).to_pylist()):
        if row["status"] not in (shards.OK, shards.NO_AUS):
            continue
        faces += 1
        earlier = row["annotator"]
        if earlier not in (None, name) and not redo.overwrite:
            raise WrongUse(
                f"{path.parent} holds AUs by {earlier}; labels by {name} must not mix with them. "
                "Go on with the same annotator, or do all faces again with --overwrite."
            )
        has_aus = row["status"] == shards.OK
        if earlier is None or redo.asks_for(path, has_aus, row["au_confidence"]):
            rows.append(index)
    return rows, faces


def _crop(row: dict[str, Any]) -> Crop:
    return Crop(row["key"], row["source"], row["image"]["bytes"], tuple(row["box"]))


def _columns(reading: Reading, name: str) -> dict[str, Any]:
    aus = [None] * COUNT if reading.aus is None else [float(value) for value in reading.aus]
    return dict(zip(COLUMNS, aus, strict=True)) | {
        "au_confidence": reading.confidence,
        "annotator": name,
        "status": shards.OK if reading.aus is not None else shards.NO_AUS,
        "error": reading.error,
    }
