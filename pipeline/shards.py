"""The contract between the two halves: a folder of Parquet shards and its manifest.

`train-00000.parquet`, `test-00000.parquet`, … hold one row a face, and one row for each
photograph that gave none, with the reason. `manifest.json` holds the settings they were made
with. A file appears whole or not at all: written beside, fsynced, renamed.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from .action_units import COLUMNS
from .errors import WrongUse
from .files import is_local, move, write_whole

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
SPLITS = ("train", "test")
MANIFEST = "manifest.json"
_ROW_GROUP = 256

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
_FIELDS: list[tuple[str, pa.DataType, dict[str, Any]]] = [
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
    [(name, kind) for name, kind, _ in _FIELDS],
    # With this, `datasets.load_dataset("parquet", ...)` shows the crops as pictures.
    metadata={
        "huggingface": json.dumps(
            {"info": {"features": {name: feature for name, _, feature in _FIELDS}}}
        )
    },
)
"""One row a face. Boxes are left, top, right, bottom in source pixels; AUs 0-5, null until
annotated; `image.bytes` is a JPEG of the crop, null where there is no usable face;
`source_hash` is a hash of the photograph's or clip's bytes."""

_ADDED = "source_hash"
"""Shards of earlier versions lack this column; it is read as null."""


def split_of(source: str, test_fraction: float) -> str:
    """`train` or `test`, by a hash of the photograph, which so never stands on both sides."""
    digest = hashlib.sha1(source.encode()).digest()
    return "test" if int.from_bytes(digest[:4], "big") < test_fraction * 2**32 else "train"


def shard_paths(folder: Path) -> list[Path]:
    """All shards of a folder, in order. Raises WrongUse if it has none."""
    paths = [path for split in SPLITS for path in split_paths(folder, split)]
    if not paths:
        raise WrongUse(
            f"There are no shards in {folder}. Make them first: ganim prepare --src PHOTOS "
            f"--out {folder}"
        )
    return paths


def next_shard_path(folder: Path, split: str) -> Path:
    """The first free name of a split."""
    numbers = [int(path.stem.rsplit("-", 1)[1]) for path in split_paths(folder, split)]
    return folder / f"{split}-{max(numbers, default=-1) + 1:05d}.parquet"


def split_paths(folder: Path, split: str) -> list[Path]:
    """The shards of a split, in order; may be none. Copies (`train-00000 (1).parquet`) are none."""
    ours = re.compile(rf"{split}-\d+\.parquet")
    found = [path for path in folder.glob("*.parquet") if ours.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.name)


def read_shard(path: Path, columns: list[str] | None = None) -> pa.Table:
    """One shard as an Arrow table. Raises WrongUse for a file that is not one of ours."""
    try:
        # Opened here, as Arrow takes no path that is not UTF-8. Not by read_table: its threads,
        # given a Python file, abort many a process that ends soon after (pyarrow 26).
        with path.open("rb") as file:
            shard = pq.ParquetFile(file)
            wanted = columns or SCHEMA.names
            missing = set(wanted) - set(shard.schema_arrow.names)
            if missing - {_ADDED}:
                raise WrongUse(f"{path} is no shard: it lacks {', '.join(sorted(missing))}.")
            table = shard.read(columns=columns, use_threads=False)
            if missing:
                table = table.append_column(_ADDED, pa.nulls(len(table), pa.string()))
                table = table.select(wanted)
            return table
    except (pa.ArrowException, OSError) as error:
        raise WrongUse(f"{path} cannot be read as a shard: {error}") from error


def read_column(folder: Path, column: str) -> Iterator[Any]:
    """Every value of a column, over all shards of a folder (nothing for an empty folder)."""
    for split in SPLITS:
        for path in split_paths(folder, split):
            yield from read_shard(path, [column]).column(column).to_pylist()


def write_shard(path: Path, table: pa.Table) -> None:
    """Write a shard whole or not at all. Images are JPEG already; the rest is zstd."""
    compression = {_leaf(name): "NONE" if name == "image" else "ZSTD" for name, _, _ in _FIELDS} | {
        "image.path": "ZSTD"
    }

    def write(beside: Path) -> None:
        with beside.open("wb") as file:
            pq.write_table(
                table.cast(SCHEMA).replace_schema_metadata(SCHEMA.metadata),
                file,
                compression=compression,
                row_group_size=_ROW_GROUP,
                write_page_index=True,
            )

    write_whole(path, write)


def rows_to_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as dictionaries to a table of the schema; columns left out are null."""
    columns = [[row.get(name) for row in rows] for name in SCHEMA.names]
    return pa.Table.from_arrays(
        [pa.array(values, type=kind) for values, kind in zip(columns, SCHEMA.types, strict=True)],
        schema=SCHEMA,
    )


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder, or None where there is none."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        manifest = json.loads(path.read_text())
    except ValueError as error:
        raise WrongUse(f"{path} is damaged: {error}") from error
    if not isinstance(manifest, dict) or "schema_version" not in manifest:
        raise WrongUse(f"{path} is no manifest of ganim. Choose another folder.")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise WrongUse(
            f"{path} is of schema version {manifest.get('schema_version')}, this ganim reads "
            f"{SCHEMA_VERSION}. Prepare the photographs again into another folder."
        )
    return manifest


