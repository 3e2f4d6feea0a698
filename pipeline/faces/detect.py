"""Find faces with dlib's HOG detector, cut the one crop that every step uses, put changes back.

The crop is a square around the HOG box with a margin on each side. At 128 px a margin of 0.15
of the box was measured best for OpenFace (mean Pearson r 0.969 against the full photograph;
0.955 with 0.30, 0.842 without). `prepare` and `animate` share it, so that the generator always
sees a face framed as in training.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from ..images.pyramid import Levels, resize
from . import proposals
from .crop import Box, crop_box, inside

# The detector sees faces from 80 px, and its cost grows with the pixels. So the picture is halved
# until its longer side is at most this: there the detector scans all of it. In the levels between
# that and full size it looks only at the places that proposals.py names, coarse to fine.
_GLANCE = 400
_SMALLEST = 80
# No face much larger than 160 px is to be expected where the network sees one.
_LARGEST = 190
# If nothing was found, pictures up to this longer side are searched once more, enlarged twice.
_ENLARGED = 1600
# A face with less than this score, found in a coarse look, is looked at again in a finer one.
_SURE = 0.8
# The score from which a face is one. dlib's own 0 lets pockets and patches of cloth through; it is
# kept where the network is sure of a face too, by its logit.
_THRESHOLD = 0.2
_THRESHOLD_IF_LIKELY = 0.0
_LIKELY = 2.0
# A score above this, in grey, is reason enough to look in colour.
_DOUBTFUL = -0.5
# A second look takes in so much of a face's width on each side of it.
_AROUND = 0.5
# Two boxes are one face if they share more than this of what they cover together.
_SAME_FACE = 0.3


@dataclass(frozen=True)
class Face:
    """A detected face: its HOG box and the detector's score (higher is surer, 0 is borderline)."""

    box: Box
    score: float


def detect_faces(
    image: np.ndarray | Levels, most: int | None = None, min_width: int = 0
) -> list[Face]:
    """The `most` largest faces (None: all) at least `min_width` px wide, largest first.

    image: an RGB picture (height, width, 3) uint8, or its levels.
    """
    levels = image if isinstance(image, Levels) else Levels.of(image)
    longest = max(levels.width, levels.height)
    level = max(0, math.ceil(math.log2(longest / _GLANCE)))
    found = _glance(levels, level)
    while level > 0:
        level -= 1
        sure = [face for face in found if face.score >= _SURE]
        largest_to_come = _LARGEST * 2**level
        if largest_to_come < min_width:
            break
        if most is not None and sum(f.box.width >= largest_to_come for f in sure) >= most:
            break
        doubtful = [face for face in found if face.score < _SURE]
        found = _without_doubles(sure, doubtful + _search(levels, level, sure))
    if not found and longest <= _ENLARGED and min_width < _SMALLEST:
        found = _without_doubles([], _search(levels, -1, []))
    found = [face for face in found if face.box.width >= min_width]
    return sorted(found, key=lambda face: (face.box.width, face.score), reverse=True)[:most]


def _glance(levels: Levels, level: int) -> list[Face]:
    """All faces from 80 px in a level; what is in doubt there is looked at in the next finer one.

    Of a blurred face, or one that falls between two scales of the detector, the score in one look
    is much a matter of chance.
    """
    candidates = _scan(levels[level], 2.0**level, _DOUBTFUL)
    found = [face for face in candidates if face.score >= _THRESHOLD]
    scale = 2.0 ** (level - 1)
    for face in candidates:
        if face.score < _THRESHOLD:
            around = (round(side / scale) for side in crop_box(face.box, _AROUND).as_list())
            part = inside(Box(*around), *levels.size(level - 1))
            picture = levels[level - 1][part.top : part.bottom, part.left : part.right]
            more = _scan(picture, scale, _THRESHOLD, part.left * scale, part.top * scale)
            same = [other for other in more if _shared(face.box, other.box) >= _SAME_FACE]
            found = _without_doubles(found, same)
    return found


def _search(levels: Levels, level: int, known: list[Face]) -> list[Face]:
    """The faces of 80 to 160 px in a level, where the network sees any but those known."""
    width, height = levels.size(level)
    scale = 2.0**level
    # Around the middle of a face that is known there is none to be looked for.
    middles = [crop_box(face.box, -0.25).as_list() for face in known]
    boxes = [[side / scale for side in middle] for middle in middles]
    grey = cv2.cvtColor(levels[level + 2], cv2.COLOR_RGB2GRAY)
    found = []
    for place in proposals.places(grey, boxes, width, height):
        part = levels[level][place.top : place.bottom, place.left : place.right]
        threshold = _THRESHOLD_IF_LIKELY if place.logit >= _LIKELY else _THRESHOLD
        left, top = place.left * scale, place.top * scale
        found += _scan(part, scale, threshold, left, top, place.shrink)
    return found


def _scan(
    picture: np.ndarray,
    scale: float,
    threshold: float = _THRESHOLD,
    left: float = 0.0,
    top: float = 0.0,
    shrink: float = 1.0,
) -> list[Face]:
    """All faces from 80 px in an RGB picture, which is `scale` times smaller than the photograph
    and lies at left, top in it; the first look is at the picture made smaller by `shrink`."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if shrink < 1:
        grey = resize(grey, *(max(1, round(shrink * side)) for side in picture.shape[1::-1]))
    candidates = _placed(_detect(grey, _DOUBTFUL), scale / shrink, left, top)
    found = [face for face in candidates if face.score >= threshold]
    if len(found) < len(candidates):
        # Colour takes the detector a third longer, and decides where grey leaves it in doubt.
        found = _without_doubles(found, _placed(_detect(picture, threshold), scale, left, top))
    return found


def _placed(found: list[Face], scale: float, left: float, top: float) -> list[Face]:
    """Faces of a part of a picture, as they lie in the photograph."""
    offsets = (left, top, left, top)
    placed = []
    for face in found:
        sides = zip(offsets, face.box.as_list(), strict=True)
        placed.append(Face(Box(*(round(o + side * scale) for o, side in sides)), face.score))
    return placed


def _detect(picture: np.ndarray, threshold: float) -> list[Face]:
    boxes, scores, _ = _detector().run(np.ascontiguousarray(picture), 0, threshold)
    return [
        Face(Box(box.left(), box.top(), box.right() + 1, box.bottom() + 1), float(score))
        for box, score in zip(boxes, scores, strict=True)
    ]


def _without_doubles(found: list[Face], more: list[Face]) -> list[Face]:
    """Both, but of faces that share much of their boxes the surest of those found first."""
    kept = list(found)
    for face in sorted(more, key=lambda face: face.score, reverse=True):
        if all(_shared(face.box, other.box) < _SAME_FACE for other in kept):
            kept.append(face)
    return kept


def _shared(a: Box, b: Box) -> float:
    """Intersection over union."""
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    both = max(across, 0) * max(down, 0)
    return both / (a.width * a.height + b.width * b.height - both)


@lru_cache(maxsize=1)
def _detector() -> Any:
    """The HOG detector that face_recognition uses, without loading its other three models."""
    import dlib

    return dlib.get_frontal_face_detector()
