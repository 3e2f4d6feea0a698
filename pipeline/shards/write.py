"""Write shards."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..files import write_whole
from .schema import FIELDS, SCHEMA

_ROW_GROUP = 256
"""Rows in a row group."""


def write_shard(path: Path, table: pa.Table) -> None:
    """Write a shard, entirely or not at all.

    The image bytes are not compressed, as they are JPEG files; the other columns are, by zstd.
    """
    compression = {_leaf(name): "NONE" if name == "image" else "ZSTD" for name, _, _ in FIELDS} | {
        "image.path": "ZSTD"
    }

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            pq.write_table(
                table.cast(SCHEMA).replace_schema_metadata(SCHEMA.metadata),
                file,
                compression=compression,
                row_group_size=_ROW_GROUP,
                write_page_index=True,
            )

    write_whole(path, write)


def _leaf(name: str) -> str:
    """Parquet's name of the leaf column that holds a column's values."""
    if name == "image":
        return "image.bytes"
    return f"{name}.list.element" if name in ("box", "crop", "landmarks") else name
