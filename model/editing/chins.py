"""The skin below lips that close: stretched from the little that was seen below an open mouth."""

import torch
from torch import Tensor

from .cleaning import local_mean, odd, slope, widened
from .masks import Masks
from .skin import in_skin_colours

_WHOLE, _STRETCHED = 0.75, 0.4
"""Source rows per row of the result: from the first on skin is left as it is, and at the second all
of its detail is removed."""
_NEAR = 1 / 18
"""By how much stretched skin is widened, and then its edge smoothed, as a share of the face."""
_WIDE, _TALL = 1 / 12, 1 / 24
"""Sides of the rectangles over which it is smoothed, as shares of the face."""


def with_chin_of_skin(masks: Masks, mouth: Tensor, below: Tensor) -> Masks:
    """Masks whose chins have the colours of the skin around where they are stretched.

    Below a mouth that is wide open little skin is seen, and it is reddish. Where the lips close, it
    becomes a patch with upright strips.

    mouth: (n, 1, h, w) in 0-1, the lips. below: (n, 1, h, w) in 0-1, what lies below them, as far
    as they close.
    """
    assert masks.flow is not None
    rows = 1 + slope(masks.flow[:, 1:])
    stretched = ((_WHOLE - rows) / (_WHOLE - _STRETCHED)).clamp(0, 1)
    share = widened(stretched * below, odd(_NEAR * rows.shape[2])) * below
    if not (torch.compiler.is_compiling() or share.any()):  # An exported network has no branches.
        return masks
    smooth = local_mean(local_mean(masks.blend(), share, 0, _WIDE), share, 1, _TALL)
    return masks.towards(in_skin_colours(smooth, masks.face, share.maximum(mouth)), share)
