"""What the network of brows and eyes is trained on: photographs, and where these lie.

Landmarks say roughly where a brow is, and not how high. Brows are darker than skin, so their edges
are the rows near by at which a photograph becomes darker and lighter again most. A curve through
those of all columns of a brow evens out errors.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import Faces
from ..editing.brows import cut_to_upper_face
from ..editing.columns import fitted
from ..landmarks.frame import frame_maps, into_frame
from ..landmarks.points import MIRRORED
from ..pixels import from_model
from .eye_lines import eye_lines
from .framing import composed, sampled, schemes_in_frame
from .lip_lines import interpolated
from .pair_augmentation import Augmentation, Deviations

_VIEWS = 2
"""Of each photograph."""
_DEVIATIONS = Deviations(0.04, 0.04, 0.03, (0.0, 0.0), 0.04, 0.1, 0.1, 0.1, 0.02, 0.1)
"""Smaller changes than usual: all brows lie where the network will see them."""
_TALL = 0.85, 1.45
"""By which factors, at least and at most, views are made taller: eyes of children are higher, and
the widest eyes of photographs are few."""
_EXACT = 3.0
"""How much more often faces with exact landmarks of eyes are drawn, and twice that if the eyes are
narrow or wide, by their height as a share of the side of the frame."""
_NARROW, _WIDE = 0.031, 0.066
_CHUNK = 64

_LEFT, _RIGHT = range(17, 22), range(22, 27)
"""Landmarks of the brows, from left to right in the picture."""

# What follows is in shares of the side of the frame.
_ALONG, _ACROSS = 0.056, 0.019
"""Over how many columns, and on each side of an edge over how many rows, brightness is a mean."""
_FURTHER_UP, _FURTHER_DOWN = 0.03, 0.038
"""How far above and below a landmark the upper edge of a brow may lie."""
_BELOW_LANDMARKS, _HIGH = 0.01, 0.044
"""How far below its landmarks upper edges lie, and how high brows are, as a rule."""
_LEAST_HIGH, _LID = 0.019, 0.025
"""The least height of a brow, and of the lid below it."""
_STRAYS_UP, _STRAYS_DOWN = (0.03, 0.15), (0.044, 0.25)
"""How far from there edges lie that are taken to be less clear by the second number, in standard
deviations of the picture."""
_NOISE, _OUTLIER, _ROUNDS = 5.0, 0.0125, 3
"""Levels of brightness that are noise; how far from the curve a row is counted half; and how often
the curve is fitted."""
_UNCLEAR = 0.02
"""How much a column without a clear edge counts."""


class UpperFaces(NamedTuple):
    """n photographs."""

    pixels: Tensor
    """(n, 3, h, w) uint8."""
    ends: Tensor
    """(n, 4, w): in px from the top, where a brow begins, where it ends, and where the eye begins
    and ends; beside the eyes, the last two are one, and beside the brows the first three."""
    often: Tensor
    """(n,): how often each is drawn, beside others."""


def cut_upper_faces(
    faces: Faces, landmarks: Tensor, reference: Tensor, size: int, seed: int
) -> UpperFaces:
    """Cut brows and eyes out of photographs, in two views of each.

    Eyes lie where landmarks of MediaPipe say, where the photographs have these, and otherwise by
    `landmarks`.

    landmarks: (faces, 68, 2) in the crops, -1..1. reference: (68, 2), where those of a mean face
    lie in the frame. size: of the frame in pixels.
    """
    draw = torch.Generator().manual_seed(seed)
    maps = frame_maps(landmarks, reference)
    schemes, exact = schemes_in_frame(faces, landmarks, maps)
    columns = torch.arange(size) + 0.5
    pixels, found = [], []
    for part in torch.arange(len(faces)).repeat(_VIEWS).split(_CHUNK):
        augmentation = Augmentation.draw(len(part), draw, _DEVIATIONS)
        views = sampled(faces.images[part], composed(maps[part], augmentation.maps), size)
        views = from_model(augmentation.coloured(views)).round().byte()
        eyes = torch.stack(
            [
                eye_lines((into_frame(points[part], augmentation.maps) + 1) * (size / 2), columns)
                for points in schemes
            ]
        )
        eyes = eyes[exact[part].long(), torch.arange(len(part))]
        there = into_frame(schemes[0][part], augmentation.maps)
        there = torch.where(augmentation.mirrored[:, None, None], there[:, list(MIRRORED)], there)
        views, ends = _stretched(views, upper_face_ends(views, there, eyes), draw)
        found.append(ends)
        pixels.append(cut_to_upper_face(views).clone())
    ends = torch.cat(found)
    return UpperFaces(torch.cat(pixels), ends, _often(ends, exact.repeat(_VIEWS), size))


def _often(ends: Tensor, exact: Tensor, side: int) -> Tensor:
    """`UpperFaces.often` of faces with these ends, of which some have exact landmarks of eyes."""
    high = (ends[:, 3] - ends[:, 2]).amax(1) / side
    unusual = (high < _NARROW) | (high > _WIDE)
    return torch.where(exact, _EXACT * (1 + unusual.float()), 1.0)


def _stretched(views: Tensor, ends: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Views (n, 3, side, side) uint8 and their ends, taller or less tall by a random factor."""
    side = views.shape[3]
    low, high = _TALL
    factor = low * (high / low) ** torch.rand(len(views), generator=draw)
    eye = ends[:, 2].mean(1)
    maps = torch.eye(2, 3).repeat(len(views), 1, 1)
    maps[:, 1, 1] = 1 / factor
    maps[:, 1, 2] = (eye * (2 / side) - 1) * (1 - 1 / factor)
    factor, eye = factor[:, None, None], eye[:, None, None]
    ends = ((ends - eye) * factor + eye).clamp(0, side)
    return from_model(sampled(views, maps, side)).round().byte(), ends


