"""Light and shade on skin: where folds of it lie, it is darker and lighter, and nothing else."""

import torch
from torch import Tensor

from .columns import centres
from .masks import Masks, blending_to

_TINT = 0.85, 1.0, 1.08
"""How much of a factor holds for red, green and blue: shade on skin is redder than light."""
_WHOLLY = 0.05
"""Logarithm of a factor from which on skin counts as painted wholly."""
_BORDER = 0.15
"""Over how much of the frame, in half sides, shade ends at its sides."""


def with_shade(masks: Masks, factors: Tensor) -> Masks:
    """Masks whose result is `shaded` by factors (n, 1, h, w)."""
    share = (factors.abs() / _WHOLLY).clamp(0, 1)
    face = shaded(masks.blend(), factors)
    return blending_to(face, masks, masks.attention * (1 - share), share > 0)


def within_limits(factors: Tensor, darkest: float, lightest: float) -> Tensor:
    """Logarithms of factors, which are more than 0 where skin becomes lighter, within limits that
    they come near to."""
    dark, light = (most * torch.tanh(factors / most) for most in (darkest, lightest))
    return torch.where(factors < 0, dark, light)


def shaded(faces: Tensor, factors: Tensor) -> Tensor:
    """Faces (n, 3, h, w) in -1..1 that are lighter by the exponentials of (n, 1, h, w)."""
    tint = faces.new_tensor(_TINT)[:, None, None]
    return ((faces + 1) * (factors * tint).exp() - 1).clamp(-1, 1)


def border_of(faces: Tensor) -> Tensor:
    """(w,) in 0-1: how far columns of faces (n, channels, h, w) are shaded, which is less near to
    the sides of the frame."""
    return ((1 - centres(faces.shape[3], faces).abs()) / _BORDER).clamp(max=1)
