"""Where the brows and the eyes of a face lie: which rows of each column they cover.

From top to bottom, a column of a brow has five layers: what lies above it, the brow, the lid below
it, the eye, and what lies below the eye. Beside the brows and the eyes there are only the first
layer and the last. A network finds them (layer_network.py).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .columns import centres, crossed, spread

LAYERS = 5
_HEIGHT = 0.55
"""Of the part of the frame that is seen, at its upper edge, as a share of it."""
_MIDDLE = 0.4
"""How far from the middle of the frame, in half sides, the middle between the brows may lie."""
_BOTH = 0.15
"""Over how much of the face, in half sides, columns of brows that meet count as those of both."""
_BESIDE, _WITHIN = 0.35, 0.6
"""Shares of the greatest height of brow and lid, up to which a column counts as beside the brows,
and from which on as within."""
_MARGIN, _LASHES = 0.02, 0.03
"""Skin that moves with a brow, on both sides, and what is above an eye and moves with it, in half
sides."""
_LEAST = 0.02
"""Least height of brow and lid, in half sides."""


class Brows(NamedTuple):
    """Where the brows and eyes of n faces are."""

    rows: Tensor
    """(n, 3, w): for each column the row in which a brow begins and ends, and in which the eye
    begins, in -1..1 from top to bottom."""
    within: Tensor
    """(n, 2, w) in 0-1: how far a column is one of the left brow in the picture, and the right."""
    eyes: Tensor
    """(n, 2, w): the rows in which the upper lid of an eye ends and the lower lid begins, likewise;
    beside the eyes both are one."""


def cut_to_upper_face(x: Tensor) -> Tensor:
    """The part (n, channels, h', w) of something (n, channels, h, w) in the frame; h' is a multiple
    of 4."""
    return x[:, :, : 4 * round(_HEIGHT * x.shape[2] / 4)]


def brows_of(ends: Tensor) -> Brows:
    """The brows of whole faces with ends (n, LAYERS - 1, w), as of `layer_ends`, in px from the
    top of the frame."""
    side = ends.shape[2]
    begin, end, eye, below = (ends * (2 / side) - 1).unbind(1)
    height = eye - begin
    relative = height / height.amax(1, keepdim=True).clamp(min=_LEAST)
    within = ((relative - _BESIDE) / (_WITHIN - _BESIDE)).clamp(0, 1)
    x = centres(side, ends)
    # The middle between the brows is that of the columns without a brow in the middle of the face.
    free = (1 - within).square() * (x.abs() < _MIDDLE)
    middle = (free * x).sum(1, keepdim=True) / free.sum(1, keepdim=True).clamp(min=1e-3)
    on_left = ((middle - x) / _BOTH + 0.5).clamp(0, 1)
    rows = torch.stack([begin - _MARGIN, end + _MARGIN, eye - _LASHES], 1)
    within = torch.stack([within * on_left, within * (1 - on_left)], 1)
    return Brows(rows, within, torch.stack([eye, below], 1))


def brow_line(flow: Tensor, brows: Brows) -> Tensor:
    """(n, 1, w): the rows in which brows begin after a flow (n, 2, h, w), in half sides, has moved
    them; between and beside brows, those of columns near by."""
    return crossed(flow, spread(brows.rows[:, :1], brows.within.sum(1)))
