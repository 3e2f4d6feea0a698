"""One photograph, file in, face crops out: decode, detect, cut. Runs in the worker processes."""

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from . import faces, images

_JPEG_QUALITY = 95


@dataclass(frozen=True)
class CutFace:
    """A face cut out of a photograph."""

    box: faces.Box
    """The HOG box, in pixels of the upright photograph at full size."""
    crop: faces.Box
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
    size: int = faces.CROP_SIZE,
    margin: float = faces.MARGIN,
    most: int | None = 1,
    min_face: int = 0,
) -> Cuts:
    """The `most` largest faces (None: all) whose HOG box is at least `min_face` px wide.

    file: a photograph, as its path or its bytes. Raises images.UnreadableImage or images.TooLarge.
    """
    return cut_faces_of(images.read_image(file), size, margin, most, min_face)


def cut_faces_of(
    picture: np.ndarray,
    size: int = faces.CROP_SIZE,
    margin: float = faces.MARGIN,
    most: int | None = 1,
    min_face: int = 0,
) -> Cuts:
    """The same for a picture (height, width, 3) uint8 RGB that is decoded already."""
    cv2.setNumThreads(1)  # the worker processes fill the cores already
    height, width = picture.shape[:2]
    cut = []
    for face in faces.detect_faces(picture)[:most]:
        if face.box.width < min_face:
            continue
        crop = faces.crop_box(face.box, margin)
        jpeg = encode_jpeg(faces.cut_crop(picture, crop, size))
        cut.append(CutFace(face.box, crop, face.score, jpeg))
    return Cuts(width, height, cut)


def encode_jpeg(crop: np.ndarray) -> bytes:
    """An RGB crop (height, width, 3) uint8 as JPEG bytes."""
    done, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    assert done, "OpenCV could not encode a crop it was given"
    return encoded.tobytes()


def decode_crop(encoded: bytes, size: int) -> np.ndarray:
    """A crop's JPEG bytes as (size, size, 3) uint8 RGB."""
    with Image.open(io.BytesIO(encoded)) as picture:
        rgb = picture.convert("RGB")
        if rgb.size != (size, size):
            rgb = rgb.resize((size, size), Image.Resampling.LANCZOS)
        return np.array(rgb)
