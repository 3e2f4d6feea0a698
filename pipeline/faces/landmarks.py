"""Landmarks of crops by dlib's shape predictor, and the coordinates of landmarks in crops.

In a crop, coordinates are -1..1 from its left to its right edge, and from its top to its bottom.
"""

import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from .crop import Box


def box_in_crop(size: int, margin: float) -> list[int]:
    """Return the HOG box inside a crop of `size` px: left, top, right and bottom in px.

    margin: what `crop_box` added to the box on each side, as a fraction of it.
    """
    inset = size * margin / (1 + 2 * margin)
    return [round(inset), round(inset), round(size - inset), round(size - inset)]


def find_landmarks(crop: np.ndarray, box: list[int]) -> np.ndarray:
    """Find the landmarks of a crop by dlib's shape predictor (Kazemi & Sullivan 2014).

    Args:
        crop: (size, size, 3) uint8 RGB.
        box: the HOG box in the crop, as `box_in_crop` returns it.

    Returns (68, 2) float32, x and y in -1..1 across the crop.
    """
    import dlib  # here, as only some sets have landmarks

    shape = _predictor()(np.ascontiguousarray(crop), dlib.rectangle(*box))
    points = np.array([(point.x, point.y) for point in shape.parts()], np.float32)
    # dlib counts pixels; the centre of the first is half a pixel from the edge.
    return (points + 0.5) * np.float32(2 / crop.shape[0]) - 1


def to_crop(points: np.ndarray, crop: Box) -> np.ndarray:
    """Convert points (n, 2) from pixels of the photograph to coordinates of a crop, float32.

    Pixels are counted from the left and the upper edge of the photograph: the centre of its first
    pixel is at 0.5, 0.5.
    """
    offset = np.asarray(points, np.float64) - [crop.left, crop.top]
    return (offset * [2 / crop.width, 2 / crop.height] - 1).astype(np.float32)


def model_files() -> Any:
    """The package that ships dlib's models, imported without its warning about pkg_resources."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import face_recognition_models
    return face_recognition_models


@lru_cache(maxsize=1)
def _predictor() -> Any:
    import dlib

    return dlib.shape_predictor(model_files().pose_predictor_model_location())
