"""Photographs and clips to shards: find them, cut their faces, write them down, once each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from .. import shards
from ..errors import NothingUsable, WrongUse
from ..execution import pool
from ..files import is_local, locked
from . import rows, sources
from .settings import FaceSettings, PrepareSettings

NEW_SET = ".overwrite"
"""Folder below the shards' where --overwrite makes the new set, until it takes their place."""

_DECODED = (shards.OK, shards.NO_FACE, shards.TOO_SMALL, shards.NO_AUS)


@dataclass(frozen=True)
class Summary:
    """How a run of prepare ended, in files but for `counts`."""

    found: int
    """Photographs and clips under the source folder."""
    skipped: int
    """Those an earlier run had finished."""
    counts: dict[str, int]
    """Rows by status over the whole shard set, earlier runs included."""
    new: int = 0
    """Those that came after the set was complete and were not asked for (`update`)."""
    other_files: int = 0
    """Files that are neither photograph nor clip by their name."""
    closed_folders: int = 0
    """Folders that may not be listed."""


def prepare(
    source: Path,
    out: Path,
    settings: PrepareSettings | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    update: bool = False,
    on_start: Callable[[int, int], None] = lambda total, skipped: None,
    on_file: Callable[[Sequence[str]], None] = lambda statuses: None,
) -> Summary:
    """Write the faces of each photograph and clip under `source` into shards in `out`.

    A second call goes on where the first was stopped: what stands in a shard is not read again.
    Once a set is complete, files that are new under `source` are only counted, unless `update`
    adds them. `overwrite` makes a new set, and puts it in place of the old when it is complete.
    What is written is the same, byte for byte, wherever the work runs (`engine.run`) and however
    often it is stopped. A file with the bytes of an earlier one becomes a row that names it.

    on_start is told how many files there are and how many are done, on_file the status of each
    row of a file finished. Raises WrongUse for a wrong source, settings out of range, other
    settings than the shards in `out` were made with, or an `out` that another run holds;
    NothingUsable if no face is found.
    """
    settings = settings or PrepareSettings()
    settings.validate()
    source = source.resolve() if is_local(source) else source
    found = sources.find(source, out)
    recorded = asdict(settings) | {"source": str(source)}
    with locked(out):
        folder = _claim(out, recorded, overwrite)
        run = _Run(source, folder, settings)
        photographs, clips = run.todo(found.photographs), run.todo(found.clips)
        total = len(found.photographs) + len(found.clips)
        new = len(photographs) + len(clips)
        if _is_complete(folder) and new and not update:
            photographs, clips = [], []
        else:
            new = 0
        todo = len(photographs) + len(clips)
        on_start(total, total - todo - new)
        if todo:
            shards.write_manifest(folder, recorded, complete=False)
            tasks = run.tasks(photographs + clips)
            for task, result in pool.run(rows.file_rows, tasks, workers, scheduler):
                on_file(run.take(task, result))
            run.flush()
        # A set without a face is never complete: it takes no other's place, and what is new in
        # the folder is read next time.
        counts = shards.count_statuses(folder)
        usable = shards.OK in counts or shards.NO_AUS in counts
        shards.write_manifest(folder, recorded, complete=usable)
        if not usable:
            raise NothingUsable(
                f"No face was found in {source}: {len(found.photographs)} pictures, "
                f"{len(found.clips)} clips, {found.other_files} other files. The reasons stand "
                f"in the column `error` of the shards in {folder}."
            )
        if folder != out:
            shards.replace_set(out, folder)
    skipped = total - todo - new
    return Summary(total, skipped, counts, new, found.other_files, found.closed_folders)


