"""Which faces of a shard set are to be annotated, and the shards in which some are annotated."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import shards
from ..action_units import COLUMNS, COUNT
from ..annotator import Crop, Reading
from ..errors import WrongUse
from .reannotation import Reannotation


@dataclass(frozen=True)
class Face:
    """A crop, and where it is in the shard set."""

    shard: Path
    row: int
    crop: Crop


class ShardsInProgress:
    """The shards whose faces are being annotated.

    A shard is loaded when its first face is requested, and written when its last face is
    annotated. Faces may be annotated in any order.
    """

    def __init__(
        self, rows: dict[Path, list[int]], annotator: str, reannotation: Reannotation
    ) -> None:
        """rows: the rows to annotate, by shard. annotator: its name, written into the rows."""
        self._to_annotate = rows
        self._annotator = annotator
        self._reannotation = reannotation
        self._rows: dict[Path, list[dict[str, Any]]] = {}
        self._left: dict[Path, int] = {}

    def faces(self) -> Iterator[Face]:
        """All faces to annotate, in the order of the shards."""
        for path, indices in self._to_annotate.items():
            if indices:
                self._rows[path] = rows = shards.read_shard(path).to_pylist()
                self._left[path] = len(indices)
                for index in indices:
                    row = rows[index]
                    image, box = row["image"]["bytes"], tuple(row["box"])
                    yield Face(path, index, Crop(row["key"], row["source"], image, box))

    def annotate(self, face: Face, reading: Reading) -> str:
        """Write a reading into the face's row; return its new status."""
        row = self._rows[face.shard][face.row]
        row.update(_annotation(reading, self._annotator))
        self._left[face.shard] -= 1
        if not self._left[face.shard]:
            self._write(face.shard)
            self._reannotation.finish_shard(face.shard)
        return row["status"]

    def close(self) -> None:
        """Write the shards of which only some faces are annotated, after an interruption."""
        for path in list(self._rows):
            if self._left[path] < len(self._to_annotate[path]):
                self._write(path)

    def _write(self, path: Path) -> None:
        shards.write_shard(path, shards.rows_to_table(self._rows[path]))
        del self._rows[path]


def find_rows(path: Path, annotator: str, reannotation: Reannotation) -> tuple[list[int], int]:
    """Find the rows of a shard that are to be annotated; also return how many rows have a crop.

    Raises WrongUse if another annotator has annotated faces of the shard, unless these are
    overwritten.
    """
    columns = ["status", "annotator", "au_confidence"]
    to_annotate, faces = [], 0
    for index, row in enumerate(shards.read_shard(path, columns).to_pylist()):
        if row["status"] not in (shards.OK, shards.NO_AUS):
            continue
        faces += 1
        has_aus = row["status"] == shards.OK
        earlier = row["annotator"]
        if earlier not in (None, annotator) and not has_aus:
            earlier = None  # what another annotator could not read is read again
        if earlier not in (None, annotator) and not reannotation.overwrite:
            raise WrongUse(
                f"{path.parent} has AUs by {earlier}, which must not be mixed with AUs by "
                f"{annotator}. Use the same annotator, or annotate all faces again with "
                "--overwrite."
            )
        if earlier is None or reannotation.includes(path, has_aus, row["au_confidence"]):
            to_annotate.append(index)
    return to_annotate, faces


def _annotation(reading: Reading, annotator: str) -> dict[str, Any]:
    """The columns of a row that annotation fills."""
    aus = [None] * COUNT if reading.aus is None else [_value(float(au)) for au in reading.aus]
    return dict(zip(COLUMNS, aus, strict=True)) | {
        "au_confidence": reading.confidence,
        "annotator": annotator,
        "status": shards.OK if reading.aus is not None else shards.NO_AUS,
        "error": reading.error,
    }


def _value(au: float) -> float | None:
    """An AU as it is in the shards: null if it is not known."""
    return None if math.isnan(au) else au
