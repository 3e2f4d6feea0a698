"""Edges of an edited face that are as sharp as those of its photograph."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..warp import resized
from .cleaning import box, odd
from .masks import Masks, smoothed

_NEAR = 1 / 14
"""Side of the squares in which sharpness is measured, as a share of the face."""
_NOISE = 1e-5
"""Energy, in half the range of pixels, squared, that is no detail."""
_LITTLE = 0.01
"""Which share of the finest detail may be too much, so that errors of rounding change nothing."""


def as_sharp_as(masks: Masks, faces: Tensor) -> Masks:
    """Masks by which edges are no sharper than the photographs are.

    Lips and lids that are cut, and what is painted, have edges of one pixel, which stand out in
    photographs that are blurred, and so in most small ones. The finest detail of a picture is
    compared with that of twice the size: the ratio of both is that of an edge's sharpness, however
    strong the edge is. Where it is higher than in all of the photograph, and than near by, so much
    of the finest detail is taken.

    faces: (n, 3, h, w) in -1..1, from which the masks were made.
    """
    with torch.autocast(faces.device.type, enabled=False):
        face, photograph = masks.blend(), faces.float()
        own = _energies(photograph)
        of_all = _ratio(own.mean((2, 3), keepdim=True))
        side = odd(_NEAR * own.shape[2])
        near = _ratio(_means(own, side))
        for wide in ((side, 1), (1, side)):
            near = F.max_pool2d(near, wide, 1, (wide[0] // 2, wide[1] // 2))
        result = _ratio(_means(_energies(face), side))
        share = (1 - _LITTLE - (near.maximum(of_all) / result).sqrt()).clamp(min=0)
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


def _means(values: Tensor, side: int) -> Tensor:
    """Means over squares of so many pixels."""
    return box(box(values, 0, side), 1, side)
