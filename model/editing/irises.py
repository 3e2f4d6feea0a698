"""Where the irises of open eyes lie, and what eyes look like where lids cover them.

An iris is round, so what the lid covers has the colours that are seen at the same distance from its
middle, and around it there is white.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .brows import Brows
from .columns import at_rows, centres, eased, smooth
from .skin import brightness, cheeks

_RADIUS, _COVERED = 0.185, 0.25
"""Radius of most irises, as a share of the width of the eye; and which share of that the upper lid
covers in most open eyes. The lower one covers nothing."""
_SMALLEST, _LARGEST, _CONTRAST = 0.95, 1.25, 0.2
"""Smallest and largest iris, relative to that; and how much darker than the white one is, in half
the range of pixels, of which the width can be seen."""
_OUTER, _INNER = 0.2, 0.5
"""Share of the height of an eye, from which on a column counts for its width, and from which on an
iris may be in it."""
_ROWS, _DARK, _SURE = (0.4, 0.6, 0.8), 0.5, 40.0
"""At which shares of the height of an eye irises are looked for, up to which brightness between
that of the darkest column and that of the brightest a column is one of the iris, and how much more
likely the middle lies where it is darker."""
_LEVELS, _PUPIL = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8), 0.35
"""At which shares of the height of an eye pupils are looked for, and in which part of an iris, as a
share of its radius."""
_LITTLE, _MUCH = 0.5, 0.8
"""Up to which share of the height of an iris, if it is seen, its pupil is not looked for, and from
which on the iris lies around it."""
_WIDE = 0.06
"""Over which share of the face columns are dark in an iris."""
_NARROW = 0.02
"""Over which share of the face heights of eyes are smoothed."""
SHADOW = 0.025
"""How far below the upper lid its shadow lies, in half sides."""
_RINGS = 7
"""So many distances from the middle of an iris have colours of their own."""
_UNSEEN = 0.3
"""How much of the mean colour a part of an iris has, relative to a pixel of black that is seen."""
_EDGE = 2.5
"""Over how many pixels an iris ends, outwards."""
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
    """Of the iris, in half sides."""
    left: Tensor
    """1 where the eye is the left one in the picture, else 0."""

    @property
    def width(self) -> Tensor:
        """Of the eye, in half sides, by the radius of the iris."""
        return self.radius / _RADIUS


def irises_of(brows: Brows, faces: Tensor) -> Irises:
    """The irises of faces (n, 3, h, w) in -1..1."""
    upper, lower = brows.eyes.unbind(1)
    high = smooth((lower - upper).clamp(min=0)[:, None], _NARROW)[:, 0]
    x = centres(high.shape[1], high)
    middle = (high * x).sum(1, keepdim=True) / high.sum(1, keepdim=True).clamp(min=1e-3)
    sides = [(x < middle).float(), (x >= middle).float()]
    # Faces that are turned show one eye less wide than it is.
    tallest = [(high * side).amax(1, keepdim=True).clamp(min=1e-3) for side in sides]
    both = zip(sides, tallest, strict=True)
    widths = [(high * side > _OUTER * tall).float().mean(1, keepdim=True) for side, tall in both]
    usual = 2 * _RADIUS * torch.maximum(*widths)

    light = F.avg_pool2d(faces.mean(1), 3, 1, 1)
    found = torch.zeros_like(high)[:, None]
    for side, tall in zip(sides, tallest, strict=True):
        profile = side * (high / tall).clamp(0, 1)
        column, radius = _columns_of_iris(light, upper, lower, profile, usual)
        row = (lower * side + side - 1).amax(1, keepdim=True) - radius
        row = row + ((2 - _COVERED) * radius - tall).clamp(min=0) / 2
        seen = eased(((tall / (2 * radius) - _LITTLE) / (_MUCH - _LITTLE)).clamp(0, 1))
        inner = side * ((x - column).abs() < _PUPIL * radius)
        row = row + seen * (_row_of_pupil(light, upper, lower, inner) - row)
        one = [each.expand_as(high) for each in (profile, column, row, radius)]
        found = found + side[:, None] * torch.stack(one, 1)
    profile, at_x, at_y, radius = found.unbind(1)
    return Irises(upper, lower, profile, at_x, at_y, radius, sides[0])


def _columns_of_iris(
    light: Tensor, upper: Tensor, lower: Tensor, profile: Tensor, usual: Tensor
) -> tuple[Tensor, Tensor]:
    """The middle and the radius of the iris of one eye, (n, 1) each, in half sides.

    light: (n, h, w). upper, lower: (n, w), the lids. profile: (n, w) in 0-1, 0 beside the eye.
    usual: (n, 1), the radius of most irises.
    """
    x = centres(profile.shape[1], profile)
    inner = profile > _INNER
    # Not the light that an iris reflects.
    rows = [at_rows(light, upper + at * (lower - upper)) for at in _ROWS]
    lit = torch.stack(rows).amin(0)
    even = smooth(lit[:, None], _WIDE)[:, 0]
    column = (torch.softmax(-_SURE * even.where(inner, 1), 1) * x).sum(1, keepdim=True)
    near = inner & ((x - column).abs() < _LARGEST * usual)
    dark, white = (
        lit.where(near, 1).amin(1, keepdim=True),
        lit.where(inner, -1).amax(1, keepdim=True),
    )
    iris = (near & (lit < dark + _DARK * (white - dark))).float()
    sure = ((white - dark) / _CONTRAST).clamp(0, 1)
    half = iris.mean(1, keepdim=True).clamp(_SMALLEST * usual, _LARGEST * usual)
    centre = (iris * x).sum(1, keepdim=True) / iris.sum(1, keepdim=True).clamp(min=1)
    return column + sure * (centre - column), usual + sure * (half - usual)


def _row_of_pupil(light: Tensor, upper: Tensor, lower: Tensor, inner: Tensor) -> Tensor:
    """(n, 1): the darkest row of some columns of an eye; inner: (n, w), 1 in these."""
    count = inner.sum(1, keepdim=True).clamp(min=1)
    levels = [
        (at_rows(light, upper + at * (lower - upper)) * inner).sum(1, keepdim=True) / count
        for at in _LEVELS
    ]
    likely = torch.softmax(-_SURE * torch.cat(levels, 1), 1)
    at = (likely * likely.new_tensor(_LEVELS)).sum(1, keepdim=True)
    return ((upper + at * (lower - upper)) * inner).sum(1, keepdim=True) / count


def below_lids(irises: Irises, faces: Tensor) -> tuple[Tensor, Tensor]:
    """What eyes look like where lids cover them, (n, 3, h, w) in -1..1: an iris, whose colours are
    those that are seen at each distance from its middle, and around it white; and where the white
    is, (n, 1, h, w) in 0-1.

    faces: (n, 3, h, w) in -1..1.
    """
    pixel = 2 / faces.shape[2]
    y, x = centres(faces.shape[2], faces)[:, None], centres(faces.shape[3], faces)
    upper, lower, _, at_x, at_y, radius, left = (each[:, None] for each in irises)
    far = ((x - at_x).square() + (y - at_y).square()).sqrt()
    seen = ((y - upper) / SHADOW).clamp(0, 1) * ((lower - y) / pixel - 1).clamp(0, 1)
    light = (faces.mean(1) + 1) / 2

    outwards = (far / radius).clamp(max=1)[:, None] * (_RINGS - 1)
    at = torch.arange(_RINGS, device=faces.device)[:, None, None]
    rings = (1 - (outwards - at).abs()).clamp(min=0)
    of_iris = seen * (1 - light).square() * (far < radius - pixel)
    of_white = seen * light.square() * ((far > radius + pixel) & (far < 2 * radius))
    outside = ((far - radius) / pixel / _EDGE).clamp(0, 1)[:, None]
    eyes = torch.zeros_like(faces)
    for side in (left, 1 - left):
        colours = _means(faces, side * of_iris, rings)
        iris = (colours[..., None, None] * rings[:, :, None]).sum(1)
        white = _lit(_means(faces, side * of_white)[:, 0, :, None, None], faces)
        eyes = eyes + side[:, None] * (iris + outside * (white - iris))
    return eyes, outside


def _means(faces: Tensor, weight: Tensor, parts: Tensor | None = None) -> Tensor:
    """(n, parts, 3): the mean colours of parts of faces (n, 3, h, w), (n, parts, h, w) in 0-1, with
    weights (n, h, w). Parts that are not seen have the mean colour of all."""

    def mean(weights: Tensor, usual: Tensor | float) -> Tensor:
        total = weights.flatten(2).sum(2, keepdim=True)
        sums = weights.flatten(2) @ faces.flatten(2).transpose(1, 2)
        return (sums + _UNSEEN * usual) / (total + _UNSEEN)

    all_ = mean(weight[:, None], 0.0)
    return all_ if parts is None else mean(weight[:, None] * parts, all_)


def _lit(white: Tensor, faces: Tensor) -> Tensor:
    """Whites of eyes (n, 3, 1, 1) as bright as those of eyes that are wide open, if they are not
    brighter by themselves."""
    cheek = cheeks(faces)
    bright, usual = brightness(white + 1).clamp(min=0.1), brightness(cheek)
    own, of_light = (white + 1) / bright - 1, cheek / usual - 1
    factor = (_WHITE * usual / bright).clamp(1.0, _LIGHTER)
    return factor * bright * (1 + _TINT * own + _TINT_OF_LIGHT * of_light) - 1
