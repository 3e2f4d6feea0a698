"""Find faces coarse to fine on an image pyramid, with dlib's HOG detector.

The detector finds faces from 80 px, and its time grows with the number of pixels. Searching a
photograph at full size would take nearly all the time of `prepare`. Therefore:

1. The image is halved until its longer side is at most 400 px. This level is searched entirely.
2. In each finer level only faces of 80-160 px remain to be found. They are searched for in the
   regions that a small network proposes (`proposals.py`).
3. A face with an uncertain score is searched for again in the next finer level and in colour.

If only the largest faces are wanted, the search ends at the level that contains them.
"""

import math

import cv2
import numpy as np

from ..images.pyramid import Pyramid, resize
from . import hog, proposals
from .crop import Box, crop_box
from .hog import Face

_COARSEST_SIDE = 400
"""Longest side in pixels of the level that is searched entirely."""
_LARGEST_PROPOSED = 190
"""Width in pixels that no face in a proposed region is expected to exceed."""
_MAX_ENLARGED_SIDE = 1600
"""If no face was found, images up to this side (px) are searched again at twice their size."""
_CONFIDENT = 0.8
"""A face with a lower score is searched for again in the next finer level."""
_THRESHOLD = 0.2
"""The lowest score of a face. At dlib's own threshold, 0, pieces of cloth pass as faces."""
_THRESHOLD_IF_LIKELY = 0.0
"""The lowest score of a face where the network's logit is at least `_LIKELY`."""
_LIKELY = 2.0
_UNCERTAIN = -0.5
"""From this score on in grey, a rejected candidate is examined again."""
_CONTEXT = 0.5
"""Margin around a candidate that is examined again, as a fraction of its box."""
_SAME_FACE = 0.3
"""Boxes are the same face if their intersection over union is at least this."""


def detect_faces(image: np.ndarray | Pyramid, most: int | None = None) -> list[Face]:
    """Return the `most` largest faces (None: all).

    image: (height, width, 3) uint8 RGB, or its pyramid. Boxes are in pixels of level 0, and the
    largest face comes first.
    """
    return search(image, most)[:most]


def search(image: np.ndarray | Pyramid, most: int | None = None) -> list[Face]:
    """Return all faces that are found on the way to the `most` largest ones, the largest first.

    Arguments as for `detect_faces`. Faces much smaller than the `most` largest are not looked for.
    """
    pyramid = image if isinstance(image, Pyramid) else Pyramid.from_image(image)
    longest = max(pyramid.width, pyramid.height)
    level = max(0, math.ceil(math.log2(longest / _COARSEST_SIDE)))
    found = _search_all(pyramid, level)
    while level > 0:
        level -= 1
        confident = [face for face in found if face.score >= _CONFIDENT]
        largest_to_come = _LARGEST_PROPOSED * 2**level
        if most is not None and sum(f.box.width >= largest_to_come for f in confident) >= most:
            break
        uncertain = [face for face in found if face.score < _CONFIDENT]
        found = _merge(confident, uncertain + _search_proposed(pyramid, level, confident))
    if not found and longest <= _MAX_ENLARGED_SIDE:
        found = _merge([], _search_proposed(pyramid, -1, []))
    return sorted(found, key=lambda face: (face.box.width, face.score), reverse=True)


def _search_all(pyramid: Pyramid, level: int) -> list[Face]:
    """Search a whole level, and uncertain candidates again in the next finer level.

    The score of a face that is blurred, or whose size lies between two scales of the detector,
    varies much from one search to another.
    """
    candidates = _scan(pyramid[level], 2.0**level, _UNCERTAIN)
    found = [face for face in candidates if face.score >= _THRESHOLD]
    scale = 2.0 ** (level - 1)
    for face in candidates:
        if face.score < _THRESHOLD:
            around = (round(side / scale) for side in crop_box(face.box, _CONTEXT).as_list())
            part = Box(*around).clip(*pyramid.size(level - 1))
            pixels = pyramid[level - 1][part.top : part.bottom, part.left : part.right]
            again = _scan(pixels, scale, _THRESHOLD, part.left * scale, part.top * scale)
            same = [other for other in again if iou(face.box, other.box) >= _SAME_FACE]
            found = _merge(found, same)
    return found


def _search_proposed(pyramid: Pyramid, level: int, found: list[Face]) -> list[Face]:
    """Search a level for faces of 80-160 px in the proposed regions, except in faces of `found`."""
    width, height = pyramid.size(level)
    scale = 2.0**level
    # The middle half of a face contains no other face, but noses and eyes that look like one.
    middles = [crop_box(face.box, -0.25).as_list() for face in found]
    boxes = [[side / scale for side in middle] for middle in middles]
    grey = cv2.cvtColor(pyramid[level + 2], cv2.COLOR_RGB2GRAY)
    faces = []
    for region in proposals.propose_regions(grey, boxes, width, height):
        pixels = pyramid[level][region.top : region.bottom, region.left : region.right]
        threshold = _THRESHOLD_IF_LIKELY if region.logit >= _LIKELY else _THRESHOLD
        left, top = region.left * scale, region.top * scale
        faces += _scan(pixels, scale, threshold, left, top, region.shrink)
    return faces


def _scan(
    image: np.ndarray,
    scale: float,
    threshold: float = _THRESHOLD,
    left: float = 0.0,
    top: float = 0.0,
    shrink: float = 1.0,
) -> list[Face]:
    """Run the detector on a part of a level, in grey and, where that is uncertain, in colour.

    image: (height, width, 3) uint8 RGB, `scale` times smaller than level 0, in which its upper
    left corner is at (left, top). The grey image is scaled by `shrink` before it is searched.
    Returns the faces in pixels of level 0.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if shrink < 1:
        grey = resize(grey, *(max(1, round(shrink * side)) for side in image.shape[1::-1]))
    candidates = _to_level_0(hog.detect(grey, _UNCERTAIN), scale / shrink, left, top)
    found = [face for face in candidates if face.score >= threshold]
    if len(found) < len(candidates):
        # The detector is a third slower in colour, so only uncertain candidates are worth it.
        found = _merge(found, _to_level_0(hog.detect(image, threshold), scale, left, top))
    return found


def _to_level_0(faces: list[Face], scale: float, left: float, top: float) -> list[Face]:
    """Convert boxes from pixels of a part of a level to pixels of level 0."""
    offsets = (left, top, left, top)
    converted = []
    for face in faces:
        sides = zip(offsets, face.box.as_list(), strict=True)
        converted.append(Face(Box(*(round(o + side * scale) for o, side in sides)), face.score))
    return converted


def _merge(found: list[Face], more: list[Face]) -> list[Face]:
    """Add the faces of `more` to `found`, highest score first, unless they overlap one there."""
    merged = list(found)
    for face in sorted(more, key=lambda face: face.score, reverse=True):
        if all(iou(face.box, other.box) < _SAME_FACE for other in merged):
            merged.append(face)
    return merged


def iou(a: Box, b: Box) -> float:
    """Intersection over union."""
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    both = max(across, 0) * max(down, 0)
    return both / (a.width * a.height + b.width * b.height - both)
