"""Closes eyes: the upper lid goes down over the eye, with its lashes as they are.

A flow that closes an eye presses the iris to a line and stretches the lashes over the lid, and what
is painted over that is the mean of many lids. So the edges of both lids are found, as brows are.
The skin above the eye is stretched, lashes keep their own pixels, and nothing of the eye is seen
below them.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..warp import resized
from .brows import Brows
from .cleaning import local_mean
from .columns import all_at_rows, centres, crossed, eased, in_columns, smooth, spread
from .masks import Masks
from .skin import brightness, in_skin_colours

# Lengths are in half sides, if nothing else is said.
_LOW = 0.95
"""How far down, as a share of the height of an eye, its lids meet."""
_LASHES = 0.03
"""What is above the edge of the upper lid and moves with it."""
_BAND = 2.0
"""Pixels between the edge of the upper lid and what is seen below it, where the flow leaps over the
eye."""
_FADING = 0.12
"""How far below the eye the skin moves along."""
_LEAST, _MOST = 0.06, 0.25
"""Least and greatest height of the skin that is stretched."""
_WIDER, _HIGHER = 1.2, 0.12
"""By which factor eyes are wider than is found, and how much higher, above and below, as a share of
their height: none of the white shall be left."""
_OPEN = 0.03
"""Height from which on an eye is wholly one."""
_DARK = 0.03, 0.01
"""How far above and below the edge of the upper lid that is found the darkest row is that of the
lashes."""
_BELOW = 0.02, 0.1
"""From where to where below the lower lid there is skin."""
_EVEN, _WIDE, _NARROW = 1 / 20, 0.06, 0.02
"""Shares of the face: sides of the squares of which the mean brightness of lids counts, and the
widths over which the colours of skin and of lashes are smoothed along the columns."""
_LIT = 0.7
"""How near the brightness of a lid comes to that of the skin above and below the eye: more light
falls on it than into the fold of an open eye."""
_LITTLE, _MUCH = 1.3, 1.8
"""From which factor on the rows of a lid that becomes taller are evened out, and blurred in larger
pictures, as lashes and folds become streaks, and from which on wholly."""
_SHADE = 0.024, 0.028
"""Standard deviations of the shade around the edge of the upper lid, above and below it, by the
photographs of 46 persons who close their eyes."""
_THICK, _LINE, _SHADED = 1.1, 0.6, 0.9
"""Half of the thickness of the line of lashes, in px, and the shares of lashes and shade that are
seen: the shade alone is a smudge in larger pictures, and the line alone looks drawn."""


class _Motion(NamedTuple):
    """Eyes of n faces that close. Rows are in -1..1 from top to bottom."""

    flow: Tensor
    """(n, 2, h, w), from the result to the picture with open eyes."""
    lid: Tensor
    """(n, 1, h, w) in 0-1: the skin that is stretched."""
    tall: Tensor
    """(n, 1, h, w): how many rows of it the result has for one of the picture."""
    band: Tensor
    """(n, 1, h, w) in 0-1: the rows where the flow leaps over the eye."""
    line: Tensor
    """(n, 1, h, w) in 0-1: the edge of the upper lid."""
    shade: Tensor
    """(n, 1, h, w) in 0-1: what lies around it."""
    under: Tensor
    """(n, w): the first row below the band."""


class _Eyes(NamedTuple):
    """Open eyes in a picture of n faces: (n, 1, w) each, rows in -1..1."""

    above: Tensor
    """From where the skin above is stretched."""
    upper: Tensor
    lower: Tensor


def with_closed_eyes(
    masks: Masks, faces: Tensor, brows: Brows, share: Tensor, uncovered: Tensor
) -> Masks:
    """Masks whose eyes close by a share.

    Args:
        masks: of faces with other AUs, which move first.
        faces: (n, 3, h, w) in -1..1, from which the masks were made.
        brows: theirs.
        share: (n,) in 0-1. At 0 nothing changes.
        uncovered: (n, 1, h/2, w/2) in 0-1, the share that nothing covers.
    """
    assert masks.flow is not None
    eyes = _eyes(masks.flow, brows)
    motion = _closing(eyes, faces.shape[2], share)
    free = resized(uncovered, faces)
    opened = masks.blend()
    masks = masks.moved(faces, motion.flow * free)
    return _with_lids(masks, motion, eyes, opened, free)


def _eyes(flow: Tensor, brows: Brows) -> _Eyes:
    """Eyes in a picture that a flow (n, 2, h, w) has moved."""
    upper, lower = brows.eyes.unbind(1)
    lid = spread((upper - brows.rows[:, 1])[:, None], brows.within.sum(1))
    above = upper - lid[:, 0].clamp(_LEAST, _MOST)
    middle = (upper + lower) / 2
    half = _wider((lower - upper).clamp(min=0)) * (0.5 + _HIGHER)
    upper, lower = middle - half, middle + half
    return _Eyes(*crossed(flow, torch.stack([above, upper, lower], 1)).split(1, 1))


def _wider(height: Tensor) -> Tensor:
    """The heights (n, w) of two eyes of which each is wider around its middle."""
    x = centres(height.shape[1], height)
    middle = (height * x).sum(1, keepdim=True) / height.sum(1, keepdim=True).clamp(min=1e-3)
    wider = torch.zeros_like(height)
    for side in (x < middle, x >= middle):
        one = height * side
        at = (one * x).sum(1, keepdim=True) / one.sum(1, keepdim=True).clamp(min=1e-3)
        one = in_columns(one[:, None], (at + (x - at) / _WIDER)[:, None])[:, 0, 0]
        wider = wider.maximum(one)  # if only one eye is found, it is both halves
    return wider


def _closing(eyes: _Eyes, height: int, share: Tensor) -> _Motion:
    """The motion by which eyes close, in a picture with so many rows."""
    above, upper, lower = eyes
    pixel = 2 / height
    y = centres(height, upper)[:, None]
    share = share[:, None, None]
    high = (lower - upper).clamp(min=0)
    down, up = share * _LOW * high, share * (1 - _LOW) * high
    edge, end = upper + down, lower - up
    lashes = edge - _LASHES
    under = edge + _BAND * pixel

    def seen_below(y: Tensor) -> Tensor:
        rise = ((y - under) / (end - under).clamp(min=1e-3)).clamp(0, 1)
        rise = torch.where(end > under, rise, 1.0)
        return y + up * rise * (1 - eased(((y - end) / _FADING).clamp(0, 1)))

    tall = (lashes - above) / (lashes - down - above).clamp(min=1e-3)
    place = ((y - edge) / (under - edge)).clamp(0, 1)
    row = torch.where(y < above, y, above + (y - above) / tall)
    row = torch.where(y > lashes, y - down, row)
    row = torch.where(y > edge, upper + place * (seen_below(under) - upper), row)
    row = torch.where(y > under, seen_below(y), row)

    closed = smooth((high / _OPEN).clamp(0, 1), _NARROW) * eased(share)
    lid = ((y - above) / pixel / 4).clamp(0, 1) * ((lashes - y) / pixel + 0.5).clamp(0, 1)
    band = ((y - edge) / pixel + 1).clamp(0, 1) * ((under - y) / pixel + 1.5).clamp(0, 1)
    line = torch.exp(-(((y - edge) / pixel + 0.3) / _THICK).square())
    shade = torch.exp(-((y - edge) / torch.where(y < edge, *_SHADE)).square() / 2)
    flow = torch.stack([torch.zeros_like(row), row - y], 1)
    tall = tall.expand_as(row)[:, None]
    lid, band, line, shade = ((closed * each)[:, None] for each in (lid, band, line, shade))
    return _Motion(flow, lid, tall, band, line, shade, under[:, 0] + pixel)


def _with_lids(masks: Masks, motion: _Motion, eyes: _Eyes, opened: Tensor, free: Tensor) -> Masks:
    """Masks whose lids are as bright as the skin above and below the eyes, and end in a dark line.

    opened: (n, 3, h, w) in -1..1, the picture with open eyes.
    """
    above, upper, lower = eyes
    y = centres(opened.shape[2], opened)[:, None]
    near = F.avg_pool2d(opened, 3, 1, 1, count_include_pad=False)

    def highest(values: Tensor, begin: Tensor, end: Tensor) -> Tensor:
        """The highest values (n, 3, w) of each column between two rows."""
        return values.where(((y > begin) & (y < end))[:, None], -1).amax(2)

    skin = (
        highest(near, above, upper - _LASHES),
        highest(near, lower + _BELOW[0], lower + _BELOW[1]),
    )
    light = smooth((skin[0] + skin[1]) / 2, _WIDE)[:, :, None]
    found = upper + (lower - upper) * _HIGHER / (1 + 2 * _HIGHER)
    dark = -highest(-near, found - _DARK[0], found + _DARK[1])
    dark = smooth(dark, _NARROW)[:, :, None]

    face = masks.blend()
    rows = local_mean(face, motion.lid, 0, _EVEN)
    around = local_mean(rows, motion.lid, 1, _EVEN)
    streaked = ((motion.tall - _LITTLE) / (_MUCH - _LITTLE)).clamp(0, 1)
    lit = face + streaked * (rows - face) + _LIT * (light - around)
    lit = in_skin_colours(lit, opened, motion.lid)
    masks = masks.towards(lit, motion.lid * free, blur=False)
    masks = masks.blurred(streaked * motion.lid * free)
    face = masks.blend()
    below = smooth(all_at_rows(face, motion.under), _NARROW)[:, :, None]
    masks = masks.towards(below.expand_as(face), motion.band * free)
    darker = (brightness(dark) + 1) / (brightness(light) + 1).clamp(min=1e-3)
    shaded = (masks.blend() + 1) * darker.clamp(0, 1) - 1
    masks = masks.towards(shaded, _SHADED * motion.shade * free, blur=False)
    return masks.towards(dark.expand_as(face), _LINE * motion.line * free, blur=False)
