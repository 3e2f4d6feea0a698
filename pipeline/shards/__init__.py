"""A shard set: a folder of Parquet files and a manifest, which both halves of ganim share.

`train-00000.parquet`, `test-00000.parquet`, … hold one row per face, and one row with the reason
per photograph without a face. `manifest.json` holds the settings that they were made with. Every
file is written to a temporary file, flushed to disk and renamed.
"""

from .manifest import MANIFEST, fingerprint, read_manifest, write_manifest
from .paths import next_shard_path, shard_paths, split_paths
from .read import annotated_faces, count_statuses, known_aus, read_column, read_shard
from .schema import (
    DUPLICATE,
    NO_AUS,
    NO_FACE,
    OK,
    SCHEMA,
    SCHEMA_VERSION,
    SPLITS,
    TOO_LARGE,
    TOO_SMALL,
    UNREADABLE,
    rows_to_table,
    split_of,
)
from .shard_set import remove_set, remove_temporary_files, replace_set
from .write import write_shard

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
    "known_aus",
    "next_shard_path",
    "read_column",
    "read_manifest",
    "read_shard",
    "remove_set",
    "remove_temporary_files",
    "replace_set",
    "rows_to_table",
    "shard_paths",
    "split_of",
    "split_paths",
    "write_manifest",
    "write_shard",
]
