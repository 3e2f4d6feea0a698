"""Which photographs show one person under the same conditions, and known landmarks of their faces.

Both come from the command line: `folder`, or tables that name photographs by their path.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import WrongUse
from ..matching import Ambiguous, PhotographMatcher, entry_path
from .names import source_name
from .tables import read_csv, read_parquet, texts

Value = TypeVar("Value")

FOLDER = "folder"
"""The value of --series by which the photographs of each folder are one series."""
_POINTS = (68, 478)
"""The numbers of landmarks in dlib's scheme and in MediaPipe's face mesh with irises."""


@dataclass(frozen=True)
class SeriesAndLandmarks:
    """What is known about the photographs below the source folder."""

    series: Mapping[str, str]
    """The series of those that have one, by their names in the shards."""
    landmarks: Mapping[str, np.ndarray]
    """(points, 2) of those that have landmarks, in pixels of the upright photograph."""
    recorded: dict[str, str | None]
    """The settings `series` and `landmarks` as the manifest has them: of a table, a hash of what it
    says, not its path."""


def load_series_and_landmarks(
    series: str | None,
    landmarks: str | None,
    photographs: Sequence[str],
    folder: str | None = None,
) -> SeriesAndLandmarks:
    """Read what --series and --landmarks say about photographs.

    series: `folder`, or the path of a table, .csv or .parquet, with the columns `photo` and
    `series`.
    landmarks: the path of a .parquet with the columns `photo` and `landmarks`.
    photographs: the paths of all photographs below the source folder.
    folder: the source folder, which a table may name in front of the paths.

    Raises WrongUse if a table cannot be read, lacks a column, contradicts itself, or names none of
    the photographs.
    """
    names = [source_name(path) for path in photographs]
    recorded: dict[str, str | None] = {"series": None, "landmarks": None}
    series_of: Mapping[str, str] = {}
    landmarks_of: Mapping[str, np.ndarray] = {}
    if series == FOLDER:
        series_of = {
            name: source_name(str(PurePosixPath(path).parent))
            for name, path in zip(names, photographs, strict=True)
        }
        recorded["series"] = FOLDER
    elif series is not None:
        table = _read_series(Path(series))
        recorded["series"] = f"table {_hash(sorted(table.items()))}"
        series_of = _match(Path(series), table, names, folder)
    if landmarks is not None:
        points = _read_landmarks(Path(landmarks))
        ordered = sorted(points)
        values = b"".join(points[name].astype(np.float32).tobytes() for name in ordered)
        recorded["landmarks"] = f"table {_hash(ordered, values)}"
        landmarks_of = _match(Path(landmarks), points, names, folder)
    return SeriesAndLandmarks(series_of, landmarks_of, recorded)


def _match(
    path: Path, table: Mapping[str, Value], names: Sequence[str], folder: str | None
) -> dict[str, Value]:
    """The values of a table by the names of the photographs. Raises WrongUse if there are none."""
    matcher = PhotographMatcher(names, table, folder)
    found = {}
    for name in names:
        try:
            entry = matcher.find(name)
        except Ambiguous:
            continue
        if entry is not None:
            found[name] = table[entry]
    if not found:
        example = next(iter(table), None)
        raise WrongUse(
            f"{path} names none of the {len(names)} photographs below --src"
            + (f", such as {names[0]}" if names else "")
            + ". Its column photo must hold their paths below that folder; "
            + (f"it begins with {example}." if example else "it is empty.")
        )
    return found


def _read_series(path: Path) -> dict[str, str]:
    """The series of each photograph in a table; those without a series are left out."""
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise WrongUse(
            f"--series {path} is not a table. Give '{FOLDER}', or a .csv or .parquet with the "
            "columns photo and series."
        )
    rows: Iterable[Sequence[str | None]]
    if suffix == ".csv":
        rows = read_csv(path, ["photo", "series"])
    else:
        table = read_parquet(path, ["photo", "series"])
        rows = zip(*(texts(path, table, name) for name in ("photo", "series")), strict=True)
    series_of: dict[str, str] = {}
    for photo, series in rows:
        if photo and series and series_of.setdefault(entry_path(photo), series) != series:
            raise WrongUse(
                f"{path} names the photograph {photo} in two series, "
                f"{series_of[entry_path(photo)]} and {series}. Leave one."
            )
    return series_of


def _read_landmarks(path: Path) -> dict[str, np.ndarray]:
    """The landmarks (points, 2) of each photograph in a table; those without any are left out."""
    if path.suffix.lower() != ".parquet":
        raise WrongUse(
            f"--landmarks {path} is not a .parquet. Give one with the columns photo and landmarks."
        )
    table = read_parquet(path, ["photo", "landmarks"])
    table = table.filter(pc.and_(*(pc.is_valid(table[name]) for name in ("photo", "landmarks"))))
    column, photos = table["landmarks"], texts(path, table, "photo")
    if not _is_list_of_numbers(column.type):
        raise WrongUse(
            f"The column landmarks of {path} holds {column.type}. It must hold lists of numbers: x "
            "and y of each point in turn."
        )
    counts = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(counts) != 1 or counts[0] not in [2 * points for points in _POINTS]:
        found = ", ".join(str(count) for count in sorted(counts)[:4]) or "no"
        raise WrongUse(
            f"The lists of landmarks in {path} hold {found} numbers. All must hold x and y of "
            f"{_POINTS[0]} points of dlib's scheme, or all of {_POINTS[1]} of MediaPipe's."
        )
    values = np.concatenate([part.flatten().to_numpy(False) for part in column.chunks])
    points = values.reshape(len(photos), -1, 2)
    found_points = {
        entry_path(photo): one for photo, one in zip(photos, points, strict=True) if photo
    }
    if len(found_points) < len(photos):
        raise WrongUse(
            f"{path} has several rows of landmarks for one photograph. Leave the row of its "
            "largest face."
        )
    return found_points


def _is_list_of_numbers(kind: pa.DataType) -> bool:
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    numbers = (pa.types.is_floating, pa.types.is_integer)
    return any(is_kind(kind) for is_kind in lists) and any(
        is_kind(kind.value_type) for is_kind in numbers
    )


def _hash(content: object, values: bytes = b"") -> str:
    """Sixteen hexadecimal digits of a hash of what a table says."""
    return hashlib.sha256(json.dumps(content).encode() + values).hexdigest()[:16]
