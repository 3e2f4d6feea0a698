"""A clip as input: which AUs are asked of whom in each frame, without flicker."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ...pipeline.faces.frame import Frame
from ...pipeline.images import video
from ...pipeline.images.decode import UnreadableImage
from .animator import Animator
from .faces import Face
from .follow import Track
from .render import Moment
from .smoothing import faded, smoothed, without_short

Targets = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From a face's own AUs (n, 17) at times (n,) in seconds to those asked for, (n, 17) in 0-1."""

_PLACE_DEVIATION, _AU_DEVIATION = 0.08, 0.06
"""Standard deviations in seconds of the Gaussians that smooth where the face is, and its AUs."""
_SHORTEST = 0.3
"""A face that is seen for less, in seconds, between frames in which it is not, is left alone."""
_FADE = 0.25
"""How long a change takes to come and go, in seconds, where the face is lost for a while."""


def moments(
    animator: Animator, tracks: Sequence[Track], times: np.ndarray, targets: Targets
) -> list[list[Moment]]:
    """What is asked of the faces of a clip in each of its n frames.

    Places and AUs are smoothed over time, and the change fades out before a face is lost and comes
    back after it is found.

    times: (n,) in seconds.
    """
    result: list[list[Moment]] = [[] for _ in times]
    for track in tracks:
        regions = _regions(animator, track, times)
        own = smoothed(track.aus, times, track.runs, _AU_DEVIATION)
        present = without_short(track.seen, times, _SHORTEST)
        strength = faded(present, times, _FADE)
        known = np.where(track.seen[:, None], own, 0.0).astype(np.float32)
        asked = targets(known, times)
        asked = known + strength[:, None].astype(np.float32) * (asked - known)
        for index in np.flatnonzero(strength):
            if not np.array_equal(asked[index], known[index]):
                region = regions[index]
                face = Face(region.bounds, known[index], region)
                result[index].append(Moment(face, asked[index]))
    return result


def _regions(animator: Animator, track: Track, times: np.ndarray) -> list[Frame]:
    """Where the generator sees the face in each frame; of no meaning where it is not seen."""
    places = np.full((len(times), 4), np.nan)
    for index in np.flatnonzero(track.seen):
        frame = animator.frame(track.landmarks[index])
        places[index] = *frame.matrix[:, 0], *frame.centre
    return [
        Frame(np.array([[a, -b], [b, a]]), np.array([x, y]))
        for a, b, x, y in smoothed(places, times, track.runs, _PLACE_DEVIATION)
    ]


def readable_frames(clip: Path) -> Iterator[np.ndarray]:
    """The frames (h, w, 3) uint8 RGB of a clip, up to where it is damaged."""
    try:
        for frame in video.frames(clip):
            yield frame.pixels
    except UnreadableImage:
        return
