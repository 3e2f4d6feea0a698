"""Render the pictures of an animation: a still photograph, or the frames of a clip."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np

from ...pipeline.execution.ahead import ahead
from ...pipeline.faces.frame import Region
from ...pipeline.faces.paste import Change
from .animator import Animator
from .faces import Face

_BATCH = 4
"""The faces that the generator renders at a time."""


class StillFace:
    """A face of a still picture that is rendered with many AUs: what depends on the face alone is
    computed once.

    Attributes:
        own_aus: (17,) float32 in 0-1, the AUs that the face shows.
        region: what the generator sees of the picture.
    """

    def __init__(self, animator: Animator, picture: np.ndarray, face: Face) -> None:
        self.own_aus = np.asarray(face.own_aus, np.float32)
        (self.region,), (pixels,) = animator.cut([picture], [face])
        self._render = animator.renderer.still(pixels, self.own_aus)

    def changes(self, targets: np.ndarray) -> list[Change]:
        """What the generator makes of the face for AUs (k, 17) in 0-1."""
        return self._render(targets).changes


def still_pictures(
    animator: Animator, picture: np.ndarray, faces: Sequence[Face], targets: Sequence[np.ndarray]
) -> Iterator[np.ndarray]:
    """Render a still picture (h, w, 3) uint8 RGB with the AUs of each moment.

    A face that is asked for its own AUs stays as it is, to the bit, as does all outside of faces.

    targets: for each face its AUs (n, 17) float32 in 0-1. Yields n pictures.
    """
    still = [StillFace(animator, picture, face) for face in faces]
    # The generator works on in a thread of its own while its changes are put into the picture.
    with closing(ahead(_changes(still, targets), most=1)) as batches:
        for batch in batches:
            for changes in batch:
                result = picture
                for face, change in changes:
                    result = face.region.paste(result, change)
                yield result


def _changes(
    faces: Sequence[StillFace], targets: Sequence[np.ndarray]
) -> Iterator[list[list[tuple[StillFace, Change]]]]:
    """What changes at each moment, by batches: of each face that is not to stay as it is."""
    count = len(targets[0])
    for start in range(0, count, _BATCH):
        moments = range(start, min(start + _BATCH, count))
        batch: dict[int, list[tuple[StillFace, Change]]] = {moment: [] for moment in moments}
        for face, asked in zip(faces, targets, strict=True):
            moved = [at for at in moments if not np.array_equal(asked[at], face.own_aus)]
            if moved:
                for at, change in zip(moved, face.changes(asked[moved]), strict=True):
                    batch[at].append((face, change))
        yield list(batch.values())


class Moment(NamedTuple):
    """What is asked of a face in a frame of a clip."""

    face: Face
    """With its region."""
    target_aus: np.ndarray
    """(17,) float32 in 0-1."""


def clip_pictures(
    animator: Animator, frames: Iterable[np.ndarray], moments: Iterable[Sequence[Moment]]
) -> Iterator[np.ndarray]:
    """Render the frames (h, w, 3) uint8 RGB of a clip, each with the moments of its faces.

    A frame without moments stays as it is.
    """
    waiting: list[tuple[np.ndarray, Sequence[Moment]]] = []
    for frame, asked in zip(frames, moments, strict=False):
        waiting.append((frame, asked))
        if sum(len(moments) for _, moments in waiting) >= _BATCH or len(waiting) >= 2 * _BATCH:
            yield from _rendered(animator, waiting)
            waiting = []
    yield from _rendered(animator, waiting)


def _rendered(
    animator: Animator, waiting: Sequence[tuple[np.ndarray, Sequence[Moment]]]
) -> Iterator[np.ndarray]:
    pairs = [(frame, moment) for frame, asked in waiting for moment in asked]
    changes: Iterator[tuple[Region, Change]] = iter(())
    if pairs:
        regions, edits = animator.generate(
            [frame for frame, _ in pairs],
            [moment.face for _, moment in pairs],
            np.stack([moment.target_aus for _, moment in pairs]),
        )
        changes = zip(regions, edits.changes, strict=True)
    for frame, moments in waiting:
        for _ in moments:
            region, change = next(changes)
            frame = region.paste(frame, change)
        yield frame
