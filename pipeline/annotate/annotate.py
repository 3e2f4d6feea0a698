"""Annotate a shard set: fill the 17 AU columns of its faces, by any annotator."""

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .. import shards
from ..annotator import Annotator, Reading
from ..errors import NothingUsable, WrongUse
from ..execution import pool
from ..files import locked
from . import reannotation
from .batches import batch_size, batched
from .rows import Face, ShardsInProgress, find_rows

CLUSTER_WORKERS = 16
"""Batches are sized for so many workers of a cluster, whose number can change."""
_AHEAD = 8
"""How many batches each worker of a cluster may be ahead of the oldest one that is not read."""


@dataclass(frozen=True)
class Summary:
    """The counts of faces after `annotate`. `annotated` and `failed` are of the whole set."""

    annotated: int
    failed: int
    skipped: int
    """Faces that had AUs, or an error, before this call."""
    read: int = 0
    """Faces that the annotator has read in this call."""
    seconds: float = field(default=0.0, compare=False)
    """How long this call took."""

    @property
    def rate(self) -> float:
        """Faces read per second."""
        return self.read / max(self.seconds, 1e-6)


Read = Callable[[list[Face]], list[Reading]]
Results = Generator[tuple[list[Face], list[Reading]], None, None]


def _on_cluster(scheduler: str, read: Read, batches: Iterable[list[Face]]) -> Results:
    """Read batches on the workers of a Dask cluster. scheduler: its address, such as `tcp://…`."""
    for batch, readings in pool.run(read, batches, scheduler=scheduler, ahead=_AHEAD):
        if isinstance(readings, pool.Crashed):
            raise WrongUse(
                f"Several workers of {scheduler} died while they read the same {len(batch)} "
                f"faces: {readings}. Read the workers' logs; the same command continues the work."
            )
        yield batch, readings


def _read_all(
    annotator: Annotator, faces: Iterator[Face], count: int, scheduler: str | None
) -> Results:
    """Read `count` faces in batches, by the annotator on this machine or on a Dask cluster."""
    if scheduler is not None:
        annotator = annotator.for_cluster()
    workers = annotator.workers if scheduler is None else CLUSTER_WORKERS
    batches = batched(faces, batch_size(count, annotator.batch, workers))
    read = partial(read_faces, annotator)
    if scheduler is None:
        return annotator.run(read, batches)
    return _on_cluster(scheduler, read, batches)


def annotate(
    folder: Path,
    annotator: Annotator,
    overwrite: bool = False,
    redo_below: float | None = None,
    scheduler: str | None = None,
    on_start: Callable[[int, int], None] = lambda total, skipped: None,
    on_face: Callable[[str], None] = lambda status: None,
) -> Summary:
    """Annotate every face in the shards of `folder` that is not annotated yet.

    A shard is rewritten when all its faces are annotated, or, after an interruption, with those
    that are; a second call continues from there.

    overwrite: annotate all faces again.
    redo_below: annotate faces again that have a lower confidence (0-1), or no AUs.
    scheduler: address of a Dask cluster that reads the batches; None: `annotator.run` does.
    on_start: called with the number of faces, and of those that are annotated already.
    on_face: called with the new status of each face.
    Raises WrongUse if there are no shards, or if another annotator has annotated faces, and
    NothingUsable if no face has AUs at the end.
    """
    started = time.monotonic()
    shards.shard_paths(folder)  # raises if there are none, before the folder is locked
    with locked(folder):
        shards.remove_temporary_files(folder)
        paths = shards.shard_paths(folder)
        manifest = shards.read_manifest(folder)
        again = reannotation.start(folder, annotator.name, overwrite, redo_below)
        rows, total = {}, 0
        for path in paths:
            rows[path], faces = find_rows(path, annotator.name, again)
            total += faces
        count = sum(len(indices) for indices in rows.values())
        on_start(total, total - count)
        in_progress = ShardsInProgress(rows, annotator.name, again)
        results = _read_all(annotator, in_progress.faces(), count, scheduler)
        with contextlib.closing(in_progress), contextlib.closing(results):
            for batch, readings in results:
                for face, reading in zip(batch, readings, strict=True):
                    on_face(in_progress.annotate(face, reading))
        again.finish()
        counts = shards.write_manifest(folder, manifest["settings"] if manifest else {})
    summary = Summary(
        counts.get(shards.OK, 0),
        counts.get(shards.NO_AUS, 0),
        total - count,
        count,
        time.monotonic() - started,
    )
    if not summary.annotated:
        raise NothingUsable(
            f"{annotator.name} read no AUs from any face in {folder}. The reasons are in the "
            "column `error` of the shards."
        )
    return summary


def read_faces(annotator: Annotator, faces: list[Face]) -> list[Reading]:
    """Read the AUs of the faces' crops: one reading per face, in order."""
    return annotator.read([face.crop for face in faces])
