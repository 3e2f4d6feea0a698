"""Conversion of pixel ranges: 0-255 in images, -1..1 in the networks."""

from torch import Tensor


def to_model(images: Tensor) -> Tensor:
    """Convert images in 0-255, of any shape and dtype, to float32 in -1..1."""
    return images.float().div(127.5).sub(1.0)


def from_model(images: Tensor) -> Tensor:
    """Convert images in -1..1, which are clamped, to float32 in 0-255."""
    return images.float().clamp(-1.0, 1.0).add(1.0).mul(127.5)
