"""The names of the shards in a folder: `train-00000.parquet`, `test-00000.parquet`, …"""

import re
from pathlib import Path

from ..errors import WrongUse
from .schema import SPLITS


def shard_paths(folder: Path) -> list[Path]:
    """Return all shards of a folder, training split first. Raises WrongUse if there are none."""
    paths = [path for split in SPLITS for path in split_paths(folder, split)]
    if not paths:
        raise WrongUse(
            f"There are no shards in {folder}. Make them first: ganim prepare --src PHOTOS "
            f"--out {folder}"
        )
    return paths


def split_paths(folder: Path, split: str) -> list[Path]:
    """Return the shards of a split in order; there may be none.

    Other Parquet files, such as the copy `train-00000 (1).parquet`, are not shards.
    """
    pattern = re.compile(rf"{split}-\d+\.parquet")
    found = [path for path in folder.glob("*.parquet") if pattern.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.name)


def next_shard_path(folder: Path, split: str) -> Path:
    """Return the path of the next shard of a split."""
    numbers = [int(path.stem.rsplit("-", 1)[1]) for path in split_paths(folder, split)]
    return folder / f"{split}-{max(numbers, default=-1) + 1:05d}.parquet"