def write_manifest(
    folder: Path, settings: dict[str, Any], complete: bool | None = None
) -> dict[str, int]:
    """Write settings, their fingerprint, the shards' names and the counts by status, which are
    returned; and whether prepare had come to its end (None: as it stands there)."""
    if complete is None:
        complete = bool((read_manifest(folder) or {}).get("complete"))
    counts = count_statuses(folder)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "settings": settings,
        "fingerprint": fingerprint(settings),
        "complete": complete,
        "counts": counts,
        "shards": [path.name for split in SPLITS for path in split_paths(folder, split)],
    }
    text = json.dumps(manifest, indent=1)
    write_whole(folder / MANIFEST, lambda beside: beside.write_text(text))
    return counts


def count_statuses(folder: Path) -> dict[str, int]:
    """The number of rows by status, over all shards of a folder."""
    return dict(sorted(Counter(read_column(folder, "status")).items()))


def remove_leftovers(folder: Path) -> None:
    """Delete what killed writers left beside shards and manifest. Only while holding the lock."""
    for path in folder.glob(".*.tmp") if is_local(folder) else ():
        if _LEFTOVER.fullmatch(path.name):
            path.unlink(missing_ok=True)


_LEFTOVER = re.compile(rf"\.((train|test)-\d+\.parquet|{re.escape(MANIFEST)})\.\d+\.tmp")


def remove_set(folder: Path) -> None:
    """Delete the shards and the manifest of a folder, and nothing else."""
    for split in SPLITS:
        for path in split_paths(folder, split):
            path.unlink()
    (folder / MANIFEST).unlink(missing_ok=True)


def replace_set(folder: Path, new: Path) -> None:
    """Put the complete set in `new`, below `folder`, in place of the one in `folder`.

    Can be called again after a kill: the manifest comes last, and says which shards are meant.
    """
    manifest = read_manifest(new)
    assert manifest is not None and manifest["complete"]
    for name in manifest["shards"]:
        if (new / name).exists():
            move(new / name, folder / name)
    for split in SPLITS:
        for path in split_paths(folder, split):
            if path.name not in manifest["shards"]:
                path.unlink()
    move(new / MANIFEST, folder / MANIFEST)
    if is_local(new):
        new.rmdir()


def fingerprint(settings: dict[str, Any]) -> str:
    """A short hash of settings, the same for equal settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def annotated_faces(folder: Path, split: str) -> "pd.DataFrame":
    """The usable, annotated faces of a split: key, source, image (JPEG bytes), 17 AUs (0-5).

    Raises WrongUse when there are no shards, when no face of them has AUs, or when faces have
    theirs from different annotators.
    """
    import pandas as pd  # slow to import, and the workers of prepare need none of it

    shard_paths(folder)
    wanted = ["key", "source", "image", "status", "annotator", *COLUMNS]
    frames = []
    for path in split_paths(folder, split):
        table = read_shard(path, wanted)
        bytes_ = table.column("image").combine_chunks().field("bytes")
        table = table.set_column(table.schema.get_field_index("image"), "image", bytes_)
        frames.append(table.to_pandas())
    faces = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=wanted)
    known = faces[list(COLUMNS)].notna()
    annotated = known.all(axis=1)
    faces = faces[(faces["status"] == OK) & faces["image"].notna() & annotated]
    if faces.empty and split == "train":
        _name_empty_columns(folder, known)
        raise WrongUse(
            f"No face in {folder} has action units yet. Fill them in first: ganim annotate {folder}"
        )
    annotators = sorted(faces["annotator"].dropna().unique())
    if len(annotators) > 1:
        raise WrongUse(
            f"{folder} holds AUs by {' and by '.join(annotators)}, which must not mix. Do all "
            f"faces by one: ganim annotate {folder} --overwrite"
        )
    return faces.drop(columns=["status", "annotator"]).reset_index(drop=True)


def _name_empty_columns(folder: Path, known: "pd.DataFrame") -> None:
    """Raise WrongUse if it is single AUs that no face has, and not all of them."""
    empty = [name for name in COLUMNS if not known[name].any()]
    if empty and len(empty) < len(COLUMNS):
        raise WrongUse(
            f"No face in {folder} has {', '.join(empty)}, and a face is used if it has all "
            f"{len(COLUMNS)}. Do them again by an annotator that gives them: ganim annotate "
            f"{folder} --overwrite"
        )


def _leaf(name: str) -> str:
    if name == "image":
        return "image.bytes"
    return f"{name}.list.element" if name in ("box", "crop") else name
