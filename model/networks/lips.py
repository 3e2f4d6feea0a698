"""Finds the lips of a face: which rows of each column they cover.

From top to bottom, a column of a mouth has up to five layers: what lies above the lips, the upper
lip, what is seen between the lips, the lower lip, and what lies below. Closed lips have nothing
between them, and beside the mouth there are only the first layer and the last.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..warp import coordinates, resized
from .layers import leaky

LAYERS = 5
_HALF, _QUARTER, _EIGHTH = 24, 40, 56
"""Channels at half, a quarter, and an eighth of the resolution."""
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


class LipsNetwork(nn.Module):
    """Mouths to the layer of each pixel (Ronneberger et al. 2015, U-Net)."""

    def __init__(self) -> None:
        super().__init__()
        self.to_half = nn.Conv2d(14, _HALF, 3, 1, 1)  # 2x2 pixels, and the place of each
        self.to_quarter = nn.Conv2d(_HALF, _QUARTER, 4, 2, 1)
        self.to_eighth = nn.Conv2d(_QUARTER, _EIGHTH, 4, 2, 1)
        self.blocks = nn.ModuleList(_Block(_EIGHTH, dilation) for dilation in (1, 2))
        self.enlarge_4 = nn.Conv2d(_EIGHTH + _QUARTER, _QUARTER, 3, 1, 1)
        self.enlarge_2 = nn.Conv2d(_QUARTER + _HALF, _HALF, 3, 1, 1)
        self.last = nn.Conv2d(_HALF, 4 * LAYERS, 3, 1, 1)

    def forward(self, mouths: Tensor) -> Tensor:
        """Logits (n, LAYERS, h, w). mouths: (n, 3, h, w) in -1..1, cut to the mouth; h and w are
        multiples of 4."""
        pixels = F.pixel_unshuffle(mouths, 2)
        half = leaky(self.to_half(torch.cat([pixels, coordinates(pixels)], 1)))
        quarter = leaky(self.to_quarter(half))
        x = self.to_eighth(quarter)
        for block in self.blocks:
            x = block(x)
        x = leaky(self.enlarge_4(torch.cat([resized(leaky(x), quarter), quarter], 1)))
        x = leaky(self.enlarge_2(torch.cat([resized(x, half), half], 1)))
        return F.pixel_shuffle(self.last(x), 2).float()


class _Block(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, 1, dilation, dilation)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(leaky(self.first(leaky(x))))


def layer_ends(logits: Tensor) -> Tensor:
    """(n, LAYERS - 1, w): how many pixels of each column lie in the first layer, the first two,
    and so on.

    As the layers lie below each other, these are the rows in which they end; a sum of probabilities
    has no steps of whole pixels. logits: (n, LAYERS, h, w).
    """
    return logits.softmax(1).sum(2).cumsum(1)[:, :-1]


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


def smooth(values: Tensor, share: float) -> Tensor:
    """Values (n, rows, w), smoothed along the columns by two means over a share of the width."""
    side = max(round(share * values.shape[2] / 2), 1)
    for _ in range(2):
        values = F.avg_pool1d(F.pad(values, (side, side), "replicate"), 2 * side + 1, 1)
    return values
