"""The upper lids below brows that are raised: stretched from the little that was seen of them."""

import torch
from torch import Tensor

from ..warp import resized
from .cleaning import local_mean, stretched, without_strips
from .masks import Masks
from .skin import brightness, cheeks, in_skin_colours

_NEAR = 1 / 12
"""Side of the squares of which the mean brightness counts, as a share of the face."""
_LEVEL, _LIGHTER = 0.95, 0.5
"""How much nearer to the first, relative to the cheeks, the brightness of lids becomes where they
are darker: more light falls on them if brows are raised, and what is left of brows in them is dark.
"""
_REDDER = 1.1
"""How much further from grey they are than other skin of their brightness. In 250 pairs of one
person all this gives the brightness and the redness of lids below brows that are raised."""


def with_even_lids(masks: Masks, lid: Tensor, high: Tensor) -> Masks:
    """Masks whose upper lids have no upright strips where they are stretched, and are there lighter
    and in the colours of the skin around.

    lid: (n, 1, h, w) in 0-1, where they are. high: (n, 1, h, w) in 0-1, how high above the eye.
    """
    assert masks.flow is not None
    share = lid * stretched(masks.flow[:, 1:])
    if not (torch.compiler.is_compiling() or share.any()):  # An exported network has no branches.
        return masks
    masks = without_strips(masks, resized(share, masks.flow[:, :, ::2, ::2]))
    face, skin = masks.blend(), share * high
    light = brightness(face + 1)
    around = local_mean(local_mean(light, share, 0, _NEAR), share, 1, _NEAR)
    usual = _LEVEL * brightness(cheeks(masks.face))
    missing = (usual - light.maximum(around)).clamp(min=0)
    lit = in_skin_colours(face + _LIGHTER * missing, masks.face, share)
    grey = brightness(lit)
    return masks.towards((grey + _REDDER * (lit - grey)).clamp(-1, 1), skin)
