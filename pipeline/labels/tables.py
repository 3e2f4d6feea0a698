"""Labels from tables: one row per face, as text or in Parquet."""

import codecs
import csv
import io
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from .. import parquet
from ..action_units import COLUMNS, COUNT
from ..openface.output import FaceRecord
from .columns import PHOTOGRAPH, POINTS, BadLabels, Columns, find_columns
from .scales import Scale, to_intensity, to_numbers


@dataclass(frozen=True)
class LabelTable:
    """The faces of a table."""

    faces: list[tuple[str | None, FaceRecord]]
    """The photograph's name, None if the table has no column for it, and the face."""
    tool: str
    """`OpenFace` or `py-feat` if the columns show that it wrote the table."""
    scale: Scale
    absent: tuple[int, ...] = ()
    """The positions of the AUs that the table does not have."""


def read_table(path: Path, scale: Scale | None = None) -> LabelTable:
    """Read a table: .parquet, or text with commas, semicolons or tabs, in UTF-8 or UTF-16.

    Rows without a photograph, and those of a face that was not tracked (`success` 0), are left
    out. An AU that is no number is NaN. scale: of the AUs; None: 0-1 for py-feat, otherwise 0-5.
    Raises BadLabels if the file cannot be read, or has no AU.
    """
    try:
        if path.suffix.lower() == ".parquet":
            columns, table = _read_parquet(path)
        else:
            columns, table = _read_text(path)
    except (ValueError, OSError, csv.Error, pa.ArrowException) as error:
        raise BadLabels(f"cannot be read as a table: {error}") from error
    scale = scale or ("0-1" if columns.tool == "py-feat" else "0-5")
    return LabelTable(list(_faces(columns, table, scale)), columns.tool, scale, columns.absent)


def _read_parquet(path: Path) -> tuple[Columns, pd.DataFrame]:
    with parquet.opened(path) as file:
        # A column that may name the photograph, but holds the picture itself, is left out.
        header = [
            field.name
            for field in file.schema_arrow
            if field.name.strip().lower() not in PHOTOGRAPH or _is_text(field.type)
        ]
        columns = _find(header)
        return columns, parquet.read_columns(file, columns.used).to_pandas(use_threads=False)


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
    )


def _read_text(path: Path) -> tuple[Columns, pd.DataFrame]:
    text = decode_text(path)
    if not text.strip():
        raise BadLabels("cannot be read as a table: it is empty")
    first = text.lstrip("\r\n").split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    header = [name.strip() for name in next(csv.reader([first], delimiter=separator), [])]
    columns = _find(header)
    with warnings.catch_warnings():
        # Rows with a separator too many at their end.
        warnings.simplefilter("ignore", pd.errors.ParserWarning)
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            skipinitialspace=True,
            header=0,
            names=_distinct(header),
            usecols=columns.used,
            index_col=False,
            # As text, because pandas would read the name 00012 as the number 12.
            dtype={columns.photograph: str} if columns.photograph else None,
        )
    return columns, table


def _distinct(header: list[str]) -> list[str]:
    """A header in which a name that occurs again is replaced."""
    seen: set[str] = set()
    names = []
    for index, name in enumerate(header):
        names.append(f"\0{index}" if name in seen else name)
        seen.add(name)
    return names


def decode_text(path: Path) -> str:
    """A text file in UTF-8, UTF-16, or what Windows writes in western countries."""
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    if b"\0" in content[:2]:
        return content.decode("utf-16-be" if content[0] == 0 else "utf-16-le")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _find(header: list[str]) -> Columns:
    columns = find_columns(header)
    if not columns.aus:
        raise BadLabels(f"has no column {', '.join(COLUMNS)}; run OpenFace with -aus")
    return columns


def _faces(
    columns: Columns, table: pd.DataFrame, scale: Scale
) -> Iterator[tuple[str | None, FaceRecord]]:
    if columns.photograph:
        table = table[table[columns.photograph].notna()]
    numbers = {name: to_numbers(table[name]) for name in columns.numbers}
    if columns.success:
        tracked = numbers[columns.success] > 0
        table = table[tracked]
        numbers = {name: values[tracked] for name, values in numbers.items()}
    aus = np.full((len(table), COUNT), np.nan, np.float32)
    for index, name in columns.aus.items():
        aus[:, index] = to_intensity(table[name], scale)
    confidence = numbers.get(columns.confidence or "", np.ones(len(table)))
    landmarks = _landmarks(columns, numbers, len(table))
    boxes = _boxes(columns, numbers, table)
    names = table[columns.photograph].astype(str) if columns.photograph else [None] * len(table)
    whole = {
        field: numbers[name] if name else None
        for field, name in (
            ("frame", columns.frame),
            ("seconds", columns.seconds),
            ("face_id", columns.face_id),
        )
    }
    for index, photograph in enumerate(names):
        if np.isnan(aus[index]).all():  # as of a photograph in which py-feat found no face
            continue
        frame, seconds, face_id = (
            _finite(None if values is None else values[index]) for values in whole.values()
        )
        yield (
            photograph,
            FaceRecord(
                float(confidence[index]),
                aus[index],
                None if landmarks is None else _known(landmarks[index]),
                # py-feat counts from 0, OpenFace from 1.
                None if frame is None else int(frame) + (columns.tool == "py-feat"),
                seconds,
                box=None if boxes is None else _known(boxes[index]),
                face_id=None if face_id is None else int(face_id),
                absent=columns.absent,
            ),
        )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _known(values: np.ndarray) -> np.ndarray | None:
    """Coordinates; None if some of them are not known, or all are 0."""
    return values if np.isfinite(values).all() and values.any() else None


def _landmarks(columns: Columns, numbers: dict[str, np.ndarray], count: int) -> np.ndarray | None:
    """(rows, 68, 2), or None if the table has none."""
    if not columns.landmarks:
        return None
    values = np.stack([numbers[name] for name in columns.landmarks], 1).astype(np.float32)
    return values.reshape(count, 2, POINTS).swapaxes(1, 2)


def _boxes(
    columns: Columns, numbers: dict[str, np.ndarray], table: pd.DataFrame
) -> np.ndarray | None:
    """(rows, 4): left, top, right, bottom; None if the table has none."""
    if columns.corners:
        return np.stack([numbers[name] for name in columns.corners], 1)
    if columns.rectangle:
        boxes = np.stack([numbers[name] for name in columns.rectangle], 1)
        boxes[:, 2:] += boxes[:, :2]
        return boxes
    if columns.box:
        unknown = np.full(4, np.nan)
        return np.array(
            [
                np.asarray(box, float) if np.shape(box) == (4,) else unknown
                for box in table[columns.box]
            ]
        ).reshape(-1, 4)
    return None
