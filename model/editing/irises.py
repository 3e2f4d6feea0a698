"""Where the irises of open eyes lie, and what eyes look like where lids cover them.

An iris is round, so what the lid covers has the colours that are seen at the same distance from its
middle, and around it there is white.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .brows import Brows
from .columns import centres
from .iris_network import eyes_of
from .skin import brightness, cheeks

SHADOW = 0.025
"""How far below the upper lid its shadow lies, in half sides."""
_DARK = 3.0
"""How much more dark pixels of an iris count than light ones, which may be light that it
reflects."""
_RINGS = 7
"""So many distances from the middle of an iris have colours of their own."""
_UNSEEN = 0.3
"""How much of the mean colour a part of an iris has, relative to its pixel that counts most."""
_NOTHING = -0.5
"""The grey in -1..1 of an iris of which nothing is seen."""
_EDGE = 1.6
"""Over how many pixels an iris ends."""
_GLINT = 0.08
"""By how much of half the range of pixels light that an iris reflects is brighter than it."""
_WHITE, _LIGHTER = 0.84, 2.2
"""How bright whites of eyes are that are wide open, relative to the cheeks: the median of 299
photographs; and by how many times they may become lighter."""
_TINT, _TINT_OF_LIGHT = 0.5, 0.2
"""How much of their tint is left, as in the shadow of lids they have that of the skin, and how much
of that of the cheeks is added, by the light of the photograph."""


class Irises(NamedTuple):
    """The eyes of n faces: for each column (n, w) those of the eye on its side. Rows are in -1..1
    from top to bottom."""

    upper: Tensor
    """Where the upper lid ends, and, likewise, the lower one begins."""
    lower: Tensor
    profile: Tensor
    """How high the eye is in this column, relative to its middle, in 0-1."""
    x: Tensor
    """The middle of the iris, and its row."""
    y: Tensor
    radius: Tensor
    """Of the iris, in half sides; likewise the width of the eye."""
    width: Tensor
    left: Tensor
    """1 where the eye is the left one in the picture, else 0."""


def irises_of(brows: Brows, places: Tensor) -> Irises:
    """The irises of faces with `places` (n, 2, 3), by `IrisNetwork`."""
    eyes = eyes_of(brows)
    upper, lower = brows.eyes.unbind(1)
    of_left, of_right = places[:, :, :, None].unbind(1)
    x, y, radius = (of_right + eyes.left[:, None] * (of_left - of_right)).unbind(1)
    width = eyes.width.expand_as(upper)
    return Irises(upper, lower, eyes.profile, x, y, radius, width, eyes.left)


def below_lids(irises: Irises, faces: Tensor) -> tuple[Tensor, Tensor]:
    """What eyes look like where lids cover them, (n, 3, h, w) in -1..1: an iris, whose colours are
    those that are seen at each distance from its middle, and around it white; and where the white
    is, (n, 1, h, w) in 0-1.

    faces: (n, 3, h, w) in -1..1.
    """
    pixel = 2 / faces.shape[2]
    y, x = centres(faces.shape[2], faces)[:, None], centres(faces.shape[3], faces)
    upper, lower, _, at_x, at_y, radius, _, left = (each[:, None] for each in irises)
    far = ((x - at_x).square() + (y - at_y).square()).sqrt()
    seen = ((y - upper) / SHADOW).clamp(0, 1) * ((lower - y) / pixel - 1).clamp(0, 1)
    light = (faces.mean(1) + 1) / 2

    outwards = (far / radius).clamp(max=1)[:, None] * (_RINGS - 1)
    at = torch.arange(_RINGS, device=faces.device)[:, None, None]
    rings = (1 - (outwards - at).abs()).clamp(min=0)
    of_iris = seen * (-_DARK * light).exp() * (far < radius - pixel)
    of_white = seen * light.square() * ((far > radius + pixel) & (far < 2 * radius))
    outside = ((far - radius) / pixel / _EDGE + 0.5).clamp(0, 1)[:, None]
    eyes = torch.zeros_like(faces)
    for side in (left, 1 - left):
        colours = _means(faces, side * of_iris, rings)
        iris = (colours[..., None, None] * rings[:, :, None]).sum(1)
        white = _lit(_means(faces, side * of_white)[:, 0, :, None, None], faces)
        eyes = eyes + side[:, None] * (iris + outside * (white - iris))
    # Light that an iris reflects lies just below the lid, where its shadow is left out.
    glint = (brightness(faces - eyes) / _GLINT - 1).clamp(0, 1) * (1 - outside)
    glint = glint * (((y - upper) / pixel - 1).clamp(0, 1) * (lower > y))[:, None]
    return eyes + glint * (faces - eyes), outside


def _means(faces: Tensor, weight: Tensor, parts: Tensor | None = None) -> Tensor:
    """(n, parts, 3): the mean colours of parts of faces (n, 3, h, w), (n, parts, h, w) in 0-1, with
    weights (n, h, w). Parts that are not seen have the mean colour of all."""

    def mean(weights: Tensor, usual: Tensor | float, count: float) -> Tensor:
        total = weights.flatten(2).sum(2, keepdim=True)
        sums = weights.flatten(2) @ faces.flatten(2).transpose(1, 2)
        return (sums + count * usual) / (total + count)

    weight = weight[:, None] / weight.amax((1, 2))[:, None, None, None].clamp(min=1e-6)
    all_ = mean(weight, _NOTHING, 1e-3)
    return all_ if parts is None else mean(weight * parts, all_, _UNSEEN)


def _lit(white: Tensor, faces: Tensor) -> Tensor:
    """Whites of eyes (n, 3, 1, 1) as bright as those of eyes that are wide open, if they are not
    brighter by themselves."""
    cheek = cheeks(faces)
    bright, usual = brightness(white + 1).clamp(min=0.1), brightness(cheek)
    own, of_light = (white + 1) / bright - 1, cheek / usual - 1
    factor = (_WHITE * usual / bright).clamp(1.0, _LIGHTER)
    return factor * bright * (1 + _TINT * own + _TINT_OF_LIGHT * of_light) - 1
