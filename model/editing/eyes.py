"""What is taken from eyes and lids in use: violet irises, lines on closed lids, and odd colours."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..warp import resized
from .cleaning import highest, odd, slope, stretched, widened
from .masks import Masks
from .skin import cheeks, in_skin_colours, nearby

_SLIGHT, _MUCH = 0.17, 0.37
"""By how much the rows of a result are taller or less tall than those of the face: up to the first
nothing is taken, and from the second on all."""
_TOP, _BOTTOM = 0.25, 0.55
"""Rows of the frame between which eyes lie, as shares of it."""
_NEAR = 1 / 16
"""By how much what is deformed is widened, and then its edge smoothed, as a share of the face."""
_TINT = 0.4
"""How much of the tint of the cheeks eyes have at least, where the face has none there."""
_WHITES, _LESS_BRIGHT, _IRIS = 1 / 8, 0.2, 0.5
"""Irises are darker than the brightest pixel so far around, as a share of the face, by the second
number, and wholly by that and the third, in half the range of pixels."""
_OWN, _DARKER, _GREY = 0.5, 0.22, 0.2
"""How much of its own colour an iris gets, by how much it becomes darker, and which brightness is
added to its colour, so that noise in dark eyes has none."""
_LINE = 1 / 32
"""Bright lines that are less tall than this share of the face are removed from lids."""


def cleaned_eyes(masks: Masks, lids: Tensor, opening: Tensor, closing: Tensor) -> Masks:
    """Masks as they are used: all of the below, in full precision.

    lids, opening, closing: (n, 2, h/2, w/2), the flow that unfolds the upper lids; and the parts of
    it that raise the upper lid, and that close the eyes, in half sides.
    """
    with torch.autocast(opening.device.type, enabled=False):
        # An exported network has no branches.
        if torch.compiler.is_compiling() or opening.any():
            masks = without_violet(masks, deformed(opening[:, 1:]))
        if torch.compiler.is_compiling() or lids.any():
            shut = deformed(closing[:, 1:])
            if torch.compiler.is_compiling() or closing.any():
                masks = without_lines(masks, shut)
            masks = with_lids_of_skin(masks, shut.maximum(stretched(lids[:, 1:])))
        return masks


def without_violet(masks: Masks, share: Tensor) -> Masks:
    """Masks by which eyes that open have a warm colour, unless the moved face is blue there.

    Irises and whites are painted in the mean colour of many eyes, some of them blue; beside skin,
    and in light as warm as that of most rooms, they look violet. Their share of green becomes that
    of the cheeks at least, and their share of blue what a grey surface has on which a part of the
    tint of the cheeks lies, or what the moved face has near, at most. What is dark gets a part of
    the moved face's colours.

    share: (n, 1, h/2, w/2) in 0-1, how far this is done.
    """
    face = masks.blend()
    warm = _with_green(face, masks.face)
    skin = cheeks(masks.face)
    most = (1 + _TINT * (_blue(skin) - 1)).maximum(_blue(nearby(masks.face)))
    blue = ((warm + 1).mean(1, keepdim=True) * most - 1).minimum(warm[:, 2:])
    warm = _with_own_irises(torch.cat([warm[:, :2], blue], 1), masks.face)
    return masks.towards(warm, resized(share, face), blur=False)


def _with_own_irises(face: Tensor, moved: Tensor) -> Tensor:
    """A face (n, 3, h, w) in -1..1 of which what is darker than whites of eyes is darker still, and
    nearer to the colours of `moved`: irises of the mean colour of many eyes are pale."""
    light = (face + 1).mean(1, keepdim=True)
    side = odd(_WHITES * face.shape[2])
    whites = F.max_pool2d(light, side, 1, side // 2)
    dark = ((whites - light - _LESS_BRIGHT) / _IRIS).clamp(0, 1)
    own = nearby(moved) + _GREY
    own = light * own / own.mean(1, keepdim=True)
    lit = face + 1 + dark * _OWN * (own - face - 1)
    return lit * (1 - _DARKER * dark) - 1


def without_lines(masks: Masks, share: Tensor) -> Masks:
    """Masks without bright lines in closed lids: the whites of the eyes, which the lids press
    together when they move over them, and what is painted over these.

    A morphological opening by an upright line removes what is brighter than what lies above or
    below, and keeps lashes, which are darker. The photograph, moved at its full size, is blurred.

    share: (n, 1, h/2, w/2) in 0-1, how far this is done.
    """
    face = masks.blend()
    rows = odd(_LINE * face.shape[2])
    opened = highest(-highest(-face, rows), rows)
    return masks.towards(opened, resized(share, face))


def with_lids_of_skin(masks: Masks, share: Tensor) -> Masks:
    """Masks whose upper lids have the colours of the skin around them, at the same brightness.

    Painted lids have the mean colour of many lids, with make-up and in any light: purple, yellow or
    orange, which is seen in large portraits.

    share: (n, 1, h/2, w/2) in 0-1, where lids are.
    """
    face = masks.blend()
    share = resized(share, face)
    return masks.towards(in_skin_colours(face, masks.face, share), share, blur=False)


def deformed(down: Tensor) -> Tensor:
    """(n, 1, h, w) in 0-1: where a flow (n, 1, h, w) down, in half sides, stretches or compresses
    eyes."""
    height = down.shape[2]
    share = ((slope(down).abs() - _SLIGHT) / (_MUCH - _SLIGHT)).clamp(0, 1)
    top, bottom = round(_TOP * height), round(_BOTTOM * height)
    share = F.pad(share[:, :, top:bottom], (0, 0, top, height - bottom))
    return widened(share, odd(_NEAR * height))


def _with_green(face: Tensor, moved: Tensor) -> Tensor:
    """A face (n, 3, h, w) in -1..1 in which nowhere the share of green in its colour is lower than
    in the cheeks of `moved`, at the same brightness."""
    skin = cheeks(moved)
    least = skin[:, 1:2] / skin.mean(1, keepdim=True)
    lit = face + 1
    missing = (least * lit.mean(1, keepdim=True) - lit[:, 1:2]).clamp(min=0)
    return face + missing * missing.new_tensor([-0.5, 1, -0.5])[:, None, None]


def _blue(colours: Tensor) -> Tensor:
    """(n, 1, h, w): blue, relative to the mean of the channels, of colours (n, 3, h, w) from 0."""
    return colours[:, 2:] / colours.mean(1, keepdim=True).clamp(min=0.05)
