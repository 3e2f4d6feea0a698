"""Follow persons through a clip: where their faces are in each frame, and their AUs."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ...pipeline.action_units import COUNT
from ...pipeline.errors import NothingUsable
from ...pipeline.faces import detect, hog
from ...pipeline.faces.crop import CROP_SIZE, crop_box
from ...pipeline.faces.frame import CropRegion, Frame
from ...pipeline.faces.identity import SAME_PERSON, describe_landmarks
from ...pipeline.images import video
from ...pipeline.images.decode import UnreadableImage
from ..estimator.reader import Reader
from ..landmarks.points import POINTS
from .choose import choose
from .faces import find_faces, upright_view
from .timing import Timing

_SURE, _MAYBE = 0.8, 0.3
"""Confidences of the estimator: from the first on a face is seen, below the second it is not; in
between the detector decides."""
_FAR = 0.15
"""A face whose centre moved by more, in sides of its view, is read again from where it is now."""
_ROUNDS = 3
"""The most readings of one face."""
_DETECTED_VIEW, _DETECTED_SIZE = 1.5, 180
"""Size of the part that the detector searches, in views, and in pixels."""
_LOOK, _SAME_LOOK = (32, 32), 0.8
"""Size in pixels at which a face is compared with itself in the frame before; at a lower
correlation than the second it is checked that the person is the same."""
_CHECK_EVERY = 25
"""After so many frames it is checked that the person is still the same."""
_SEARCH_EVERY = 5
"""While the person is lost, every so many frames are searched."""
_REMEMBERED = 0.2
"""Share of a new descriptor in the person's."""
_NOWHERE = np.full((POINTS, 2), np.nan)
_UNREAD = np.full(COUNT, np.nan, np.float32)


@dataclass(frozen=True)
class Track:
    """A person's face in the n frames of a clip."""

    landmarks: np.ndarray
    """(n, 68, 2), x and y in pixels, as `Face.landmarks`; NaN where the face is not seen."""
    aus: np.ndarray
    """(n, 17) in 0-1; NaN where the face is not seen."""
    runs: np.ndarray
    """(n,) int: frames with the same number follow each other without a cut or a gap."""

    @property
    def seen(self) -> np.ndarray:
        """(n,) bool: whether the face is seen."""
        return ~np.isnan(self.aus[:, 0])


@dataclass(frozen=True)
class Followed:
    """What `follow` finds in a clip."""

    timing: Timing
    tracks: list[Track]
    others: int
    """The number of faces in the first frame with a face that were not followed."""
    problem: str | None
    """Why the clip was not read to its end; None if it was."""


def follow(
    reader: Reader, clip: Path, which: int | None = 1, on_frame: Callable[[], None] = lambda: None
) -> Followed:
    """Follow the face `which`, from 1 for the largest (None: all), of the first frame with a face.

    A person who leaves the picture is found again when coming back, and is not confused with
    others. Raises NothingUsable if the clip cannot be read or shows no face, and WrongUse if there
    is no such face.

    on_frame: called after each frame.
    """
    followers: list[_Follower] = []
    times: list[Fraction] = []
    end, others, problem = Fraction(0), 0, None
    try:
        for frame in video.frames(clip):
            if not followers and len(times) % _SEARCH_EVERY == 0:
                faces = find_faces(reader, frame.pixels)
                chosen = choose(faces, which) if faces else []
                others = len(faces) - len(chosen)
                followers = [
                    _Follower(reader, frame.pixels, face.landmarks, len(times))
                    for face in chosen
                    if face.landmarks is not None
                ]
            for follower in followers:
                follower.step(frame.pixels)
            times.append(frame.time)
            end = frame.time + frame.duration
            on_frame()
    except UnreadableImage as reason:
        if not times:
            raise NothingUsable(f"{clip} cannot be read: {reason}.") from reason
        problem = str(reason)
    if not followers:
        raise NothingUsable(f"No face was found in the {len(times)} frames of {clip}.")
    if end <= times[-1]:  # the file does not say how long the last frame is shown
        end = times[-1] + (times[-1] / (len(times) - 1) if len(times) > 1 else Fraction(1, 25))
    tracks = [follower.track() for follower in followers]
    return Followed(Timing(tuple(times), end), tracks, others, problem)


