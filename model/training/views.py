"""Views of faces that only the critic sees."""

import torch
from torch import Tensor

from ..warp import at_resolution

_DETAIL = 3
"""Size in px of the finest detail that a coarse view keeps."""


def coarsened(crops: Tensor, chosen: Tensor) -> Tensor:
    """Replace some crops by a grey version of a third of the resolution.

    Args:
        crops: (n, 3, size, size).
        chosen: (n,) bool, the crops to replace.

    Returns crops of the same shape.
    """
    coarse = at_resolution(crops.mean(1, keepdim=True), crops.shape[-1] // _DETAIL)
    return torch.where(chosen[:, None, None, None], coarse, crops)