def _claim(out: Path, recorded: dict[str, Any], overwrite: bool) -> Path:
    """Where the shards are to be written: `out`, or below it the place of a new set.

    Raises WrongUse if what stands there was made with other settings, or not by ganim.
    """
    new = out / NEW_SET
    if _is_complete(new):  # killed while it took the place of the old
        shards.replace_set(out, new)
    folder = new if overwrite and shards.read_manifest(out) else out
    shards.remove_leftovers(folder)
    manifest = shards.read_manifest(folder)
    if manifest is None and any(folder.glob("*.parquet")):
        raise WrongUse(f"{folder} holds shards without {shards.MANIFEST}. Choose another --out.")
    difference = _difference(manifest["settings"], recorded) if manifest else None
    if difference and folder == out:
        raise WrongUse(
            f"{out} was prepared with {difference}. Repeat the earlier setting to go on, make "
            "the set anew with --overwrite, or choose another --out."
        )
    if difference:  # an --overwrite of other settings was stopped
        shards.remove_set(folder)
    if difference or manifest is None:
        shards.write_manifest(folder, recorded, complete=False)
    return folder


def _difference(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    """In words, empty if there is none."""
    names = [name for name in now if earlier.get(name) != now[name]]
    return "; ".join(
        f"{name}={earlier.get(name)}, this run says {name}={now[name]}" for name in names
    )


def _is_complete(folder: Path) -> bool:
    return bool((shards.read_manifest(folder) or {}).get("complete"))


class _Run:
    """The rows on their way into the shards of a folder."""

    def __init__(self, source: Path, folder: Path, settings: PrepareSettings) -> None:
        self._source, self._folder, self._settings = source, folder, settings
        self._buffers: dict[str, list[rows.Row]] = {split: [] for split in shards.SPLITS}
        self._finished: set[str] = set()
        # The first file with each content, by hash: that of an earlier run, or in order of paths.
        # A duplicate's row is no first one: the file it names may have been lost in a kill.
        self._first: dict[str, str] = {}
        columns = ["source", "status", "source_hash"]
        for split in shards.SPLITS:
            for path in shards.split_paths(folder, split):
                for row in shards.read_shard(path, columns).to_pylist():
                    name = sources.owner_of(row["source"])
                    self._finished.add(name)
                    if row["status"] in _DECODED and row["source_hash"]:
                        self._first[row["source_hash"]] = name

    def todo(self, paths: list[str]) -> list[str]:
        """The paths of which no row stands in the shards."""
        return [path for path in paths if sources.name_of(path) not in self._finished]

    def tasks(self, paths: list[str]) -> Iterator[rows.Task]:
        names = (field.name for field in fields(FaceSettings))
        settings = FaceSettings(**{name: getattr(self._settings, name) for name in names})
        for path in paths:
            yield rows.Task(self._source, path, sources.name_of(path), settings)

    def take(self, task: rows.Task, result: list[rows.Row] | pool.Crashed) -> list[str]:
        """Keep a file's rows, all in one shard, and write a shard when it is full. Returns the
        statuses."""
        if isinstance(result, pool.Crashed):
            result = [rows.failed(task.name, shards.UNREADABLE, str(result))]
        result = self._once(task.name, result)
        split = shards.split_of(task.name, self._settings.test_fraction)
        self._buffers[split] += result
        if len(self._buffers[split]) >= self._settings.shard_rows:
            self._write(split)
        return [row["status"] for row in result]

    def _once(self, name: str, result: list[rows.Row]) -> list[rows.Row]:
        """The rows, or in their place one that names the earlier file with the same bytes."""
        content = result[0].get("source_hash")
        if content is None or not any(row["status"] in _DECODED for row in result):
            return result
        first = self._first.setdefault(content, name)
        if first == name:
            return result
        return [
            rows.failed(name, shards.DUPLICATE, f"the same bytes as {first}")
            | {"source_hash": content}
        ]

    def flush(self) -> None:
        """Write what is left."""
        for split in shards.SPLITS:
            if self._buffers[split]:
                self._write(split)

    def _write(self, split: str) -> None:
        table = shards.rows_to_table(self._buffers[split])
        shards.write_shard(shards.next_shard_path(self._folder, split), table)
        self._buffers[split] = []