class _Reading(NamedTuple):
    landmarks: np.ndarray
    aus: np.ndarray
    seen: bool
    look: np.ndarray
    """(32, 32) float32, the upright face at low resolution: mean 0, standard deviation 1."""


class _Follower:
    """Follows one person from frame to frame.

    Args:
        reader: the estimator.
        picture, landmarks: a frame, and where the person's face is in it.
        missed: the number of frames before it.
    """

    def __init__(
        self, reader: Reader, picture: np.ndarray, landmarks: np.ndarray, missed: int
    ) -> None:
        self._reader = reader
        self._person = describe_landmarks(picture, landmarks)
        self._last: np.ndarray | None = landmarks
        self._landmarks = [_NOWHERE] * missed
        self._aus = [_UNREAD] * missed
        self._runs = [0] * missed
        self._look: np.ndarray | None = None
        self._lost = self._since_check = 0

    def track(self) -> Track:
        return Track(np.stack(self._landmarks), np.stack(self._aus), np.array(self._runs))

    def step(self, picture: np.ndarray) -> None:
        """Read the person's face in the next frame."""
        reading = None if self._last is None else self._continued(picture, self._last)
        run = self._runs[-1] if self._runs else 0
        if reading is None:
            run += self._last is not None
            reading = self._found_again(picture)
        self._last = None if reading is None else reading.landmarks
        self._look = None if reading is None else reading.look
        self._lost = self._lost + 1 if reading is None else 0
        self._landmarks.append(_NOWHERE if reading is None else reading.landmarks)
        self._aus.append(_UNREAD if reading is None else reading.aus)
        self._runs.append(run)

    def _continued(self, picture: np.ndarray, last: np.ndarray) -> _Reading | None:
        """The face near where it was in the frame before, if it is still there."""
        reading = _read(self._reader, picture, upright_view(last, self._reader.mean_face))
        if not reading.seen:
            return None
        self._since_check += 1
        changed = self._look is None or float((reading.look * self._look).mean()) < _SAME_LOOK
        check = changed or self._since_check >= _CHECK_EVERY
        if check and not self._is_person(picture, reading.landmarks):
            return None
        return reading

    def _found_again(self, picture: np.ndarray) -> _Reading | None:
        """The person's face, wherever it is in the frame."""
        if self._lost % _SEARCH_EVERY:
            return None
        for face in detect.detect_faces(picture):
            reading = _read(self._reader, picture, CropRegion(crop_box(face.box)).frame)
            if reading.seen and self._is_person(picture, reading.landmarks):
                return reading
        return None

    def _is_person(self, picture: np.ndarray, landmarks: np.ndarray) -> bool:
        described = describe_landmarks(picture, landmarks)
        if np.linalg.norm(described - self._person) > SAME_PERSON:
            return False
        self._since_check = 0
        self._person += _REMEMBERED * (described - self._person)
        return True


def _read(reader: Reader, picture: np.ndarray, view: Frame) -> _Reading:
    """Read the face in a view, and once more where it is, if it lies far from the view's middle."""
    for _ in range(_ROUNDS):
        pixels = view.cut(picture, CROP_SIZE)
        readings = reader.read_faces(pixels[None])
        landmarks = view.to_picture(readings.landmarks[0].astype(np.float64))
        there = upright_view(landmarks, reader.mean_face)
        moved = float(np.hypot(*(there.centre - view.centre))) / (2 * view.scale)
        if moved <= _FAR:
            break
        view = there
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, _LOOK, interpolation=cv2.INTER_AREA).astype(np.float32)
    look = (small - small.mean()) / (small.std() + 1)
    sure = float(readings.confidence[0])
    seen = sure >= _SURE or (sure >= _MAYBE and _is_face(picture, there))
    return _Reading(landmarks, readings.aus[0], seen, look)


def _is_face(picture: np.ndarray, view: Frame) -> bool:
    """Whether the detector finds a face where the view is."""
    part = Frame(view.matrix * _DETECTED_VIEW, view.centre).cut(picture, _DETECTED_SIZE)
    return bool(hog.detect(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), 0.0))
