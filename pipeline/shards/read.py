"""Shards and manifests read."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..action_units import COLUMNS
from ..errors import WrongUse
from .schema import ADDED, MANIFEST, OK, SCHEMA, SCHEMA_VERSION, SPLITS

if TYPE_CHECKING:
    import pandas as pd


def shard_paths(folder: Path) -> list[Path]:
    """All shards of a folder, in order. Raises WrongUse if it has none."""
    paths = [path for split in SPLITS for path in split_paths(folder, split)]
    if not paths:
        raise WrongUse(
            f"There are no shards in {folder}. Make them first: ganim prepare --src PHOTOS "
            f"--out {folder}"
        )
    return paths


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
            if missing - {ADDED}:
                raise WrongUse(f"{path} is no shard: it lacks {', '.join(sorted(missing))}.")
            table = shard.read(columns=columns, use_threads=False)
            if missing:
                table = table.append_column(ADDED, pa.nulls(len(table), pa.string()))
                table = table.select(wanted)
            return table
    except (pa.ArrowException, OSError) as error:
        raise WrongUse(f"{path} cannot be read as a shard: {error}") from error


def read_column(folder: Path, column: str) -> Iterator[Any]:
    """Every value of a column, over all shards of a folder (nothing for an empty folder)."""
    for split in SPLITS:
        for path in split_paths(folder, split):
            yield from read_shard(path, [column]).column(column).to_pylist()


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


def count_statuses(folder: Path) -> dict[str, int]:
    """The number of rows by status, over all shards of a folder."""
    return dict(sorted(Counter(read_column(folder, "status")).items()))


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
