"""Light and shade of skin that folds and bulges, as photographs of people show it in the mean.

A flow moves skin and leaves its light as it was. How many times lighter the skin of a face becomes
with an expression is an expression ratio image (Liu, Shan and Zhang 2001, Expressive expression
mapping with ratio images). The mean of many people's has what they share: folds beside nose and
mouth, between the brows and at the inner corners of the eyes, light on lids. It is known for each
AU by itself, by a linear regression on the rises of all (training/train_ratios.py).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import COUNT
from ..warp import resized
from .brows import Brows
from .furrows import below_hair
from .lip_columns import lip_columns
from .lips import Lips
from .masks import Masks
from .shade import border_of, with_shade, within_limits

SIDE = 160
"""Of the frame, in px, in which ratios are kept."""
TOP, BOTTOM = 24, 152
"""First row of it that they have, and the first below them."""
_STRENGTH = 1.5
"""How many times stronger they are than the mean: folds of one person are narrower than the mean of
people's, which lie beside each other, and deeper."""
_MOST = 0.8
"""Up to which rise of an AU ratios become stronger: hardly a photograph shows more."""
_DARKEST, _LIGHTEST = 0.45, 0.25
"""Largest logarithms of the factors by which skin becomes darker and lighter."""


class ExpressionRatios(nn.Module):
    """They are 0, and leave masks as they are, before they are fitted."""

    halves: Tensor
    """(17, BOTTOM - TOP, SIDE / 2): for each AU, logarithms of how many times lighter skin becomes
    where it rises by 1, on the left side of the picture. The right side is its mirror image."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("halves", torch.zeros(COUNT, BOTTOM - TOP, SIDE // 2))

    def factors(self, rise: Tensor, like: Tensor) -> Tensor:
        """(n, 1, h, w): logarithms of the factors by which skin becomes lighter.

        rise: (n, 17), by how much AUs rise; falls count as none. like: (n, channels, h, w).
        """
        left = (rise.clamp(0.0, _MOST) @ self.halves.flatten(1)).unflatten(1, self.halves.shape[1:])
        whole = torch.cat([left, left.flip(2)], 2)[:, None]
        whole = F.pad(whole, (0, 0, TOP, SIDE - BOTTOM))
        return within_limits(_STRENGTH * resized(whole, like), _DARKEST, _LIGHTEST)

    def shown(
        self, masks: Masks, brows: Brows, lips: Lips, uncovered: Tensor, rise: Tensor
    ) -> Masks:
        """Masks whose results are lit as skin is that shows the AUs.

        brows, lips: of the photographs. uncovered: (n, 1, h/2, w/2) in 0-1, the share that nothing
        covers. rise: as in `factors`.
        """
        assert masks.flow is not None
        # An exported network has no branches.
        if not (torch.compiler.is_compiling() or (self.halves.any() and (rise > 0).any())):
            return masks
        skin = skin_of_face(masks.flow, brows, lips) * resized(uncovered, masks.flow)
        return with_shade(masks, self.factors(rise, masks.flow) * skin)


def skin_of_face(flow: Tensor, brows: Brows, lips: Lips) -> Tensor:
    """(n, 1, h, w) in 0-1: faces that a flow (n, 2, h, w) has moved, without eyes, hair and lips,
    and with a part of the brows.

    brows, lips: of the photographs.
    """
    skin = below_hair(flow, brows) * lip_columns(flow, lips).outside
    return skin[:, None] * border_of(flow)
