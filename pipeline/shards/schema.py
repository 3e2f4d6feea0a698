"""The schema of a shard: one row a face."""

import hashlib
import json
from typing import Any

import pyarrow as pa

from ..action_units import COLUMNS

SCHEMA_VERSION = 1
SPLITS = ("train", "test")
MANIFEST = "manifest.json"

OK = "ok"
NO_FACE = "no_face"
UNREADABLE = "unreadable"
TOO_LARGE = "too_large"
TOO_SMALL = "too_small"
DUPLICATE = "duplicate"
NO_AUS = "no_aus"
"""A crop whose AUs the annotator could not read; the row keeps its image and gets a reason."""

_BOX = pa.list_(pa.int32())


def _value(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "_type": "Value"}


_BOX_FEATURE = {"feature": _value("int32"), "_type": "Sequence"}
# Name, Arrow's type, and what Hugging Face's datasets calls it.
FIELDS: list[tuple[str, pa.DataType, dict[str, Any]]] = [
    ("key", pa.string(), _value("string")),
    ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]), {"_type": "Image"}),
    ("source", pa.string(), _value("string")),
    ("source_hash", pa.string(), _value("string")),
    ("source_width", pa.int32(), _value("int32")),
    ("source_height", pa.int32(), _value("int32")),
    ("face_index", pa.int32(), _value("int32")),
    ("box", _BOX, _BOX_FEATURE),
    ("crop", _BOX, _BOX_FEATURE),
    ("detection_score", pa.float32(), _value("float32")),
    ("status", pa.string(), _value("string")),
    ("error", pa.string(), _value("string")),
    *((column, pa.float32(), _value("float32")) for column in COLUMNS),
    ("au_confidence", pa.float32(), _value("float32")),
    ("annotator", pa.string(), _value("string")),
]

SCHEMA = pa.schema(
    [(name, kind) for name, kind, _ in FIELDS],
    # With this, `datasets.load_dataset("parquet", ...)` shows the crops as pictures.
    metadata={
        "huggingface": json.dumps(
            {"info": {"features": {name: feature for name, _, feature in FIELDS}}}
        )
    },
)
"""One row a face. Boxes are left, top, right, bottom in source pixels; AUs 0-5, null until
annotated; `image.bytes` is a JPEG of the crop, null where there is no usable face;
`source_hash` is a hash of the photograph's or clip's bytes."""

ADDED = "source_hash"
"""Shards of earlier versions lack this column; it is read as null."""


def split_of(source: str, test_fraction: float) -> str:
    """`train` or `test`, by a hash of the photograph, which so never stands on both sides."""
    digest = hashlib.sha1(source.encode()).digest()
    return "test" if int.from_bytes(digest[:4], "big") < test_fraction * 2**32 else "train"


def rows_to_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as dictionaries to a table of the schema; columns left out are null."""
    columns = [[row.get(name) for row in rows] for name in SCHEMA.names]
    return pa.Table.from_arrays(
        [pa.array(values, type=kind) for values, kind in zip(columns, SCHEMA.types, strict=True)],
        schema=SCHEMA,
    )


def fingerprint(settings: dict[str, Any]) -> str:
    """A short hash of settings, the same for equal settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
