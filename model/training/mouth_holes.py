"""What lies between lips by landmarks, and holes there, for the training of networks of mouths."""

import cv2
import numpy as np
import torch
from torch import Tensor

from ..networks.mouth import dilated, with_smooth_edges

_FINER = 4
"""Polygons are drawn at so many times the resolution."""
_HIGHEST, _WIDEST, _SMOOTHEST = 7, 9, 5
"""Largest sides in px by which a hole is widened and its edges are smoothed, all odd."""


def polygons(points: Tensor, height: int, width: int) -> Tensor:
    """What lies in polygons (n, corners, 2), in pixels: (n, 1, height, width) uint8."""
    drawn = []
    for corners in ((points + 0.5) * _FINER - 0.5).round().int().numpy():
        fine = np.zeros((height * _FINER, width * _FINER), np.uint8)
        cv2.fillPoly(fine, [corners], 255)
        drawn.append(cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA))
    return torch.from_numpy(np.stack(drawn))[:, None]


def random_holes(inside: Tensor) -> Tensor:
    """Holes (n, 1, h, w) in 0-1 that have what is between the lips in them, and something around.

    inside: (n, 1, h, w) in 0-1, the probability that a pixel lies between the lips. Random numbers
    are drawn from torch's own generator.
    """
    holes = []
    for share in (inside > 0.5).float().split(1):
        high, wide, smooth = (_random_odd(most) for most in (_HIGHEST, _WIDEST, _SMOOTHEST))
        holes.append(with_smooth_edges(dilated(share, high, wide), smooth))
    return torch.cat(holes)


def _random_odd(most: int) -> int:
    """An odd number from 3 to `most`, which is odd."""
    return 3 + 2 * int(torch.randint(most // 2, ()))
