"""Landmarks and face descriptors of crops by dlib's models, which face_recognition ships.

The HOG box of a crop follows from the margin that `prepare` added to it, so that no face is
detected here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...pipeline import shards
from ...pipeline.faces.crop import MARGIN
from ...pipeline.faces.identity import describe
from ...pipeline.faces.landmarks import box_in_crop, find_landmarks


def hog_box(folder: Path, size: int) -> list[int]:
    """The HOG box in the crops of a shard set, resized to `size` px.

    Returns left, top, right and bottom in px.
    """
    manifest = shards.read_manifest(folder)
    return box_in_crop(size, manifest["settings"].get("margin", MARGIN) if manifest else MARGIN)


def landmarks(images: Tensor, box: list[int]) -> Tensor:
    """Landmarks by dlib's shape predictor (Kazemi & Sullivan 2014).

    Args:
        images: crops (n, 3, size, size), uint8 RGB.
        box: the HOG box in the crops, as `hog_box` returns it.

    Returns (n, 68, 2), x and y in -1..1 across the crop.
    """
    return torch.from_numpy(_each(lambda crop: find_landmarks(crop, box), images))


def descriptors(images: Tensor, box: list[int]) -> np.ndarray:
    """Face descriptors by dlib's recognition network.

    Args:
        images: crops (n, 3, size, size), uint8 RGB.
        box: the HOG box in the crops, as `hog_box` returns it.

    Returns (n, 128), float32. Photographs of one person have a small Euclidean distance; dlib's
    threshold is 0.6.
    """
    return _each(lambda crop: describe(crop, box), images)


def _each(function: Callable[[Any], np.ndarray], images: Tensor) -> np.ndarray:
    """Apply a function of (size, size, 3) pixels to each of the crops (n, 3, size, size)."""
    return np.stack([function(image.permute(1, 2, 0).contiguous().numpy()) for image in images])
