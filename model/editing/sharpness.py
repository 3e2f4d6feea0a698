"""Edges of an edited face that are as sharp as those of its photograph."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .cleaning import odd
from .masks import Masks, smoothed

_NEAR = 1 / 14
"""Side of the squares in which sharpness is measured, as a share of the face."""
_NOISE = 1e-5
"""Energy, in half the range of pixels, squared, that is no detail."""


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
        fine, coarse = _energies(photograph)
        of_all = fine.mean((2, 3), keepdim=True) / coarse.mean((2, 3), keepdim=True)
        side = odd(_NEAR * faces.shape[2])

        def near(fine: Tensor, coarse: Tensor) -> Tensor:
            fine, coarse = (
                F.avg_pool2d(x, side, 1, side // 2, count_include_pad=False) for x in (fine, coarse)
            )
            return fine / coarse

        own = F.max_pool2d(near(fine, coarse), side, 1, side // 2).maximum(of_all)
        share = (1 - (own / near(*_energies(face))).sqrt()).clamp(min=0)
        return masks.towards(smoothed(face), share, blur=False)


def _energies(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The energies (n, 1, h, w) of the finest detail of pictures (n, 3, h, w), and of that of twice
    the size."""
    light = pictures.mean(1, keepdim=True)
    once = smoothed(light)
    twice = smoothed(smoothed(smoothed(once)))
    return (light - once).square() + _NOISE, (once - twice).square() + 4 * _NOISE
