"""One photograph, file in, face crops out: decode, detect, cut. Runs in the worker processes."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..faces import detect
from ..faces.crop import CROP_SIZE, MARGIN, Box, crop_box, cut_crop, encode_jpeg
from ..images import decode
from ..images.pyramid import Levels

# A JPEG is first decoded at a half, a quarter or an eighth, its longer side at least this.
_PREVIEW = 1280
# A crop is cut from that if it is still so many times larger there than it is to be.
_ENOUGH = 2


@dataclass(frozen=True)
class CutFace:
    """A face cut out of a photograph."""

    box: Box
    """The HOG box, in pixels of the upright photograph at full size."""
    crop: Box
    """What was cut: the box's square with the margin."""
    score: float
    jpeg: bytes
    """The crop, (size, size) RGB, as a JPEG file."""


@dataclass(frozen=True)
class Cuts:
    """A photograph's size, upright, in pixels, and its faces, largest first; may be none."""

    width: int
    height: int
    faces: list[CutFace]


def cut_faces(
    file: Path | bytes,
    size: int = CROP_SIZE,
    margin: float = MARGIN,
    most: int | None = 1,
    min_face: int = 0,
) -> Cuts:
    """The `most` largest faces (None: all) whose HOG box is at least `min_face` px wide.

    file: a photograph, as its path or its bytes. Raises images.UnreadableImage or images.TooLarge.
    """
    preview = decode.read_preview(file, _PREVIEW)
    levels = Levels(
        preview.width,
        preview.height,
        lambda: decode.read_image(file),
        preview.picture,
        preview.halvings,
    )
    return _cut(levels, size, margin, most, min_face)


def cut_faces_of(
    picture: np.ndarray,
    size: int = CROP_SIZE,
    margin: float = MARGIN,
    most: int | None = 1,
    min_face: int = 0,
) -> Cuts:
    """The same for a picture (height, width, 3) uint8 RGB that is decoded already."""
    return _cut(Levels.of(picture), size, margin, most, min_face)


def _cut(levels: Levels, size: int, margin: float, most: int | None, min_face: int) -> Cuts:
    cv2.setNumThreads(1)  # the worker processes fill the cores already
    cut = []
    for face in detect.detect_faces(levels, most, min_face):
        crop = crop_box(face.box, margin)
        # A crop that is large enough in the preview is cut from it: averaged down to its size it
        # is the same up to noise, and the whole photograph need not be decoded.
        scale = 2**levels.known_level
        if crop.width >= _ENOUGH * size * scale:
            reduced = Box(*(round(side / scale) for side in crop.as_list()))
            pixels = cut_crop(levels[levels.known_level], reduced, size)
        else:
            pixels = cut_crop(levels[0], crop, size)
        cut.append(CutFace(face.box, crop, face.score, encode_jpeg(pixels)))
    return Cuts(levels.width, levels.height, cut)
