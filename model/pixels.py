"""Pixel ranges: 0-255 in files and photographs, -1..1 in the networks."""

from torch import Tensor


def to_model(images: Tensor) -> Tensor:
    """uint8 pictures in 0-255 to the models' float range of -1 to 1."""
    return images.float().div(127.5).sub(1.0)


def from_model(images: Tensor) -> Tensor:
    """The models' range of -1 to 1 to 0-255, still as floats."""
    return images.float().clamp(-1.0, 1.0).add(1.0).mul(127.5)
