"""Shards to annotated shards: fill the 17 AU columns, through any annotator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from . import shards
from .action_units import COLUMNS, COUNT
from .errors import NothingUsable, WrongUse


@dataclass(frozen=True)
class Crop:
    """What an annotator is given of a face."""

    key: str
    source: str
    """The photograph's path below the folder that was prepared."""
    image: bytes
    """The crop, as a JPEG file."""
    box: tuple[int, int, int, int]
    """The HOG box in the photograph: left, top, right, bottom."""


@dataclass(frozen=True)
class Reading:
    """What an annotator says of a face: AUs, or the reason why not."""

    aus: np.ndarray | None
    """(17,) float32, 0-5, in the order of action_units.NUMBERS; None with an error."""
    confidence: float | None = None
    """0-1, how far the annotator trusts itself; None if it does not say."""
    error: str | None = None


class Annotator(Protocol):
    """Anything that reads AUs from crops."""

    @property
    def name(self) -> str:
        """Name and version, written beside every row."""

    @property
    def batch(self) -> int:
        """How many crops it wants at a time."""

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """One reading a crop, in order. A bad crop is a reading with an error."""


@dataclass(frozen=True)
class Summary:
    """How a run of annotate ended, in faces over the whole shard set."""

    annotated: int
    failed: int
    skipped: int
    """Faces an earlier run had answered, with AUs or a reason."""


def annotate(
    folder: Path,
    annotator: Annotator,
    overwrite: bool = False,
    on_start: Callable[[int, int], None] = lambda total, skipped: None,
    on_face: Callable[[str], None] = lambda status: None,
) -> Summary:
    """Fill the AUs of every face in the shards of `folder` that has none yet.

    Each shard is replaced whole when all its faces are answered, so a second call goes on at
    the shard where the first was stopped. `overwrite` does every face again. Raises WrongUse
    where there are no shards, or where faces were annotated by another annotator.
    """
    paths = shards.shard_paths(folder)
    manifest = shards.read_manifest(folder)
    todo_of, total = {}, 0
    for path in paths:
        todo_of[path], faces = _todo(path, annotator.name, overwrite)
        total += faces
    skipped = total - sum(len(todo) for todo in todo_of.values())
    on_start(total, skipped)
    for path, todo in todo_of.items():
        if todo:
            shards.write_shard(path, _annotate_shard(path, todo, annotator, on_face))
    counts = shards.write_manifest(folder, manifest["settings"] if manifest else {})
    summary = Summary(counts.get(shards.OK, 0), counts.get(shards.NO_AUS, 0), skipped)
    if not summary.annotated:
        raise NothingUsable(
            f"{annotator.name} gave no face in {folder} its action units. The reasons stand in "
            "the column `error` of the shards."
        )
    return summary


def _todo(path: Path, name: str, overwrite: bool) -> tuple[list[int], int]:
    """The rows of a shard that have a crop and no answer yet, and how many have a crop."""
    table = shards.read_shard(path, ["status", "annotator"])
    rows, faces = [], 0
    for index, (status, earlier) in enumerate(
        zip(table["status"].to_pylist(), table["annotator"].to_pylist(), strict=True)
    ):
        if status not in (shards.OK, shards.NO_AUS):
            continue
        faces += 1
        if earlier is None or overwrite:
            rows.append(index)
        elif earlier != name:
            raise WrongUse(
                f"{path.parent} holds AUs by {earlier}; labels by {name} must not mix with them. "
                "Go on with the same annotator, or do all faces again with --overwrite."
            )
    return rows, faces


def _annotate_shard(
    path: Path, todo: list[int], annotator: Annotator, on_face: Callable[[str], None]
) -> pa.Table:
    rows = shards.read_shard(path).to_pylist()
    for start in range(0, len(todo), annotator.batch):
        indices = todo[start : start + annotator.batch]
        readings = annotator.read([_crop(rows[index]) for index in indices])
        for index, reading in zip(indices, readings, strict=True):
            rows[index].update(_columns(reading, annotator.name))
            on_face(rows[index]["status"])
    return shards.rows_to_table(rows)


def _crop(row: dict) -> Crop:
    return Crop(row["key"], row["source"], row["image"]["bytes"], tuple(row["box"]))


def _columns(reading: Reading, name: str) -> dict:
    aus = [None] * COUNT if reading.aus is None else [float(value) for value in reading.aus]
    return dict(zip(COLUMNS, aus, strict=True)) | {
        "au_confidence": reading.confidence,
        "annotator": name,
        "status": shards.OK if reading.aus is not None else shards.NO_AUS,
        "error": reading.error,
    }
