"""Where the lips of a face lie: which rows of each column they cover.

From top to bottom, a column of a mouth has up to five layers: what lies above the lips, the upper
lip, what is seen between the lips, the lower lip, and what lies below. Closed lips have nothing
between them, and beside the mouth there are only the first layer and the last. A network finds them
(layer_network.py).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .columns import at_rows, smooth
from .skin import brightness, cheeks

LAYERS = 5
_THIN = 0.02
"""Height of lips in half sides, which hardly found ones count as having."""
_CORNER = 0.12
"""Share of the greatest height of a mouth, up to which it counts as a corner."""
_SKIN_ABOVE, _SKIN_BELOW = 0.0125, 0.03
"""Skin that moves with the lips, in half sides."""
_LEAST = 0.02
"""Least height of a lip, in half sides."""
_MIDDLE, _LOWER_PART = 0.7, (0.6, 0.7, 0.8)
"""Where lips may part by so much is the middle of the mouth, and at which shares of the gap it is
dark below teeth."""
_MIDDLE_PART = 0.6
"""Share of the greatest height of a mouth, from which a column is in its middle."""
_GAP, _DARK, _LIGHT = (0.1, 0.16), 0.55, 0.8
"""From which gap on, in half sides, more than teeth may be seen, and from which on it is; and how
bright it is there, relative to the cheeks, if it is dark, and if there are teeth."""
_APART = 0.025
"""From which gap on, in half sides, lips that show teeth do not touch."""
_BESIDE = 0.1
"""Up to how far lips may part in a column where the line between them counts in part."""
_REACH, _STEP = 4, 0.0125
"""How many steps from where it is found the line between lips that touch may lie, of so many half
sides."""
_SURE, _FAR = 40.0, 0.006
"""How much more likely it lies where it is darker, and how much lighter a row counts that lies a
step away."""
_ALONG, _EVEN = 0.04, 0.06
"""Over which shares of the face light along that line, and its row, are smoothed."""
SMOOTH = 0.0125
"""How wide the means over columns are by which rows are smoothed, as a share of the face."""


class Lips(NamedTuple):
    """Where the lips of n faces are."""

    rows: Tensor
    """(n, 4, w): for each column the row in which the upper lip begins and ends, and the lower lip
    begins and ends, in -1..1 from top to bottom. Some skin counts as lip. Rows do not fall."""
    open: Tensor
    """(n, w) in 0-1: how far lips may part in this column; 0 in the corners and beside them."""
    whole: Tensor
    """(n,) in 0-1: how far all of the lower lip lies in the frame."""
    deep: Tensor
    """(n,) in 0-1: how far a mouth is open, so that more than teeth is seen in it."""


def lips_of(ends: Tensor, height: int, faces: Tensor, teeth: Tensor) -> Lips:
    """The lips of whole faces (n, 3, h, w) in -1..1.

    ends: (n, LAYERS - 1, w), as of `layer_ends`, of mouths cut to `height` px at the lower edge and
    in the middle. teeth: (n,) in 0-1, how far what is found between the lips is so: noise finds a
    little between lips that touch.
    """
    side = faces.shape[3]
    beside = (side - ends.shape[2]) // 2
    rows = F.pad(ends + side - height, (beside, beside), "replicate") * (2 / side) - 1
    rows = smooth(rows, SMOOTH)
    upper, inner_upper, inner_lower, lower = rows.unbind(1)
    thickness = F.pad((ends[:, 3] - ends[:, 0]) * (2 / side), (beside, beside))
    thickest = thickness.amax(1, keepdim=True).clamp(min=_THIN)
    inside = ((thickness / thickest - _CORNER) / (1 - _CORNER)).clamp(0, 1)
    # The square root makes a line from corner to corner part as an ellipse.
    open_ = smooth(inside.clamp(min=1e-4).sqrt()[:, None] - 1e-2, SMOOTH)[:, 0].clamp(min=0)
    middle = (inner_upper + inner_lower) / 2
    apart = (inner_lower - inner_upper) / _APART
    touching = (1 - teeth[:, None] * apart.clamp(0, 1)) * (open_ / _BESIDE).clamp(max=1)
    middle = middle + touching * (_line(faces, middle) - middle)
    half_gap = (inner_lower - inner_upper).clamp(min=0) / 2 * teeth[:, None]
    inner_upper, inner_lower = middle - half_gap, middle + half_gap
    upper = torch.minimum(upper - _SKIN_ABOVE, inner_upper - _LEAST)
    lower = torch.maximum(lower + _SKIN_BELOW, inner_lower + _LEAST)
    whole = (height - ends[:, 3].amax(1)).clamp(0, 1)
    deep = _deep(faces, inner_upper, inner_lower, open_)
    return Lips(torch.stack([upper, inner_upper, inner_lower, lower], 1), open_, whole, deep)


def lips_apart(ends: Tensor, side: int) -> Tensor:
    """(n,): how far lips are apart in the middle of mouths, in half sides, for ends as `lips_of`
    takes them, of faces of `side` px."""
    thickness = ends[:, 3] - ends[:, 0]
    middle = (thickness > _MIDDLE_PART * thickness.amax(1, keepdim=True)).float()
    gaps = (ends[:, 2] - ends[:, 1]) * middle
    return gaps.sum(1) / middle.sum(1).clamp(min=1) * (2 / side)


def _line(faces: Tensor, rows: Tensor) -> Tensor:
    """(n, w): the line between lips that touch, which is dark, near to rows (n, w)."""
    steps = torch.arange(-_REACH, _REACH + 1, dtype=faces.dtype, device=faces.device)[:, None]
    light = at_rows(faces.mean(1), rows[:, None] + steps * _STEP)
    likely = torch.softmax(-_SURE * (smooth(light, _ALONG) + _FAR * steps.square()), 1)
    down = (likely * steps).sum(1, keepdim=True) * _STEP
    return rows + smooth(down, _EVEN)[:, 0]


def _deep(faces: Tensor, upper: Tensor, lower: Tensor, open_: Tensor) -> Tensor:
    """`Lips.deep` of faces whose lips end and begin in rows upper and lower (n, w)."""
    middle = (open_ > _MIDDLE).float()
    count = middle.sum(1).clamp(min=1)
    gap = ((lower - upper) * middle).sum(1) / count
    levels = upper.new_tensor(_LOWER_PART)[:, None]
    light = at_rows(faces.mean(1) + 1, upper[:, None] + levels * (lower - upper)[:, None])
    inside = (light.mean(1) * middle).sum(1) / count
    dark = inside / brightness(cheeks(faces)).flatten().clamp(min=0.1)
    parts = (gap - _GAP[0]) / (_GAP[1] - _GAP[0]), (_LIGHT - dark) / (_LIGHT - _DARK)
    return parts[0].clamp(0, 1) * parts[1].clamp(0, 1)
