"""The manifest of a shard set: `manifest.json`, with the settings that its shards share."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ..errors import WrongUse
from ..files import write_whole
from .paths import split_paths
from .read import count_statuses
from .schema import SCHEMA_VERSION, SPLITS

MANIFEST = "manifest.json"


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder, or None if there is none.

    Raises WrongUse if the file is damaged, or not a manifest of this version of ganim.
    """
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        manifest = json.loads(path.read_text())
    except ValueError as error:
        raise WrongUse(f"{path} is damaged: {error}") from error
    if not isinstance(manifest, dict) or "schema_version" not in manifest:
        raise WrongUse(f"{path} is not a manifest of ganim. Choose another folder.")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise WrongUse(
            f"{path} has schema version {manifest.get('schema_version')}, and this ganim reads "
            f"{SCHEMA_VERSION}. Prepare the photographs again into another folder."
        )
    return manifest


def write_manifest(
    folder: Path, settings: dict[str, Any], complete: bool | None = None
) -> dict[str, int]:
    """Write the manifest for the shards that are in a folder; return the rows by status.

    complete: whether the shards hold all files that prepare found. None keeps what the manifest
    says.
    """
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
    write_whole(folder / MANIFEST, lambda temporary: temporary.write_text(text))
    return counts


def fingerprint(settings: dict[str, Any]) -> str:
    """Return a short hash of settings, which is the same for equal settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
