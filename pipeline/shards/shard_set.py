"""Remove or replace a whole shard set."""

import contextlib
import re
from pathlib import Path

from ..files import is_local, move
from .manifest import MANIFEST, read_manifest
from .paths import split_paths
from .schema import SPLITS

_TEMPORARY = re.compile(r"\.((train|test)-\d+\.parquet|[a-z]+\.json)\.\d+\.tmp")
"""Of what is written under the lock: shards, the manifest, and the progress of annotate."""


def remove_temporary_files(folder: Path) -> None:
    """Delete the temporary files of writers that were killed. The caller must hold the lock."""
    for path in folder.glob(".*.tmp") if is_local(folder) else ():
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def remove_set(folder: Path) -> None:
    """Delete the shards and the manifest of a folder, and nothing else."""
    for split in SPLITS:
        for path in split_paths(folder, split):
            path.unlink()
    (folder / MANIFEST).unlink(missing_ok=True)


def replace_set(folder: Path, new: Path) -> None:
    """Replace the shard set in `folder` by the complete one in `new`, a subfolder of it.

    If the process is killed in between, a second call finishes the work: the manifest, which names
    the shards of the new set, is moved last.
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
        with contextlib.suppress(OSError):  # another program's file is in it, such as .DS_Store
            new.rmdir()
