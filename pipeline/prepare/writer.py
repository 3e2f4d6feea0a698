"""Collect the rows of files and write them into shards."""

from pathlib import Path

from .. import shards
from . import names, rows

_DECODED = (shards.OK, shards.NO_FACE, shards.TOO_SMALL, shards.NO_AUS)
"""Statuses of rows whose file was decoded."""


class ShardWriter:
    """Writes a shard of a split when it has enough rows. The rows of a file are in one shard.

    It also knows the files of the shards that exist already, which is all the state that a run
    needs to resume an earlier one: `is_finished` and the detection of duplicates use it.
    """

    def __init__(self, folder: Path, test_fraction: float, shard_rows: int) -> None:
        """test_fraction: see `shards.split_of`. shard_rows: rows from which a shard is written."""
        self._folder = folder
        self._test_fraction, self._shard_rows = test_fraction, shard_rows
        self._buffers: dict[str, list[rows.Row]] = {split: [] for split in shards.SPLITS}
        self._finished: set[str] = set()
        # The first file with each content, by hash. A row of a duplicate does not count: the file
        # that it names may not have been written when a run was killed.
        self._first: dict[str, str] = {}
        columns = ["source", "status", "source_hash"]
        for split in shards.SPLITS:
            for path in shards.split_paths(folder, split):
                for row in shards.read_shard(path, columns).to_pylist():
                    name = names.file_of(row["source"])
                    self._finished.add(name)
                    if row["status"] in _DECODED and row["source_hash"]:
                        self._first[row["source_hash"]] = name

    def is_finished(self, name: str) -> bool:
        """Whether the shards held rows of this file when the run began."""
        return name in self._finished

    def add(self, name: str, series: str | None, file_rows: list[rows.Row]) -> list[str]:
        """Add the rows of a file, to the split of its series if it has one; return their statuses.

        If an earlier file has the same bytes, a single row that names it is added instead.
        """
        file_rows = self._replace_duplicate(name, file_rows)
        split = shards.split_of(series or name, self._test_fraction)
        self._buffers[split] += file_rows
        if len(self._buffers[split]) >= self._shard_rows:
            self._write(split)
        return [row["status"] for row in file_rows]

    def flush(self) -> None:
        """Write the rows that are left."""
        for split in shards.SPLITS:
            if self._buffers[split]:
                self._write(split)

    def _replace_duplicate(self, name: str, file_rows: list[rows.Row]) -> list[rows.Row]:
        source_hash = file_rows[0].get("source_hash")
        if source_hash is None or not any(row["status"] in _DECODED for row in file_rows):
            return file_rows
        first = self._first.setdefault(source_hash, name)
        if first == name:
            return file_rows
        row = rows.failed(name, shards.DUPLICATE, f"the same bytes as {first}")
        return [row | {"source_hash": source_hash}]

    def _write(self, split: str) -> None:
        table = shards.rows_to_table(self._buffers[split])
        shards.write_shard(shards.next_shard_path(self._folder, split), table)
        self._buffers[split] = []
