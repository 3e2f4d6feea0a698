"""Choose the folder that a run of prepare writes to, and check what is in it."""

from pathlib import Path
from typing import Any

from .. import shards
from ..errors import WrongUse

NEW_SET = ".overwrite"
"""Subfolder of the output folder in which --overwrite makes the new shard set. When the set is
complete, it replaces the old one."""


def open_output(out: Path, settings: dict[str, Any], overwrite: bool) -> Path:
    """Return the folder to write shards to: `out`, or the subfolder for a new set.

    settings: what the manifest is to record. Completes an --overwrite that was killed while the
    new set replaced the old one, and removes temporary files. Raises WrongUse if the folder holds
    shards of other settings, or shards without a manifest. The caller must hold the lock of `out`.
    """
    new = out / NEW_SET
    if is_complete(new):
        shards.replace_set(out, new)
    folder = new if overwrite and shards.read_manifest(out) else out
    shards.remove_temporary_files(folder)
    manifest = shards.read_manifest(folder)
    if manifest is None and any(folder.glob("*.parquet")):
        raise WrongUse(f"{folder} holds shards without {shards.MANIFEST}. Choose another --out.")
    difference = _difference(manifest["settings"], settings) if manifest else None
    if difference and folder == out:
        raise WrongUse(
            f"{out} was prepared with {difference}. Use the earlier setting to continue, replace "
            "the set with --overwrite, or choose another --out."
        )
    if difference:  # left by an --overwrite with other settings
        shards.remove_set(folder)
    if difference or manifest is None:
        shards.write_manifest(folder, settings, complete=False)
    return folder


def is_complete(folder: Path) -> bool:
    """Whether all files that a run of prepare found are in the shards of a folder."""
    manifest = shards.read_manifest(folder)
    return manifest is not None and bool(manifest.get("complete"))


def _difference(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    """The settings that differ, in words; empty if none does."""
    names = [name for name in now if earlier.get(name) != now[name]]
    return "; ".join(
        f"{name}={earlier.get(name)}, this run has {name}={now[name]}" for name in names
    )
