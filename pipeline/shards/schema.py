"""The columns of a shard, with one row per face, and the values of `status` and of the split."""

import hashlib
import json
from typing import Any

import pyarrow as pa

from ..action_units import COLUMNS

SCHEMA_VERSION = 1
SPLITS = ("train", "test")

# Values of the column `status`.
OK = "ok"
NO_FACE = "no_face"
UNREADABLE = "unreadable"
TOO_LARGE = "too_large"
TOO_SMALL = "too_small"
DUPLICATE = "duplicate"
NO_AUS = "no_aus"
"""The annotator could not read the AUs of the crop. The row keeps its image and has a reason."""

_BOX = pa.list_(pa.int32())


def _value(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "_type": "Value"}


_BOX_FEATURE = {"feature": _value("int32"), "_type": "Sequence"}
_LANDMARKS_FEATURE = {"feature": _value("float32"), "_type": "Sequence"}
# Name, Arrow type, and Hugging Face feature.
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
    ("series", pa.string(), _value("string")),
    ("landmarks", pa.list_(pa.float32()), _LANDMARKS_FEATURE),
    ("frame", pa.int32(), _value("int32")),
    ("faces_seen", pa.int32(), _value("int32")),
]

SCHEMA = pa.schema(
    [(name, kind) for name, kind, _ in FIELDS],
    # With this, `datasets.load_dataset("parquet", ...)` decodes the crops as images.
    metadata={
        "huggingface": json.dumps(
            {"info": {"features": {name: feature for name, _, feature in FIELDS}}}
        )
    },
)
"""`box` and `crop` are left, top, right, bottom in source pixels. The AUs are 0-5, and null until
annotated. `image.bytes` is a JPEG file of the crop; `image` is null if there is no usable face.
`source_hash` is a hash of the bytes of the photograph or clip.

`series` names the photographs of one person under the same conditions, or the clip (`clip.mp4#2`:
the second of several persons in it); null: not known. `landmarks` are x and y of each landmark in
turn (x0, y0, x1, y1, …), -1..1 across the crop, or null: 68 points of dlib's scheme, or 478 of
MediaPipe's face mesh, as their number tells. A point outside the crop is outside of -1..1; one that
is not known is NaN.

`frame` is the number of a clip's frame, from 1; null for photographs.

`faces_seen` is how many faces the detector saw in the photograph or frame, those included that have
no crop; there may be more, much smaller ones."""

ADDED_COLUMNS = frozenset({"source_hash", "series", "landmarks", "frame", "faces_seen"})
"""Columns that earlier versions of ganim did not write. In their shards they are read as null."""


def split_of(name: str, test_fraction: float) -> str:
    """Return the split, `train` or `test`, by a hash of the name of a series or file.

    All faces of a series, photograph or clip are in the same split, on every machine and in every
    run.
    """
    digest = hashlib.sha1(name.encode()).digest()
    return "test" if int.from_bytes(digest[:4], "big") < test_fraction * 2**32 else "train"


def rows_to_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Convert rows (column to value) to a table of the schema; missing columns are null."""
    columns = [[row.get(name) for row in rows] for name in SCHEMA.names]
    return pa.Table.from_arrays(
        [pa.array(values, type=kind) for values, kind in zip(columns, SCHEMA.types, strict=True)],
        schema=SCHEMA,
    )
