"""Extract the faces of one photograph: decode, detect, crop, encode. Runs in worker processes."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..images.decode import read_image, read_preview
from ..images.pyramid import Pyramid
from .crop import CROP_SIZE, MARGIN, Box, crop_box, cut_crop, encode_jpeg
from .detect import search

_PREVIEW_SIDE = 1280
"""A JPEG is first decoded at a half, a quarter or an eighth, with its longer side at least this."""
_OVERSAMPLING = 2
"""A crop is cut from the preview if it is at least this many times larger there than requested."""


@dataclass(frozen=True)
class FaceCrop:
    """A detected face and its crop."""

    box: Box
    """The HOG box, in pixels of the upright photograph at full size; likewise `crop`."""
    crop: Box
    """The square that was cut: the box with its margin."""
    score: float
    """The detector's score."""
    jpeg: bytes
    """The crop, (size, size) RGB, as a JPEG file."""


@dataclass(frozen=True)
class Extraction:
    """The faces of a photograph, the largest first, and its size."""

    width: int
    """Width of the upright photograph in pixels; likewise `height`."""
    height: int
    faces: list[FaceCrop]
    seen: int = 0
    """How many faces the detector saw. Those much smaller than the largest are not searched for
    where the largest alone is wanted."""


def extract_faces(
    file: Path | bytes,
    size: int = CROP_SIZE,
    margin: float = MARGIN,
    most: int | None = 1,
) -> Extraction:
    """Extract the `most` largest faces (None: all) of a photograph, given as its path or bytes.

    size: side of the crops in pixels.
    margin: on each side of the box, as a fraction of it.

    Raises UnreadableImage or TooLarge.
    """
    preview = read_preview(file, _PREVIEW_SIDE)
    pyramid = Pyramid(
        preview.width,
        preview.height,
        lambda: read_image(file),
        preview.pixels,
        preview.halvings,
    )
    return _extract(pyramid, size, margin, most)


def extract_faces_from_image(
    image: np.ndarray,
    size: int = CROP_SIZE,
    margin: float = MARGIN,
    most: int | None = 1,
) -> Extraction:
    """Do the same for an image that is decoded already: (height, width, 3) uint8 RGB."""
    return _extract(Pyramid.from_image(image), size, margin, most)


def _extract(pyramid: Pyramid, size: int, margin: float, most: int | None) -> Extraction:
    cv2.setNumThreads(1)  # one worker process runs per core
    faces = []
    seen = search(pyramid, most)
    for face in seen[:most]:
        crop = crop_box(face.box, margin)
        # Averaged down to its size, a crop of the preview equals one of the full image up to
        # noise. Cutting it from there saves decoding the photograph in full.
        scale = 2**pyramid.decoded_level
        if crop.width >= _OVERSAMPLING * size * scale:
            reduced = Box(*(round(side / scale) for side in crop.as_list()))
            pixels = cut_crop(pyramid[pyramid.decoded_level], reduced, size)
        else:
            pixels = cut_crop(pyramid[0], crop, size)
        faces.append(FaceCrop(face.box, crop, face.score, encode_jpeg(pixels)))
    return Extraction(pyramid.width, pyramid.height, faces, len(seen))
