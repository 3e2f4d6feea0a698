"""Layers that several parts of the flow generator are made of."""

import torch.nn.functional as F
from torch import Tensor, nn


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size (or divides it by the stride), normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False),
        nn.InstanceNorm2d(outputs, affine=True),
        nn.ReLU(inplace=True),
    )


def doubled(x: Tensor) -> Tensor:
    """Features at twice the height and width."""
    return F.interpolate(x, scale_factor=2)
