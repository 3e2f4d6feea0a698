"""Rows of shards that several tests share."""

from pathlib import Path
from typing import Any

from ganim.pipeline import shards


def face_row(index: int, jpeg: bytes, **more: Any) -> dict[str, Any]:
    """A row with a crop and without AUs; `more` replaces and adds columns."""
    return {
        "key": f"{index}.jpg#0",
        "image": {"bytes": jpeg, "path": None},
        "source": f"{index}.jpg",
        "source_width": 600,
        "source_height": 400,
        "face_index": 0,
        "box": [100, 100, 300 + index % 7, 300],
        "crop": [70, 70, 330, 330],
        "detection_score": 1.0 + index / 1024,
        "status": shards.OK,
    } | more


def failed_row(source: str, status: str, error: str) -> dict[str, Any]:
    """A row of a source without a usable face."""
    return {"key": f"{source}#", "source": source, "status": status, "error": error}


def rows_by_key(folder: Path) -> dict[str, dict[str, Any]]:
    """All rows of a shard set by key; no key may occur twice."""
    rows = [
        row for path in shards.shard_paths(folder) for row in shards.read_shard(path).to_pylist()
    ]
    by_key = {row["key"]: row for row in rows}
    assert rows and len(by_key) == len(rows)
    return by_key
