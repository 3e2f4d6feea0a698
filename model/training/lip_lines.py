"""Where lips lie by landmarks, as the network that finds them is taught."""

import torch
from torch import Tensor

from ..landmarks.points import MESH_POINTS, POINTS

_LINES = {
    POINTS: (
        (48, 49, 50, 51, 52, 53, 54),
        (60, 61, 62, 63, 64),
        (60, 67, 66, 65, 64),
        (48, 59, 58, 57, 56, 55, 54),
    ),
    MESH_POINTS: (
        (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
        (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
        (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
        (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
    ),
}
"""The landmarks, from left to right, where the upper lip begins and ends and the lower lip begins
and ends, by the number of points of a scheme."""
APART = {
    POINTS: ((61, 62, 63), (67, 66, 65)),
    MESH_POINTS: ((82, 13, 312), (87, 14, 317)),
}
"""Landmarks of the upper lip and those of the lower one below them, whose distance says how far a
mouth is open, by the number of points of a scheme."""
_STEP = 1e-3
"""Least distance in px of two landmarks of a line from left to right."""


def lip_lines(landmarks: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Where lips lie in columns of pictures.

    Args:
        landmarks: (n, points, 2), in px, of one of the schemes above.
        columns: (w,), in px.

    Returns the rows (n, 4, w) in px, as in `_LINES`, which are those of the corners beside the
    mouth, and the columns (n, 2) of the corners: the middle of their outer and inner landmarks.
    """
    lines = _LINES[landmarks.shape[1]]
    rows = torch.stack([interpolated(landmarks[:, list(line)], columns) for line in lines], 1)
    corners = (
        landmarks[:, [lines[0][0], lines[0][-1]]] + landmarks[:, [lines[1][0], lines[1][-1]]]
    ) / 2
    return rows, corners[:, :, 0].sort(1).values


def interpolated(line: Tensor, columns: Tensor) -> Tensor:
    """The rows (n, w) in some columns of lines through points (n, k, 2); beyond their ends, those
    of the ends."""
    mirrored = line[:, :1, :1] > line[:, -1:, :1]
    line = torch.where(mirrored, line.flip(1), line)
    x = line[..., 0].cummax(1).values + torch.arange(line.shape[1]) * _STEP
    y = line[..., 1]
    at = columns.expand(len(line), -1).contiguous()
    right = torch.searchsorted(x.contiguous(), at).clamp(1, x.shape[1] - 1)
    x0, x1, y0, y1 = (each.gather(1, i) for each in (x, y) for i in (right - 1, right))
    return y0 + ((at - x0) / (x1 - x0)).clamp(0, 1) * (y1 - y0)
