"""Read columns of tables that name photographs. What cannot be read is WrongUse."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from .. import parquet
from ..errors import WrongUse, reason


def read_csv(path: Path, columns: list[str]) -> Iterator[list[str]]:
    """The values of some columns of a CSV file. Raises WrongUse."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            header = [name.strip() for name in next(reader, [])]
            _check_columns(path, columns, header)
            positions = [header.index(name) for name in columns]
            for row in reader:
                if len(row) > max(positions):
                    yield [row[position] for position in positions]
    except (OSError, ValueError, csv.Error) as error:
        raise WrongUse(f"{path} cannot be read as a table: {reason(error)}") from error


def read_parquet(path: Path, columns: list[str]) -> pa.Table:
    """Some columns of a Parquet file. Raises WrongUse."""
    try:
        with parquet.opened(path) as file:
            _check_columns(path, columns, file.schema_arrow.names)
            return parquet.read_columns(file, columns).select(columns)
    except (pa.ArrowException, OSError) as error:
        raise WrongUse(f"{path} cannot be read as a table: {reason(error)}") from error


def _check_columns(path: Path, columns: list[str], present: Sequence[str]) -> None:
    missing = [name for name in columns if name not in present]
    if missing:
        raise WrongUse(
            f"{path} lacks the column {' and the column '.join(missing)}. It needs "
            f"{' and '.join(columns)}."
        )


def texts(path: Path, table: pa.Table, name: str) -> list[str | None]:
    """A column as texts. Raises WrongUse if it holds neither texts nor whole numbers."""
    kind = table[name].type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer)
    if not any(is_kind(kind) for is_kind in known):
        raise WrongUse(f"The column {name} of {path} holds {kind}. It must hold texts.")
    return [None if value is None else str(value) for value in table[name].to_pylist()]
