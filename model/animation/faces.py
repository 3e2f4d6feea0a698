"""Find the faces of a photograph at any angle in its plane, and read their AUs, pose and place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from ...pipeline.faces import detect
from ...pipeline.faces.crop import CROP_SIZE, Box, crop_box
from ...pipeline.faces.frame import CropRegion, Frame, Region
from ..estimator.reader import Reader
from ..landmarks.placing import place_frame
from ..landmarks.points import RIGID

_TURNS = (90, -90, 180, 45, -45, 135, -135)
"""Degrees by which a photograph is searched turned if no face is certain in it as it is. dlib's
detector finds faces tilted by up to about 30."""
_CERTAIN = 0.8
"""A face with a lower score of the detector does not end the search: in photographs upside down it
finds faces that are none, with scores up to 0.4."""
_DOUBTFUL_SCORE, _DOUBTFUL_CONFIDENCE = 0.5, 0.89
"""What is below both is no face: of 12 with such a score, five had such a confidence, all badges
and backgrounds."""
_UPRIGHT = 10.0
"""A face tilted by more degrees in its crop is read once more, in an upright view."""
_MOST_READINGS, _STAYS = 5, 0.06
"""How often a face is read again at most; and how far the corners of its view may move, in half
sides, for it to count as read where it is. Over 360 photographs AUs are as near to OpenFace's as
those of the first reading (r 0.88)."""
_CORNERS = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
_VIEW_SCALE, _VIEW_CENTRE = 1.17, (0.0, -0.17)
"""Size and centre of the crops of upright faces in the coordinates of the estimator's view:
medians of 88 crops, which vary by 0.1 and by 0.07."""
_NOSE_DEPTH = 0.63
"""How far the tip of a nose stands before the eyes, over the distance of their centres. So the
angle has r = 0.97 with OpenFace's over 150 photographs turned by up to 28 degrees."""
_Found = tuple[CropRegion | Frame, float]
"""The crop of a face, upright in it, and the detector's score."""


@dataclass(frozen=True)
class Face:
    """A face in a picture."""

    crop: Box
    """The crop around its HOG box, in pixels of the picture. Of a tilted face, the square of the
    same size and centre along the pixels."""
    own_aus: np.ndarray
    """(17,) float, 0-1: the AUs that the face shows."""
    region: Region | None = None
    """What the generator sees; None: it is found when the face is rendered."""
    view: CropRegion | Frame | None = None
    """The crop from which the AUs were read, upright; None: `crop`."""
    landmarks: np.ndarray | None = None
    """(68, 2), x and y in pixels of the picture; the centre of its first pixel is at 0, 0."""
    confidence: float = 1.0
    """0-1: how well the estimator can read the face."""
    score: float = 1.0
    """Of the detector: 0.2 and more, and 1 to 3 for clear faces."""

    @property
    def centre(self) -> tuple[float, float]:
        """The centre of the crop, in pixels of the picture."""
        return (self.crop.left + self.crop.right) / 2, (self.crop.top + self.crop.bottom) / 2

    @cached_property
    def roll(self) -> float:
        """Degrees, -180 to 180, by which the face is tilted in the plane; clockwise is positive."""
        right = self._eyes[1] - self._eyes[0]
        return float(np.degrees(np.arctan2(right[1], right[0])))

    @cached_property
    def yaw(self) -> float:
        """Degrees, about, by which the face is turned to the side; positive to the right of the
        picture. From where the tip of the nose lies between the eyes."""
        first, second = self._eyes
        assert self.landmarks is not None
        right = second - first
        aside = (self.landmarks[30] - (first + second) / 2) @ right / (right @ right)
        return float(np.degrees(np.arctan(aside / _NOSE_DEPTH)))

    @property
    def _eyes(self) -> tuple[np.ndarray, np.ndarray]:
        """The centres of both eyes, that on the left of an upright picture first."""
        if self.landmarks is None:
            raise ValueError("this face was not found in a photograph: it has no landmarks")
        return self.landmarks[36:42].mean(0), self.landmarks[42:48].mean(0)


def find_faces(reader: Reader, picture: np.ndarray, most: int | None = None) -> list[Face]:
    """Return the `most` largest faces (None: all) of a picture (h, w, 3) uint8 RGB, largest first.

    If no face in it is certain, the picture is searched turned by 90, 180, 45 and 135 degrees too.
    """
    best = _views(picture, most)
    for turn in _TURNS:
        if _score(best) >= _CERTAIN:
            break
        turned, back = _turned(picture, turn)
        found: list[_Found] = [
            (_through(back, view), score) for view, score in _views(turned, most)
        ]
        best = max(best, found, key=_score)
    faces = [replace(read_face(reader, picture, view), score=score) for view, score in best]
    return [face for face in faces if not _is_doubtful(face)]


