"""Photographs to shards: walk a folder, find each main face, cut it, write it down."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import cutting, engine, faces, images, shards
from .errors import NothingUsable, WrongUse


@dataclass(frozen=True)
class PrepareSettings:
    """What decides the content of the shards. A shard set holds one setting only."""

    size: int = faces.CROP_SIZE
    """Side of the square crops, in pixels."""
    margin: float = faces.MARGIN
    """Margin around the HOG box on each side, as a share of the box."""
    test_fraction: float = 0.1
    """Share of the photographs set apart for testing, by a hash of their path."""
    shard_rows: int = 512
    """Rows in a full shard: what a kill can cost at most, for each split."""

    def validate(self) -> None:
        """Raise WrongUse for a value outside its range."""
        if self.size < 64:
            raise WrongUse(f"--size {self.size} is too small: crops are at least 64 px.")
        if not 0 <= self.margin <= 1:
            raise WrongUse(f"--margin {self.margin:g} is outside 0 to 1.")
        if not 0 <= self.test_fraction < 1:
            raise WrongUse(f"--test-fraction {self.test_fraction:g} is outside 0 to below 1.")
        if self.shard_rows < 1:
            raise WrongUse(f"shard_rows {self.shard_rows} is below 1.")


@dataclass(frozen=True)
class Summary:
    """How a run of prepare ended, in photographs."""

    found: int
    """Picture files under the source folder."""
    skipped: int
    """Those an earlier run had finished."""
    counts: dict[str, int]
    """Rows by status over the whole shard set, earlier runs included."""
    other_files: int
    """Files that are no pictures by their name."""


def prepare(
    source: Path,
    out: Path,
    settings: PrepareSettings | None = None,
    workers: int | None = None,
    on_start: Callable[[int, int], None] = lambda total, skipped: None,
    on_photograph: Callable[[str], None] = lambda status: None,
) -> Summary:
    """Write a row for each photograph under `source` into shards in `out`.

    A second call goes on where the first was stopped: photographs that stand in a shard are not
    read again. on_start is told how many there are and how many are done, on_photograph the
    status of each one finished. Raises WrongUse for a wrong source, settings out of range or
    other settings than the shards in `out` were made with; NothingUsable if no face is found.
    """
    settings = settings or PrepareSettings()
    settings.validate()
    if not source.is_dir():
        raise WrongUse(f"{source} is not a folder. Give --src a folder of photographs.")
    recorded = asdict(settings) | {"source": str(source.resolve())}
    _claim(out, recorded)

    photographs, other_files = find_photographs(source, out)
    finished = set(shards.read_column(out, "source"))
    tasks = [
        (source / path, name, settings)
        for path in photographs
        if (name := _source_name(path)) not in finished
    ]
    on_start(len(photographs), len(photographs) - len(tasks))

    buffers: dict[str, list[dict[str, Any]]] = {split: [] for split in shards.SPLITS}

    def flush(split: str) -> None:
        rows, buffers[split] = sorted(buffers[split], key=lambda row: row["key"]), []
        shards.write_shard(shards.next_shard_path(out, split), shards.rows_to_table(rows))

    for (_, name, _), row in engine.run(_read_face, tasks, workers or os.cpu_count() or 1):
        if isinstance(row, engine.Crashed):
            row = _failed(name, shards.UNREADABLE, str(row))
        split = shards.split_of(name, settings.test_fraction)
        buffers[split].append(row)
        if len(buffers[split]) >= settings.shard_rows:
            flush(split)
        on_photograph(row["status"])
    for split in shards.SPLITS:
        if buffers[split]:
            flush(split)

    counts = shards.write_manifest(out, recorded)
    if not counts.get(shards.OK):
        raise NothingUsable(
            f"No face was found in {source}: {len(photographs)} pictures, {other_files} other "
            f"files. The reasons stand in the column `error` of the shards in {out}."
        )
    return Summary(len(photographs), len(photographs) - len(tasks), counts, other_files)


def find_photographs(source: Path, out: Path) -> tuple[list[Path], int]:
    """Picture files under `source`, relative and sorted, and the number of other files.

    Known by their names' endings. Hidden folders, links to folders and `out` are not entered.
    """
    found, others = [], 0
    out = out.resolve()
    for folder, subfolders, names in os.walk(source):
        subfolders[:] = [
            name
            for name in subfolders
            if not name.startswith(".") and (Path(folder) / name).resolve() != out
        ]
        for name in names:
            if name.startswith("."):
                continue
            path = Path(folder) / name
            if path.suffix.lower() in images.SUFFIXES:
                found.append(path.relative_to(source))
            else:
                others += 1
    return sorted(found), others


def _claim(out: Path, recorded: dict[str, Any]) -> None:
    """Create `out`, or check that what stands there was made with the same settings."""
    manifest = shards.read_manifest(out) if out.is_dir() else None
    if manifest is None:
        if any(out.glob("*.parquet")):
            raise WrongUse(f"{out} holds shards without {shards.MANIFEST}. Choose another --out.")
        out.mkdir(parents=True, exist_ok=True)
        shards.write_manifest(out, recorded)
        return
    for name, value in recorded.items():
        earlier = manifest["settings"].get(name)
        if earlier != value:
            raise WrongUse(
                f"{out} was prepared with {name}={earlier}, this run says {name}={value}. Repeat "
                "the earlier setting to go on, or choose another --out."
            )


def _source_name(path: Path) -> str:
    """The path as text that any Parquet reader takes, whatever bytes the name holds."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _read_face(task: tuple[Path, str, PrepareSettings]) -> dict[str, Any]:
    """One photograph to one row; runs in a worker process."""
    path, name, settings = task
    try:
        cuts = cutting.cut_faces(path, settings.size, settings.margin)
    except images.TooLarge as reason:
        return _failed(name, shards.TOO_LARGE, str(reason))
    except images.UnreadableImage as reason:
        return _failed(name, shards.UNREADABLE, str(reason))
    size = {"source_width": cuts.width, "source_height": cuts.height}
    if not cuts.faces:
        return _failed(name, shards.NO_FACE, "the HOG detector found no face") | size
    face = cuts.faces[0]
    return size | {
        "key": f"{name}#0",
        "image": {"bytes": face.jpeg, "path": None},
        "source": name,
        "face_index": 0,
        "box": face.box.as_list(),
        "crop": face.crop.as_list(),
        "detection_score": face.score,
        "status": shards.OK,
    }


def _failed(name: str, status: str, error: str) -> dict[str, Any]:
    return {"key": f"{name}#", "source": name, "status": status, "error": error}
