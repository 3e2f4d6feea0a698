"""Finds what lies between the lips: teeth, tongue and the dark behind them.

It is asked about photographs, and about what the generator makes of them: this paints the shape of
a mouth that opens well, and its inside badly.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..warp import coordinates, resized
from .layers import leaky

_HALF, _QUARTER, _EIGHTH = 24, 40, 56
"""Channels at half, a quarter, and an eighth of the resolution."""


class InnerMouthNetwork(nn.Module):
    """Mouths to the share of each pixel that lies between the lips (Ronneberger et al. 2015,
    U-Net)."""

    def __init__(self) -> None:
        super().__init__()
        self.to_half = nn.Conv2d(14, _HALF, 3, 1, 1)  # 2x2 pixels, and the place of each
        self.to_quarter = nn.Conv2d(_HALF, _QUARTER, 4, 2, 1)
        self.to_eighth = nn.Conv2d(_QUARTER, _EIGHTH, 4, 2, 1)
        self.block = nn.ModuleList(nn.Conv2d(_EIGHTH, _EIGHTH, 3, 1, 1) for _ in range(2))
        self.enlarge_4 = nn.Conv2d(_EIGHTH + _QUARTER, _QUARTER, 3, 1, 1)
        self.enlarge_2 = nn.Conv2d(_QUARTER + _HALF, _HALF, 3, 1, 1)
        self.last = nn.Conv2d(_HALF, 4, 3, 1, 1)

    def forward(self, mouths: Tensor) -> Tensor:
        """Logits (n, 1, h, w). mouths: (n, 3, h, w) in -1..1, cut to the mouth; h and w are
        multiples of 4."""
        pixels = F.pixel_unshuffle(mouths, 2)
        half = leaky(self.to_half(torch.cat([pixels, coordinates(pixels)], 1)))
        quarter = leaky(self.to_quarter(half))
        x = leaky(self.to_eighth(quarter))
        x = x + self.block[1](leaky(self.block[0](x)))
        x = leaky(self.enlarge_4(torch.cat([resized(leaky(x), quarter), quarter], 1)))
        x = leaky(self.enlarge_2(torch.cat([resized(x, half), half], 1)))
        return F.pixel_shuffle(self.last(x), 2).float()
