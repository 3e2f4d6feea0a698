"""The colour of the skin of a face, as the face itself shows it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..warp import resized

_CHEEKS = ((0.225, 0.325), (0.675, 0.775)), (0.525, 0.625)
"""Columns of both, and their rows, as shares of the face in the frame: there is skin."""
_NEARBY = 5  # px
_REDUCED = 4
"""The regression is fitted to means of so many pixels by so many (He & Sun 2015, Fast guided
filter)."""
_WINDOW = 1 / 4
"""Side of the squares to which it is fitted, as a share of the face."""
_UNLIKE = 0.15
"""What is skin: deviation of its colours from that of the cheeks, relative to their brightness."""
_DARK, _LIT = 0.3, 0.5
"""And its brightness: up to the first, relative to that of the cheeks, nothing is skin."""
_DARKEST = 0.35
"""Down to which brightness colours are predicted; darker skin has the same tint."""
_RIDGE = 0.01
"""Ridge penalty, relative to the squared brightness of the cheeks."""
_LEAST = 1e-4
"""The weight of what is no skin, for squares without any."""


def cheeks(faces: Tensor) -> Tensor:
    """(n, 3, 1, 1): the mean colour of the cheeks of faces (n, 3, h, w) in -1..1; black is 0."""
    height, width = faces.shape[2:]
    columns, (top, bottom) = _CHEEKS
    rows = slice(round(top * height), round(bottom * height))
    both = [faces[:, :, rows, round(a * width) : round(b * width)] for a, b in columns]
    return (torch.cat(both, 3).mean((2, 3), keepdim=True) + 1).clamp(min=1e-2)


def nearby(faces: Tensor) -> Tensor:
    """(n, 3, h, w): the mean colours of 5x5 pixels of faces (n, 3, h, w) in -1..1; black is 0."""
    return F.avg_pool2d(faces + 1, _NEARBY, 1, _NEARBY // 2, count_include_pad=False)


def in_skin_colours(faces: Tensor, moved: Tensor, share: Tensor) -> Tensor:
    """Faces (n, 3, h, w) in -1..1 as bright as they are, in the colours that the skin of other
    faces, `moved`, has near each pixel at this brightness.

    Colour depends on brightness, as light and shade differ in colour, and so do skin that is lit
    by one lamp and by another. So it is a linear regression on brightness, fitted to the skin in a
    square around each pixel: a guided filter (He et al. 2010), whose guide is brightness.

    moved: (n, 3, h, w) in -1..1. share: (n, 1, h, w) in 0-1, where it shows no skin.
    """
    usual = brightness(cheeks(moved))
    lit = F.avg_pool2d(moved + 1, _REDUCED)
    bright = brightness(lit)
    weight = _skin(lit, cheeks(moved)) * (1 - F.avg_pool2d(share, _REDUCED)) + _LEAST

    total = _mean(weight)
    moments = torch.cat([bright, lit, bright * lit, bright.square()], 1)
    x, y, xy, xx = (_mean(weight * moments) / total).split([1, 3, 3, 1], 1)
    slope = (xy - x * y) / (xx - x.square() + _RIDGE * usual.square())
    lines = _mean(total * torch.cat([slope, y - slope * x], 1)) / _mean(total)
    slope, level = resized(lines, faces).split(3, 1)

    bright = brightness(faces + 1)
    colour = (slope * bright.maximum(_DARKEST * usual) + level).clamp(min=0.02)
    return bright * colour / brightness(colour) - 1


def skin_share(faces: Tensor) -> Tensor:
    """(n, 1, h, w) in 0-1: how far the pixels of faces (n, 3, h, w) in -1..1 look like the skin of
    their cheeks, over means of some pixels."""
    return resized(_skin(F.avg_pool2d(faces + 1, _REDUCED), cheeks(faces)), faces)


def _skin(colours: Tensor, cheek: Tensor) -> Tensor:
    """(n, 1, h, w) in 0-1: how far colours (n, 3, h, w) are those of skin. cheek: (n, 3, 1, 1)."""
    bright, usual = brightness(colours), brightness(cheek)
    unlike = (colours / bright.clamp(min=0.02) - cheek / usual).square().sum(1, keepdim=True)
    dark = ((bright / usual - _DARK) / (_LIT - _DARK)).clamp(0, 1)
    return torch.exp(-unlike / (2 * _UNLIKE**2)) * dark


def brightness(colours: Tensor) -> Tensor:
    """(n, 1, h, w): the mean of the channels of colours (n, 3, h, w)."""
    return colours.mean(1, keepdim=True)


def _mean(values: Tensor) -> Tensor:
    """Means of values (n, channels, h, w), reduced as above, over the squares."""
    side = 2 * round(_WINDOW * values.shape[3] / 2) + 1
    return F.avg_pool2d(values, side, 1, side // 2, count_include_pad=False)
