"""Who a face is: descriptors by dlib's recognition network, which face_recognition ships."""

from functools import lru_cache
from typing import Any

import numpy as np

from .landmarks import model_files

SAME_PERSON = 0.6
"""Descriptors of one person are nearer to each other than this (dlib's own threshold)."""


def describe(crop: np.ndarray, box: list[int]) -> np.ndarray:
    """The descriptor of a crop, (128,) float32. Photographs of one person have a small Euclidean
    distance.

    Args:
        crop: (size, size, 3) uint8 RGB.
        box: the HOG box in the crop, as `landmarks.box_in_crop` returns it.
    """
    import dlib  # here, as few commands need it

    predictor, network = _models()
    pixels = np.ascontiguousarray(crop)
    shape = predictor(pixels, dlib.rectangle(*box))
    return np.array(network.compute_face_descriptor(pixels, shape), np.float32)


def describe_landmarks(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """As `describe`, of a face whose landmarks are known, at any angle in a picture (h, w, 3).

    landmarks: (68, 2), x and y in pixels; the centre of the first pixel is at 0, 0.
    """
    import dlib

    points = [dlib.point(*(round(float(side)) for side in point)) for point in landmarks]
    (left, top), (right, bottom) = landmarks.min(0), landmarks.max(0)
    box = dlib.rectangle(round(left), round(top), round(right), round(bottom))
    shape = dlib.full_object_detection(box, points)
    pixels = np.ascontiguousarray(picture)
    return np.array(_models()[1].compute_face_descriptor(pixels, shape), np.float32)


@lru_cache(maxsize=1)
def _models() -> tuple[Any, Any]:
    """The five-landmark predictor that aligns a face, and the recognition network."""
    import dlib

    models = model_files()
    predictor = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
    return predictor, dlib.face_recognition_model_v1(models.face_recognition_model_location())
