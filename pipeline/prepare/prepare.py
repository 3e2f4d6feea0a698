"""Turn a folder of photographs and clips into a shard set."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .. import shards
from ..errors import NothingUsable
from ..execution import pool
from ..files import is_local, locked
from . import rows, sources
from .names import source_name
from .output import is_complete, open_output
from .series import SeriesAndLandmarks, load_series_and_landmarks
from .settings import FaceSettings, PrepareSettings
from .writer import ShardWriter


@dataclass(frozen=True)
class Summary:
    """The outcome of `prepare`. All numbers but `counts` are of files."""

    found: int
    """Photographs and clips below the source folder."""
    skipped: int
    """Those that an earlier run had finished."""
    counts: dict[str, int]
    """Rows of the whole shard set by status, including those of earlier runs."""
    new: int = 0
    """Those that are not in the complete set and were not added, as `update` was not given."""
    other_files: int = 0
    """Files that are neither photographs nor clips by their suffix."""
    closed_folders: int = 0
    """Folders that could not be listed."""
    links: tuple[str, ...] = ()
    """Links to folders outside, which were not followed, as `name → target`."""


def prepare(
    source: Path,
    out: Path,
    settings: PrepareSettings | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    update: bool = False,
    follow_links: bool = False,
    on_start: Callable[[int, int], None] = lambda total, skipped: None,
    on_file: Callable[[Sequence[str]], None] = lambda statuses: None,
) -> Summary:
    """Write the faces of all photographs and clips below `source` into shards in `out`.

    A file that has rows in the shards is not read again, so a run that was stopped is resumed by
    the same call. The shards are the same, byte for byte, wherever the tasks run and however often
    the run is stopped. A file with the same bytes as an earlier one becomes a row that names it.

    workers, scheduler: where the tasks run; see `pool.run`.
    overwrite: make a new set, which replaces the one in `out` when it is complete.
    update: add files that are new since the set was complete. Otherwise they are only counted.
    follow_links: read also files and folders outside `source` to which links lead.
    on_start: called with the number of files and the number of those that are finished already.
    on_file: called for each file that is finished, with the statuses of its rows.

    Raises WrongUse if the source cannot be listed, a setting is out of range, a table of series or
    landmarks cannot be used, `out` was made with other settings, or another process holds `out`;
    NothingUsable if no face was found.
    """
    settings = settings or PrepareSettings()
    settings.validate()
    source = source.resolve() if is_local(source) else source
    found = sources.find(source, out, follow_links)
    known = load_series_and_landmarks(
        settings.series, settings.landmarks, found.photographs, str(source)
    )
    recorded = asdict(settings) | {"source": str(source)} | known.recorded
    with locked(out):
        folder = open_output(out, recorded, overwrite)
        writer = ShardWriter(folder, settings.test_fraction, settings.shard_rows)
        files = found.photographs + found.clips
        todo = [path for path in files if not writer.is_finished(source_name(path))]
        new = 0
        if is_complete(folder) and not update:
            todo, new = [], len(todo)
        skipped = len(files) - len(todo) - new
        on_start(len(files), skipped)
        if todo:
            shards.write_manifest(folder, recorded, complete=False)
            tasks = _tasks(source, todo, settings, known, follow_links)
            for task, result in pool.run(rows.file_rows, tasks, workers, scheduler):
                if isinstance(result, pool.Crashed):
                    result = [rows.failed(task.name, shards.UNREADABLE, str(result))]
                on_file(writer.add(task.name, task.series, result))
            writer.flush()
        # A set without a face is never complete: it does not replace another set, and the next
        # run reads files that were added to the folder.
        counts = shards.count_statuses(folder)
        usable = shards.OK in counts or shards.NO_AUS in counts
        shards.write_manifest(folder, recorded, complete=usable)
        if not usable:
            raise NothingUsable(_nothing(source, found, folder, bool(counts)))
        if folder != out:
            shards.replace_set(out, folder)
    return Summary(
        len(files),
        skipped,
        counts,
        new,
        found.other_files,
        found.closed_folders,
        tuple(found.links),
    )


def _tasks(
    source: Path,
    paths: list[str],
    settings: PrepareSettings,
    known: SeriesAndLandmarks,
    follow_links: bool,
) -> Iterator[rows.Task]:
    names = (field.name for field in fields(FaceSettings))
    face_settings = FaceSettings(**{name: getattr(settings, name) for name in names})
    for path in paths:
        name = source_name(path)
        series = name if sources.is_clip(path) else known.series.get(name)
        use_dlib = series is not None and settings.landmarks is None
        yield rows.Task(
            source,
            path,
            name,
            face_settings,
            series,
            known.landmarks.get(name),
            use_dlib,
            follow_links,
        )


def _nothing(source: Path, found: sources.Found, folder: Path, has_rows: bool) -> str:
    """What is said of a folder without a face."""
    said = (
        f"No face was found in {source}: {len(found.photographs)} pictures, {len(found.clips)} "
        f"clips, {found.other_files} other files."
    )
    if found.closed_folders:
        said += f" {found.closed_folders} folders could not be listed: check if you may read them."
    if found.links:
        said += (
            f" {len(found.links)} linked folders outside were not followed, such as "
            f"{found.links[0]}: --follow-links reads them."
        )
    if has_rows:
        said += f" The column `error` of the shards in {folder} holds the reasons."
    return said
