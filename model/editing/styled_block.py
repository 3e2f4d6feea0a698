"""A block of convolutions that is told AUs."""

import torch
from torch import Tensor, nn

from ..layers import leaky

_BRANCH = 0.3
"""Factor of the random weights of the last layer at the start."""


class StyledBlock(nn.Module):
    """Two convolutions beside a shortcut; the style scales and shifts what is between them (Perez
    et al. 2018, FiLM). It has no normalisation, as a hole in a picture would change the means.

    style: length of the vector that says what AUs are asked for. dilation: of the first.
    """

    def __init__(self, channels: int, style: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, 1, dilation, dilation)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        self.from_style = nn.Linear(style, 2 * channels)
        with torch.no_grad():
            self.second.weight.mul_(_BRANCH)
        nn.init.zeros_(self.from_style.weight)
        nn.init.zeros_(self.from_style.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x: (n, channels, h, w). style: (n, length)."""
        scale, shift = self.from_style(style)[:, :, None, None].chunk(2, 1)
        return x + self.second(leaky(self.first(leaky(x)) * (1 + scale) + shift))
