"""Clips: the frames of a video file, through PyAV."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from .images import UnreadableImage

SUFFIXES = frozenset((".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"))


@dataclass(frozen=True)
class Frame:
    """A frame of a clip."""

    index: int
    """Its number in the clip, from 0."""
    seconds: float
    """When it is shown, from the clip's start."""
    picture: np.ndarray
    """(height, width, 3) uint8, RGB, upright."""


def frames(clip: Path, every: float = 0.0) -> Iterator[Frame]:
    """The frames of a clip, `every` so many seconds (0: all of them).

    Raises images.UnreadableImage with the reason where the file gives no frame, or no more.
    """
    try:
        with av.open(str(clip)) as container:
            due = 0.0
            for index, frame in enumerate(container.decode(video=0)):
                seconds = frame.time or 0.0
                if seconds + 1e-6 < due:
                    continue
                due = max(due + every, seconds)
                yield Frame(index, seconds, _upright(frame))
    except (av.FFmpegError, IndexError, OSError) as error:
        raise UnreadableImage(f"not a clip that can be read: {error}") from error


def _upright(frame: av.VideoFrame) -> np.ndarray:
    picture = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns))
