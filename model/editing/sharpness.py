"""Edges of an edited face that are as sharp as those of its photograph."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..warp import resized
from .cleaning import odd, square_mean
from .masks import Masks, smoothed

_NEAR = 1 / 14
"""Side of the squares in which sharpness is measured, as a share of the face."""
_NOISE = 1e-5
"""Energy, in half the range of pixels, squared, that is no detail."""
_LITTLE = 0.01
"""Which share of the finest detail may be too much, so that errors of rounding change nothing."""


def sharpness_of(faces: Tensor) -> Tensor:
    """(n, 1, h/2, w/2): how sharp edges of photographs (n, 3, h, w) in -1..1 are, in all of each
    and near by.

    It is the ratio of the energies of the finest detail and of that of twice the size, which says
    how sharp an edge is, however strong it is.
    """
    with torch.autocast(faces.device.type, enabled=False):
        energies = _energies(faces.float())
        of_all = _ratio(energies.mean((2, 3), keepdim=True))
        side = _side(energies)
        near = _ratio(square_mean(energies, side))
        for wide in ((side, 1), (1, side)):
            near = F.max_pool2d(near, wide, 1, (wide[0] // 2, wide[1] // 2))
        return near.maximum(of_all)


def as_sharp_as(masks: Masks, sharpness: Tensor) -> Masks:
    """Masks by which edges are no sharper than those of the photographs, by `sharpness_of`.

    Lips and lids that are cut, and what is painted, have edges of one pixel, which stand out in
    photographs that are blurred, and so in most small ones. Where an edge is sharper, so much of
    the finest detail is taken.
    """
    with torch.autocast(sharpness.device.type, enabled=False):
        face = masks.blend()
        energies = _energies(face)
        result = _ratio(square_mean(energies, _side(energies)))
        share = (1 - _LITTLE - (sharpness / result).sqrt()).clamp(min=0)
        return masks.towards(smoothed(face), resized(share, face), blur=False)


def _energies(pictures: Tensor) -> Tensor:
    """(n, 2, h/2, w/2): the energies of the finest detail of pictures (n, 3, h, w), and of that of
    twice the size."""
    light = pictures.mean(1, keepdim=True)
    once = smoothed(light)
    twice = smoothed(smoothed(smoothed(once)))
    both = torch.cat([(light - once).square() + _NOISE, (once - twice).square() + 4 * _NOISE], 1)
    return F.avg_pool2d(both, 2)


def _ratio(energies: Tensor) -> Tensor:
    return energies[:, :1] / energies[:, 1:]


def _side(energies: Tensor) -> int:
    """Of the squares, in pixels."""
    return odd(_NEAR * energies.shape[2])
