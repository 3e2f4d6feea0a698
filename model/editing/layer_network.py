"""Finds the layers of a part of a face that lie below each other, as lips and teeth do."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import leaky
from ..warp import coordinates, resized

_HALF, _QUARTER, _EIGHTH = 24, 40, 56
"""Channels at half, a quarter, and an eighth of the resolution."""


class LayerNetwork(nn.Module):
    """Parts of faces to the layer of each pixel (Ronneberger et al. 2015, U-Net).

    layers: how many there are.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.to_half = nn.Conv2d(14, _HALF, 3, 1, 1)  # 2x2 pixels, and the place of each
        self.to_quarter = nn.Conv2d(_HALF, _QUARTER, 4, 2, 1)
        self.to_eighth = nn.Conv2d(_QUARTER, _EIGHTH, 4, 2, 1)
        self.blocks = nn.ModuleList(_Block(_EIGHTH, dilation) for dilation in (1, 2))
        self.enlarge_4 = nn.Conv2d(_EIGHTH + _QUARTER, _QUARTER, 3, 1, 1)
        self.enlarge_2 = nn.Conv2d(_QUARTER + _HALF, _HALF, 3, 1, 1)
        self.last = nn.Conv2d(_HALF, 4 * layers, 3, 1, 1)

    def forward(self, parts: Tensor) -> Tensor:
        """Logits (n, layers, h, w). parts: (n, 3, h, w) in -1..1; h and w are multiples of 4."""
        pixels = F.pixel_unshuffle(parts, 2)
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
    """(n, layers - 1, w): how many pixels of each column lie in the first layer, the first two,
    and so on.

    As the layers lie below each other, these are the rows in which they end; a sum of probabilities
    has no steps of whole pixels. logits: (n, layers, h, w).
    """
    return logits.softmax(1).sum(2).cumsum(1)[:, :-1]
