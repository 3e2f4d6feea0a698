"""Moves brows as they are, and stretches the lids below.

A flow that raises brows is smooth: it stretches them with the lids, and raises a part of a brow
more than the next. So each brow keeps its own pixels, is no higher than before, and is shifted and
bent by the curve that is nearest to the flow; the skin between it and the eye is stretched.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .brows import Brows
from .columns import all_at_rows, centres, crossed, eased, fitted, in_columns, smooth, spread

_LEAST = 0.02
"""Least height of a lid, in half sides."""
_BENT, _FLATTEST = 0.6, 0.6
"""How much of the bend brows have that the flow gives them; and their least height, relative to
their own."""
_OVER = 0.01
"""How far they may come down over the upper edge of an eye, in half sides, with the skin that moves
along."""
_RISING = 0.03
"""How far the edge of a lid above an eye goes up at most, in half sides: beside the eyes, where it
is the skin at the height of their corners, the flow draws it up with the brows."""
_RAISED = 1.2
"""How much further than the flow brows go up: painting has its part in a raised brow."""
_NEAR = 0.04
"""How far above the upper edge of a brow the flow counts as that of the brow, in half sides."""
_ABOVE, _BESIDE, _EVEN = 0.35, 0.06, 0.03
"""How far above brows, in half sides, and over which share of the face beside them skin moves
along; and over which share its motion is smoothed from column to column."""
_UPPER = 1.7
"""The power of the height above the eye by which lids are stretched: their upper part most, as it
is smooth and lit."""
_PAINTED = 0.07
"""How far above a brow another may be painted, in half sides."""
_FADING, _FADING_BESIDE = 3, 0.06
"""Over how many pixels up and down, and over which share of the face beside, brows and lids
end."""


class BrowMotion(NamedTuple):
    """Brows of n faces that are moved."""

    flow: Tensor
    """(n, 2, h, w), in half sides."""
    brow: Tensor
    """(n, 1, h, w) in 0-1: brows, and where others may be painted."""
    lid: Tensor
    """(n, 1, h, w) in 0-1: the lids below."""
    high: Tensor
    """(n, 1, h, w) in 0-1: how high above the eye each pixel of a lid lies."""


def with_brows(flow: Tensor, brows: Brows) -> BrowMotion:
    """Move the brows of faces that a flow (n, 2, h, w) moves as they are, in half sides."""
    height, width = flow.shape[2:]
    y, x = centres(height, flow)[:, None], centres(width, flow)
    to_middle, ratio = _motion_of_brows(flow, brows).split([2, 1], 1)
    ratio = ratio.clamp(_FLATTEST, 1.0)
    known = torch.cat([brows.rows, brows.within.sum(1, keepdim=True)], 1)
    rows, within = in_columns(known, (x + to_middle[:, 0])[:, None])[:, :, 0].split([3, 1], 1)
    rows = spread(rows, within[:, 0])
    from_begin, from_end, _ = rows.split(1, 1)
    middle = (from_begin + from_end) / 2 - to_middle[:, 1:]
    half = (from_end - from_begin) / 2 * ratio
    eye = crossed(flow, brows.rows[:, 2:3]).maximum(brows.rows[:, 2:3] - _RISING)
    # A brow that is lowered stops above the eye.
    middle = middle - smooth((middle + half - eye - _OVER).clamp(min=0) * within, _BESIDE)
    begin, end = middle - half, middle + half
    low = torch.maximum(eye, end + _LEAST)
    to_eye = all_at_rows(flow, eye[:, 0])[:, :, None]

    place = ((y - end) / (low - end)).clamp(0, 1)
    row = from_end + place**_UPPER * (low + to_eye[:, 1] - from_end)
    row = torch.where(y < end, from_begin + (y - begin) / ratio, row)
    fade = eased(((y - begin + _ABOVE) / _ABOVE).clamp(0, 1))
    row = torch.where(y < begin, y + (from_begin - begin) * fade, row)
    across = to_middle[:, :1] + place * (to_eye - to_middle[:, :, None])[:, 0]
    moved = torch.stack([across * fade, row - y], 1)
    moved = torch.where((y > low)[:, None], flow, moved)
    reach = 2 * round(_BESIDE * width) + 1
    near = smooth(F.max_pool1d(within, reach, 1, reach // 2), _BESIDE)[:, :, None]
    flow = flow + near * (moved - flow)

    pixels = 2 / height * _FADING
    brow = ((y - begin + _PAINTED) / pixels + 1).clamp(0, 1) * ((end - y) / pixels + 1).clamp(0, 1)
    lid = ((y - end) / pixels / 2).clamp(0, 1) * ((low - y) / pixels).clamp(0, 1)
    within = smooth(within, _FADING_BESIDE)[:, :, None]
    return BrowMotion(flow, within * brow[:, None], within * lid[:, None], 1 - place[:, None])


def _motion_of_brows(flow: Tensor, brows: Brows) -> Tensor:
    """(n, 3, w): the flow by which each column of the result shows the middle of a brow, in half
    sides, and the height of the brow there, relative to its own. Beside brows they are those of the
    nearest column of one."""
    height, width = flow.shape[2:]
    y, x = centres(height, flow)[:, None], centres(width, flow)
    begin, end = crossed(flow, brows.rows[:, :2]).unbind(1)
    across, down = all_at_rows(flow, (begin + end) / 2).unbind(1)
    in_brow = (y > begin[:, None] - _NEAR) & (y < end[:, None])
    high = flow[:, 1].where(in_brow, 0).amax(1)
    down = torch.where(down > 0, high * _RAISED, down)
    from_begin, from_end, *within = in_columns(
        torch.cat([brows.rows[:, :2], brows.within], 1), (x + across)[:, None]
    )[:, :, 0].unbind(1)
    ratio = ((end - begin) / (from_end - from_begin).clamp(min=_LEAST)).clamp(_FLATTEST, 1.0)
    both = [
        torch.stack([fitted(across, each, 0), fitted(down, each, _BENT), fitted(ratio, each, 0)], 1)
        for each in within
    ]
    whole = torch.stack(within).sum(0)
    shares = [each / whole.clamp(min=1e-3) for each in within]
    mean = sum(share[:, None] * each for share, each in zip(shares, both, strict=True))
    assert isinstance(mean, Tensor)
    return smooth(spread(mean, whole), _EVEN)
