"""Where eyes lie by landmarks, as the network that finds them is taught."""

import torch
from torch import Tensor

from ..landmarks.points import MESH_POINTS, POINTS
from .lip_lines import interpolated

_LINES = {
    POINTS: (
        ((36, 37, 38, 39), (36, 41, 40, 39)),
        ((42, 43, 44, 45), (42, 47, 46, 45)),
    ),
    MESH_POINTS: (
        (
            (33, 246, 161, 160, 159, 158, 157, 173, 133),
            (33, 7, 163, 144, 145, 153, 154, 155, 133),
        ),
        (
            (362, 398, 384, 385, 386, 387, 388, 466, 263),
            (362, 382, 381, 380, 374, 373, 390, 249, 263),
        ),
    ),
}
"""The landmarks of the edges of the upper and the lower lid, from corner to corner, of both eyes,
by the number of points of a scheme."""


def eye_lines(landmarks: Tensor, columns: Tensor) -> Tensor:
    """The rows (n, 2, w) in px in which the upper lids of faces end and the lower ones begin, in
    columns (w,) in px, of the nearer eye; beside the eyes both are that of the corner.

    landmarks: (n, points, 2), in px, of one of the schemes above, of faces that may be mirrored.
    """
    eyes, across = [], []
    for lids in _LINES[landmarks.shape[1]]:
        points = [landmarks[:, list(lid)] for lid in lids]
        eyes.append(torch.stack([interpolated(each, columns) for each in points], 1))
        across.append(torch.cat(points, 1)[:, :, 0].mean(1, keepdim=True))
    nearer = (columns - across[0]).abs() < (columns - across[1]).abs()
    upper, lower = torch.where(nearer[:, None], eyes[0], eyes[1]).unbind(1)
    # Those of closed eyes may lie in the wrong order.
    middle = (upper + lower) / 2
    return torch.stack([torch.minimum(upper, middle), torch.maximum(lower, middle)], 1)
