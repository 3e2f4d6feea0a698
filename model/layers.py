"""Layers that several parts of the flow generator are made of."""

import torch.nn.functional as F
from torch import Tensor, nn

_LEAK = 0.2


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size (or divides it by the stride), normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False),
        nn.InstanceNorm2d(outputs, affine=True),
        nn.ReLU(inplace=True),
    )


def leaky(x: Tensor) -> Tensor:
    """ReLU that lets a fifth of negative values pass."""
    return F.leaky_relu(x, _LEAK)


def doubled(x: Tensor) -> Tensor:
    """Features at twice the height and width."""
    return F.interpolate(x, scale_factor=2)


class Residual(nn.Module):
    """Two convolutions around a shortcut; with a style, it scales and shifts the features (AdaIN,
    Huang & Belongie 2017)."""

    def __init__(self, channels: int, style: int | None = None) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False) for _ in range(2)
        )
        self.from_style = (
            None
            if style is None
            else nn.ModuleList(nn.Linear(style, 2 * channels) for _ in range(2))
        )

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        y = F.relu(self._normalise(self.convolutions[0](x), 0, style))
        return x + self._normalise(self.convolutions[1](y), 1, style)

    def _normalise(self, x: Tensor, which: int, style: Tensor | None) -> Tensor:
        x = F.instance_norm(x)
        if self.from_style is None or style is None:
            return x
        scale, shift = self.from_style[which](style)[:, :, None, None].chunk(2, 1)
        return x * (1 + scale) + shift
