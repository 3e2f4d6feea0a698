"""The frame of a face: upright and of one size, by its landmarks."""

from collections.abc import Sequence

import numpy as np
import torch

from ...pipeline.faces.crop import Box, cut_crop
from ...pipeline.faces.frame import Frame
from ..pixels import to_model
from .alignment import Aligner
from .points import SIZE

_FIXED = (0, 16, 27, 28, 29, 30, 33, 36, 39, 42, 45)
"""Landmarks that place the frame: the ends of the jaw, the nose, and the corners of the eyes."""


@torch.inference_mode()
def find_landmarks(aligner: Aligner, picture: np.ndarray, crop: Box) -> np.ndarray:
    """The 68 landmarks (68, 2) of the face in a crop of a picture (h, w, 3) uint8, in pixels of the
    picture; the centre of its first pixel is at 0, 0."""
    pixels = torch.from_numpy(cut_crop(picture, crop, SIZE)).permute(2, 0, 1)[None]
    found = aligner(to_model(pixels))[0].double().numpy()
    return (found + 1) * (crop.width / 2) + [crop.left - 0.5, crop.top - 0.5]


def place_frame(
    landmarks: np.ndarray, reference: np.ndarray, fixed: Sequence[int] = _FIXED
) -> Frame:
    """The frame in which landmarks (points, 2) in pixels lie nearest to a reference in -1..1.

    By least squares over the landmarks that expressions hardly move (Umeyama 1991).

    reference: (points, 2). fixed: the indices of these landmarks; by default of 68.
    """
    fixed = list(fixed)
    target, found = reference[fixed].astype(np.float64), landmarks[fixed]
    from_centre, to_centre = target.mean(0), found.mean(0)
    target, found = target - from_centre, found - to_centre
    cosine = (target * found).sum()
    sine = (target[:, 0] * found[:, 1] - target[:, 1] * found[:, 0]).sum()
    matrix = np.array([[cosine, -sine], [sine, cosine]]) / np.square(target).sum()
    return Frame(matrix, to_centre - matrix @ from_centre)