def _is_doubtful(face: Face) -> bool:
    return face.score < _DOUBTFUL_SCORE and face.confidence < _DOUBTFUL_CONFIDENCE


def read_face(reader: Reader, picture: np.ndarray, view: CropRegion | Frame) -> Face:
    """Read the AUs and landmarks of the face that fills a view of a picture (h, w, 3) uint8 RGB."""
    face = _read(reader, picture, view)
    tilt = face.roll - (view.roll if isinstance(view, Frame) else 0.0)
    assert face.landmarks is not None
    if abs((tilt + 180) % 360 - 180) > _UPRIGHT:
        view = upright_view(face.landmarks, reader.mean_face)
        face = _read(reader, picture, view)
    return _settled(reader, picture, face, view if isinstance(view, Frame) else view.frame)


def _settled(reader: Reader, picture: np.ndarray, face: Face, view: Frame) -> Face:
    """The face, read again where its landmarks say that it is, until they stay.

    So AUs and landmarks do not depend on where the detector found the face: from a crop, and from
    one turned by 30 degrees, landmarks are 4 to 28 pixels apart at first, and then 0.1 to 3.

    view: where it was read first.
    """
    for _ in range(_MOST_READINGS):
        assert face.landmarks is not None
        there = upright_view(face.landmarks, reader.mean_face)
        if np.linalg.norm(there.to_picture(_CORNERS) - view.to_picture(_CORNERS), axis=1).max() < (
            _STAYS * there.scale
        ):
            break
        again, view = _read(reader, picture, there), there
        face = replace(
            face,
            view=there,
            own_aus=again.own_aus,
            landmarks=again.landmarks,
            confidence=again.confidence,
        )
    return face


def _read(reader: Reader, picture: np.ndarray, view: CropRegion | Frame) -> Face:
    readings = reader.read_faces(view.cut(picture, CROP_SIZE)[None])
    return Face(
        view.bounds,
        readings.aus[0],
        view=view,
        landmarks=view.to_picture(readings.landmarks[0].astype(np.float64)),
        confidence=float(readings.confidence[0]),
    )


def upright_view(landmarks: np.ndarray, mean_face: np.ndarray) -> Frame:
    """The crop of a face with landmarks (68, 2) in pixels, turned so that it is upright there.

    mean_face: that of the reader.
    """
    frame = place_frame(landmarks, mean_face, RIGID)
    return Frame(frame.matrix * _VIEW_SCALE, frame.to_picture(np.array(_VIEW_CENTRE)))


def _views(picture: np.ndarray, most: int | None) -> list[_Found]:
    """The crops of the faces that are found in a picture, with their scores."""
    found = detect.detect_faces(picture, most)
    return [(CropRegion(crop_box(face.box)), face.score) for face in found]


def _score(found: Sequence[_Found]) -> float:
    return max((score for _, score in found), default=float("-inf"))


def _through(back: Frame, view: CropRegion | Frame) -> Frame:
    """A view of a turned picture as one of the picture; `back` leads from pixels to pixels."""
    frame = view if isinstance(view, Frame) else view.frame
    return Frame(back.matrix @ frame.matrix, back.to_picture(frame.centre))


def _turned(picture: np.ndarray, degrees: int) -> tuple[np.ndarray, Frame]:
    """The whole of a picture, turned so that what was tilted by degrees clockwise is upright; and
    the frame that leads from pixels of the result to pixels of the picture."""
    height, width = picture.shape[:2]
    angle = np.radians(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.array([[cosine, -sine], [sine, cosine]])
    across = int(np.ceil(width * abs(cosine) + height * abs(sine) - 1e-6))
    down = int(np.ceil(width * abs(sine) + height * abs(cosine) - 1e-6))
    middle = (np.array([width, height]) - 1) / 2
    back = Frame(matrix, middle - matrix @ ((np.array([across, down]) - 1) / 2))
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(picture, degrees // 90)), back
    turned = cv2.warpAffine(
        picture,
        np.c_[back.matrix, back.centre],
        (across, down),
        flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR,
        borderValue=(128, 128, 128),
    )
    return turned, back
