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

from .columns import smooth

LAYERS = 5
_THIN = 0.02
"""Height of lips in half sides, which hardly found ones count as having."""
_CORNER = 0.12
"""Share of the greatest height of a mouth, up to which it counts as a corner."""
_SKIN_ABOVE, _SKIN_BELOW = 0.0125, 0.03
"""Skin that moves with the lips, in half sides."""
_LEAST = 0.02
"""Least height of a lip, in half sides."""
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


def lips_of(ends: Tensor, height: int, side: int, teeth: Tensor) -> Lips:
    """The lips of whole faces of `side` px.

    ends: (n, LAYERS - 1, w), as of `layer_ends`, of mouths cut to `height` px at the lower edge and
    in the middle. teeth: (n,) in 0-1, how far what is found between the lips is so: noise finds a
    little between lips that touch.
    """
    beside = (side - ends.shape[2]) // 2
    rows = F.pad(ends + side - height, (beside, beside), "replicate") * (2 / side) - 1
    rows = smooth(rows, SMOOTH)
    upper, inner_upper, inner_lower, lower = rows.unbind(1)
    thickness = F.pad((ends[:, 3] - ends[:, 0]) * (2 / side), (beside, beside))
    thickest = thickness.amax(1, keepdim=True).clamp(min=_THIN)
    inside = ((thickness / thickest - _CORNER) / (1 - _CORNER)).clamp(0, 1)
    # The square root makes a line from corner to corner part as an ellipse.
    open_ = smooth(inside.clamp(min=1e-6).sqrt()[:, None] - 1e-3, SMOOTH)[:, 0].clamp(min=0)
    middle = (inner_upper + inner_lower) / 2
    half_gap = (inner_lower - inner_upper).clamp(min=0) / 2 * teeth[:, None]
    inner_upper, inner_lower = middle - half_gap, middle + half_gap
    upper = torch.minimum(upper - _SKIN_ABOVE, inner_upper - _LEAST)
    lower = torch.maximum(lower + _SKIN_BELOW, inner_lower + _LEAST)
    whole = (height - ends[:, 3].amax(1)).clamp(0, 1)
    return Lips(torch.stack([upper, inner_upper, inner_lower, lower], 1), open_, whole)
