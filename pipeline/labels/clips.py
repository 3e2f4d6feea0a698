"""Which rows of a clip's CSV belong to which of its frames."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ..openface.output import FaceRecord

_ROUNDED = 0.0055
"""How far two times of a frame may differ, in s, where one is written to 0.01 s."""
_STEADY = 0.002
"""How far the times of a clip of constant rate may be from a line, in s."""


class NoLabel(Exception):
    """A crop has no usable label. The message is the reason, as written into the shards."""


class ClipLabels:
    """The labels of a clip's frames."""

    def __init__(
        self,
        faces: Sequence[FaceRecord],
        times: Sequence[tuple[int, float]] = (),
        crowded: bool = False,
    ) -> None:
        """faces: of all frames.
        times: number and time (s) of the frames that were prepared.
        crowded: whether several faces were found in one of them.

        Raises NoLabel if the labels are not of frames, or may be of several persons and do not say
        where they are.
        """
        if all(face.frame is None and face.seconds is None for face in faces):
            raise NoLabel("its label is of a photograph, not of a clip")
        placed = any(face.landmarks is not None or face.box is not None for face in faces)
        if not placed and (crowded or len({face.face_id for face in faces}) > 1):
            raise NoLabel("its clip has several faces, and the label does not say where they are")
        self._by_frame: dict[int, list[FaceRecord]] = defaultdict(list)
        self._by_time: dict[float, list[FaceRecord]] = defaultdict(list)
        for face in faces:
            if face.frame is not None:
                self._by_frame[face.frame].append(face)
            if face.seconds is not None:
                self._by_time[face.seconds].append(face)
        self._times = np.array(sorted(self._by_time))
        self._interval = float(np.median(np.diff(self._times))) if len(self._times) > 1 else 0.0
        # OpenFace counts its times from a rate. Of a clip of variable rate they are wrong.
        self._counted = _is_steady(
            [(frame, rows[0].seconds or 0.0) for frame, rows in self._by_frame.items()]
        ) and not _is_steady(times)

    def of_frame(self, frame: int | None, seconds: float) -> list[FaceRecord]:
        """The faces of a frame, by its number (from 1) if it is known, and its time in s.

        Raises NoLabel if there is none, or if number and time contradict each other.
        """
        if frame is None or not self._by_frame:
            return self._at(seconds, _ROUNDED)
        rows = self._by_frame.get(frame, [])
        known = [row.seconds for row in rows if row.seconds is not None]
        if rows and (not known or self._counted or self._is_near(known[0], seconds)):
            return rows
        if self._counted or not len(self._times):
            raise NoLabel(f"its label has no face in frame {frame}")
        # The labels may be of the same clip at another rate.
        return self._at(seconds, _STEADY)

    def _is_near(self, time: float, seconds: float) -> bool:
        return abs(time - seconds) <= max(_STEADY, self._interval / 2)

    def _at(self, seconds: float, tolerance: float) -> list[FaceRecord]:
        near = self._times[np.abs(self._times - seconds) <= tolerance]
        if not len(near):
            raise NoLabel(f"its label has no face at {seconds:g} s")
        if len(near) > 1:
            raise NoLabel(f"its label has several frames at {seconds:g} s")
        return self._by_time[float(near[0])]


def _is_steady(times: Sequence[tuple[int, float]]) -> bool:
    """Whether frames (number, s) come at a constant rate, as far as they tell."""
    if len(times) < 3:
        return True
    frames, seconds = np.array(times, np.float64).T
    line = np.polyval(np.polyfit(frames, seconds, 1), frames)
    return bool(np.abs(line - seconds).max() <= _STEADY)
