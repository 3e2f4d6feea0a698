"""Shards and manifests written: each file appears whole or not at all."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..files import is_local, move, write_whole
from .read import count_statuses, read_manifest, split_paths
from .schema import FIELDS, MANIFEST, SCHEMA, SCHEMA_VERSION, SPLITS, fingerprint

_ROW_GROUP = 256


def next_shard_path(folder: Path, split: str) -> Path:
    """The first free name of a split."""
    numbers = [int(path.stem.rsplit("-", 1)[1]) for path in split_paths(folder, split)]
    return folder / f"{split}-{max(numbers, default=-1) + 1:05d}.parquet"


def write_shard(path: Path, table: pa.Table) -> None:
    """Write a shard whole or not at all. Images are JPEG already; the rest is zstd."""
    compression = {_leaf(name): "NONE" if name == "image" else "ZSTD" for name, _, _ in FIELDS} | {
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


def _leaf(name: str) -> str:
    if name == "image":
        return "image.bytes"
    return f"{name}.list.element" if name in ("box", "crop") else name
