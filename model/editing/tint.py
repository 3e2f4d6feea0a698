"""Photographs in black and white, or toned in one colour: they get colours of skin, in which all
else is learned, and what is changed gets their tone again."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..warp import warped
from .masks import Masks
from .skin import brightness

_REDUCED = 4
"""Colours are compared in means of so many pixels by so many, without most of a sensor's noise."""
_TONED, _COLOURED = 0.01, 0.02
"""Root mean square deviation of colours from a line, in half the range of pixels: up to the first a
photograph is toned, and from the second on coloured. All but ten of 1,106 held-out photographs in
colour have more than 0.02, and all more than 0.015."""
_SKIN = 0.16, -0.03, -0.13
"""What skin of medium brightness has more than grey of red, green and blue. Their sum is 0."""


def with_skin_colours(faces: Tensor) -> Tensor:
    """Photographs (n, 3, h, w) in -1..1, toned ones in the colours of skin and as bright."""
    _, toned = tone_of(faces)
    bright = brightness(faces)
    skin = bright + faces.new_tensor(_SKIN)[:, None, None] * (1 - bright.square())
    return faces + toned * (skin - faces)


def toned_like(masks: Masks, faces: Tensor, seen: Tensor) -> Masks:
    """Masks that move the photographs and paint in their tone, if they have one.

    faces: (n, 3, h, w) in -1..1, the photographs. seen: the same with colours of skin, from which
    the masks were made.
    """
    assert masks.flow is not None
    slope, toned = tone_of(faces)
    if not (torch.compiler.is_compiling() or toned.any()):  # An exported network has no branches.
        return masks
    painted = masks.colour - masks.face
    change = toned * (slope * brightness(painted) - painted)
    other = warped(faces - seen, masks.flow)
    return masks._replace(face=masks.face + other, colour=masks.colour + other + change)


def tone_of(faces: Tensor) -> tuple[Tensor, Tensor]:
    """By how much the channels of photographs rise with brightness (n, 3, 1, 1), and how far, in
    0-1, this is all of their colour (n, 1, 1, 1)."""
    colours = F.avg_pool2d(faces.float(), _REDUCED)
    colours = colours - colours.mean((2, 3), keepdim=True)
    bright = brightness(colours)
    spread = bright.square().mean((2, 3), keepdim=True).clamp(min=1e-6)
    slope = (bright * colours).mean((2, 3), keepdim=True) / spread
    deviation = (colours - slope * bright).square().mean((1, 2, 3), keepdim=True)
    deviation = deviation.clamp(min=1e-12).sqrt()
    return slope, ((_COLOURED - deviation) / (_COLOURED - _TONED)).clamp(0, 1)
