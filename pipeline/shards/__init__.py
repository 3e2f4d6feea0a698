"""The contract between the two halves: a folder of Parquet shards and its manifest.

`train-00000.parquet`, `test-00000.parquet`, … hold one row a face, and one row for each
photograph that gave none, with the reason. `manifest.json` holds the settings they were made
with. A file appears whole or not at all: written beside, fsynced, renamed.
"""

from .read import (
    annotated_faces,
    count_statuses,
    read_column,
    read_manifest,
    read_shard,
    shard_paths,
    split_paths,
)
from .schema import (
    DUPLICATE,
    MANIFEST,
    NO_AUS,
    NO_FACE,
    OK,
    SCHEMA,
    SCHEMA_VERSION,
    SPLITS,
    TOO_LARGE,
    TOO_SMALL,
    UNREADABLE,
    fingerprint,
    rows_to_table,
    split_of,
)
from .write import (
    next_shard_path,
    remove_leftovers,
    remove_set,
    replace_set,
    write_manifest,
    write_shard,
)

__all__ = [
    "DUPLICATE",
    "MANIFEST",
    "NO_AUS",
    "NO_FACE",
    "OK",
    "SCHEMA",
    "SCHEMA_VERSION",
    "SPLITS",
    "TOO_LARGE",
    "TOO_SMALL",
    "UNREADABLE",
    "annotated_faces",
    "count_statuses",
    "fingerprint",
    "next_shard_path",
    "read_column",
    "read_manifest",
    "read_shard",
    "remove_leftovers",
    "remove_set",
    "replace_set",
    "rows_to_table",
    "shard_paths",
    "split_of",
    "split_paths",
    "write_manifest",
    "write_shard",
]
