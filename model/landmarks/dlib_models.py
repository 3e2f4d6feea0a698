"""What dlib's networks, as face_recognition ships them, say of crops: landmarks, descriptors.

A crop of `prepare` tells by its margin where its HOG box is, so nothing is detected again.
"""

import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...pipeline import shards
from ...pipeline.faces.crop import MARGIN


def hog_box(folder: Path, size: int) -> list[int]:
    """Left, top, right and bottom of the HOG box in the crops of a shard set, at this size."""
    manifest = shards.read_manifest(folder)
    margin = manifest["settings"].get("margin", MARGIN) if manifest else MARGIN
    inset = size * margin / (1 + 2 * margin)
    return [round(inset), round(inset), round(size - inset), round(size - inset)]


def landmarks(images: Tensor, box: list[int]) -> Tensor:
    """dlib's 68 landmarks of crops (n, 3, size, size) uint8, in -1..1 across the crop."""
    import dlib

    predictor = _landmark_model()

    def find(pixels: np.ndarray) -> np.ndarray:
        shape = predictor(pixels, dlib.rectangle(*box))
        return np.array([(point.x, point.y) for point in shape.parts()], np.float32)

    return torch.from_numpy(_each(find, images) + 0.5) * (2 / images.shape[-1]) - 1


def descriptors(images: Tensor, box: list[int]) -> np.ndarray:
    """face_recognition's descriptors (n, 128) of crops (n, 3, size, size) uint8."""
    import dlib

    predictor, network = _descriptor_models()

    def describe(pixels: np.ndarray) -> np.ndarray:
        shape = predictor(pixels, dlib.rectangle(*box))
        return np.array(network.compute_face_descriptor(pixels, shape), np.float32)

    return _each(describe, images)


@lru_cache(maxsize=1)
def _landmark_model() -> Any:
    import dlib

    models = _models()
    return dlib.shape_predictor(models.pose_predictor_model_location())


@lru_cache(maxsize=1)
def _descriptor_models() -> tuple[Any, Any]:
    """The one that finds five landmarks, and the one that describes the face they frame."""
    import dlib

    models = _models()
    predictor = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
    return predictor, dlib.face_recognition_model_v1(models.face_recognition_model_location())


def _models() -> Any:
    """The package of dlib's models, without the warning about how it looks for its own files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import face_recognition_models
    return face_recognition_models


def _each(function: Callable[[Any], np.ndarray], images: Tensor) -> np.ndarray:
    """A function of (size, size, 3) pixels over crops (n, 3, size, size)."""
    return np.stack([function(image.permute(1, 2, 0).contiguous().numpy()) for image in images])