def upper_face_ends(faces: Tensor, landmarks: Tensor, eyes: Tensor) -> Tensor:
    """`UpperFaces.ends` of faces (n, 3, side, side) uint8 with landmarks (n, 68, 2) in -1..1. eyes:
    (n, 2, side), by `eye_lines`."""
    side = faces.shape[3]
    points = (landmarks + 1) * (side / 2)
    columns = torch.arange(side) + 0.5
    middle = (points[:, _LEFT[-1], :1] + points[:, _RIGHT[0], :1]) / 2
    on_left = columns < middle

    def line(left: range, right: range) -> Tensor:
        one, other = (interpolated(points[:, list(each)], columns) for each in (left, right))
        return torch.where(on_left, one, other)

    def within(brow: range) -> Tensor:
        return (columns >= points[:, brow[0], :1]) & (columns <= points[:, brow[-1], :1])

    of_left, of_right = within(_LEFT), within(_RIGHT)
    found, eye = line(_LEFT, _RIGHT), eyes[:, 0]
    edges = _edges(faces)

    def curve(rows: Tensor, clear: Tensor) -> Tensor:
        weights = clear.clamp(min=_UNCLEAR)
        result = rows
        for _ in range(_ROUNDS):
            near = 1 / (1 + ((rows - result) / (_OUTLIER * side)).square())
            one, other = (fitted(rows, weights * near * brow, 1) for brow in (of_left, of_right))
            result = torch.where(on_left, one, other)
        return result

    lowest = eye - (_LEAST_HIGH + _LID) * side
    first, last = found - _FURTHER_UP * side, torch.minimum(found + _FURTHER_DOWN * side, lowest)
    rows, clear = _clearest(-edges, found + _BELOW_LANDMARKS * side, first, last, _STRAYS_UP)
    begin = (found + curve(rows - found, clear)).maximum(first).minimum(lowest)
    first, last = begin + _LEAST_HIGH * side, eye - _LID * side
    rows, clear = _clearest(edges, begin + _HIGH * side, first, last, _STRAYS_DOWN)
    end = (begin + curve(rows - begin, clear)).minimum(eye - _LID * side / 2)
    end = torch.maximum(end, begin + _LEAST_HIGH * side / 2)
    begin, end = torch.minimum(begin, eye), torch.minimum(end, eye)
    brow = torch.stack([begin, end], 1)
    brow = torch.where((of_left | of_right)[:, None], brow, eye[:, None])
    return torch.cat([brow, eyes], 1)


def _edges(faces: Tensor) -> Tensor:
    """(n, side, side): by how much faces (n, 3, side, side) uint8 become lighter downwards at the
    upper edge of each pixel, in standard deviations of the picture."""
    side = faces.shape[3]
    light = faces.float().mean(1, keepdim=True)
    along, across = round(_ALONG * side / 2), max(round(_ACROSS * side), 1)
    mean = F.avg_pool2d(F.pad(light, (along, along, 0, 0), "replicate"), (1, 2 * along + 1), 1)
    mean = F.avg_pool2d(F.pad(mean, (0, 0, across, across - 1), "replicate"), (across, 1), 1)
    step = (mean[:, :, across:] - mean[:, :, :-across])[:, 0]
    return step / (light.std((1, 2, 3)) + _NOISE)[:, None, None]


def _clearest(
    edges: Tensor, usual: Tensor, first: Tensor, last: Tensor, strays: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """The rows (n, w) of the clearest edges near to the usual rows (n, w) of them, between two
    others, and how clear they are."""
    side = edges.shape[1]
    rows = torch.arange(side)[:, None]
    far, less = strays
    clear = edges - less * ((rows - usual[:, None]) / (far * side)).square()
    clear = clear.where((rows >= first[:, None]) & (rows <= last[:, None]), -torch.inf)
    best = clear.max(1)
    none = best.values.isinf()
    return best.indices.where(~none, usual), best.values.masked_fill(none, 0)
