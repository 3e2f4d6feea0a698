"""Parts lips and lets them meet: they are moved by the flow as they are, and not stretched.

A flow is smooth, and lips that part are not: stretched with what is between them, they become
longer, and teeth strips. So in each column of a mouth both lips keep their height, the upper one
from its upper edge on and the lower one from its lower edge on, and teeth keep theirs below the
upper lip. What is left between is a hole, in which nothing of the photograph is seen. Lips that
meet cover what was between them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .lip_changes import LipChanges
from .lip_columns import LipColumns, lip_columns
from .lip_flows import closing, dropped, raised, tightened, wide_enough, with_low_sides
from .lips import Lips

_DEEP = 0.12
"""How far below the upper lip it is deepest in a mouth, in half sides."""
_DARK, _LIT = 0.05, 0.45
"""How far below it a mouth is darkest, likewise; and over which share of the gap above the lower
lip it is less dark, as light falls there on the tongue and the lower teeth."""
_TEETH = 0.085
"""How far both begin further down in a smile, which shows the upper teeth, likewise."""
_DARKENS = 2.0
"""The inverse of the share of AU26 by which it is as dark as it becomes."""
_NARROW, _WIDE = 0.08, 0.45
"""Up to which share of the widest gap a column is a corner, in which it is dark, and over how much
more it becomes as elsewhere."""
_PARTED, _TOUCHING = 0.03, 0.02
"""In half sides: by how much lips have parted that leave the line where they met; and up to which
gap of the photograph they touch."""
_EDGES, _OF_LIP = (0.009, 0.0225), 0.3
"""How much of the upper lip and of the lower one that line is, in half sides, and at most as a
share of their height."""
_OF_UPPER, _OF_LOWER = 0.5, 0.2
"""Which shares of a mouth that is open go with the upper lip and the lower one: teeth, and below
the tongue. What is between is stretched."""
_NEARLY = 0.7
"""Which share of a gap is closed where what is left of the inside of the mouth begins to vanish."""
_LINE = 1.0
"""Half the height of the line between lips that meet, in pixels."""
_EDGE, _FAR = 2, 4
"""Over how many pixels what counts as lips fades out above and below them; and over how many what
counts as below them becomes so."""


class Parting(NamedTuple):
    """Lips of n faces that are moved."""

    flow: Tensor
    """(n, 2, h, w), in half sides."""
    hole: Tensor
    """(n, 1, h, w) in 0-1: what lies between the lips and is not in the photograph."""
    deep: Tensor
    """(n, 1, h, w) in 0-1: how deep in the mouth it lies, as far as the jaw drops."""
    shade: Tensor
    """(n, 1, h, w) in 0-1: how dark it is there, likewise, and in the corners."""
    corners: Tensor
    """(n, 1, h, w) in 0-1: how near it lies to the corners of the mouth."""
    mouth: Tensor
    """(n, 1, h, w) in 0-1: the lips, and all that lies between them."""
    inside: Tensor
    """(n, 1, h, w) in 0-1: what is left of the inside of the mouth where lips are closed."""
    below: Tensor
    """(n, 1, h, w) in 0-1: what lies below the lower lip, as far as lips close."""
    line: Tensor
    """(n, 1, h, w) in 0-1: the line between lips that meet, likewise."""


def with_lips(flow: Tensor, lips: Lips, changes: LipChanges) -> Parting:
    """Move the lips of faces that a flow (n, 2, h, w) moves as they are, in half sides."""
    flow = dropped(wide_enough(flow, lips), lips, changes.jaw)
    flow = raised(flow, lips, changes.smile)
    flow = with_low_sides(flow, lips, changes.smile.clamp(min=0))
    flow = closing(flow, lips, changes.closed)
    parting = parted(flow, lips, changes.smile.clamp(min=0))
    closed, jaw = (x[:, None, None, None] for x in (changes.closed, changes.jaw))
    shut = ((closed - _NEARLY) / (1 - _NEARLY)).clamp(min=0)
    return parting._replace(
        flow=tightened(parting.flow, lips, changes.tight),
        deep=parting.deep * jaw,
        shade=(parting.shade * (_DARKENS * jaw).clamp(max=1)).maximum(parting.corners),
        inside=parting.inside * shut,
        below=parting.below * closed,
        line=parting.line * closed,
    )


def parted(flow: Tensor, lips: Lips, smile: Tensor) -> Parting:
    """Part the lips of faces that a flow (n, 2, h, w) moves, in half sides.

    smile: (n,) in 0-1, how far upper teeth are seen above what is deep in the mouth.
    """
    at = lip_columns(flow, lips)
    y, upper, lower = at.y, at.upper, at.lower
    first, second, third, fourth = at.lines.unbind(1)

    teeth = (third - second).clamp(min=0)
    pixel = 2 / flow.shape[2]
    gap = (lower - upper).clamp(min=0)
    corners = 1 - (gap / gap.amax(2, keepdim=True).clamp(min=pixel) - _NARROW) / _WIDE
    corners = corners.clamp(0, 1)
    # Where lips meet they are dark, and no more once they part: there they show what is beside.
    apart = (gap / _PARTED).clamp(0, 1) * (1 - teeth / _TOUCHING).clamp(0, 1) * (1 - corners)
    second = second - apart * (_OF_LIP * (second - first)).clamp(0.0, _EDGES[0])
    third = third + apart * (_OF_LIP * (fourth - third)).clamp(0.0, _EDGES[1])

    in_upper = first + (second - first) * (y - at.begin) / at.of_upper
    in_lower = fourth - (fourth - third) * (at.end - y) / at.of_lower
    # Teeth go with the upper lip. In the hole stays the last row that is seen above the lower lip.
    between = torch.minimum(second + (y - upper), third)
    deep = lips.deep[:, None, None] * (lower - upper > teeth)
    between = between + deep * (_stretched(at, teeth) - between)
    row = torch.where(y >= at.begin, in_upper, at.from_row)
    row = torch.where(y >= upper, between, row)
    # The edge of the lower lip may lie within a pixel.
    covered = _ramp((y - torch.maximum((upper + lower) / 2, lower)) / pixel)
    row = row + covered * (in_lower - row)
    row = torch.where(y <= at.end, row, at.from_row)
    within = at.in_mouth
    row = at.from_row + within * (row - at.from_row)

    hole = _ramp((y - upper - teeth) / pixel) * _ramp((lower - y) / pixel)
    hole = hole * ((lower - upper) / pixel).clamp(0, 1) * (1 - deep)
    depth, shade = _depth(at, smile)
    near = _ramp((y - at.begin) / pixel / _EDGE + 0.5) * _ramp((at.end - y) / pixel / _EDGE + 0.5)
    below = ((y - at.end) / pixel / _FAR).clamp(0, 1)
    meet = ((upper - lower) / pixel + 1).clamp(0, 1)
    line = _ramp(_LINE - (y - (upper + lower) / 2).abs() / pixel) * meet
    inside = _ramp((row - second) / pixel) * _ramp((third - row) / pixel)
    inside = inside * ((third - second) / pixel).clamp(0, 1)
    hole, near, below, line = (x * within for x in (hole, near, below, line))
    parts = (
        x[:, None]
        for x in (hole, depth, shade, corners.expand_as(shade), near, inside, below, line)
    )
    return Parting(torch.stack([flow[:, 0], row - y], 1), *parts)


def _depth(at: LipColumns, smile: Tensor) -> tuple[Tensor, Tensor]:
    """(n, h, w) in 0-1: how deep in an open mouth each pixel lies, and how dark it is there."""
    below = at.y - at.upper - _TEETH * smile[:, None, None]
    lit = _LIT * (at.lower - at.upper).clamp(min=2 / len(at.y))
    dark = (below / _DARK).clamp(0, 1) * ((at.lower - at.y) / lit).clamp(0, 1)
    return (below / _DEEP).clamp(0, 1), dark


def _stretched(at: LipColumns, gap: Tensor) -> Tensor:
    """(n, h, w): the row of the photograph that each row between the lips shows, if what is next to
    a lip goes with it, and what is deep in the mouth is stretched. gap: (n, h, w), between the lips
    of the photograph."""
    first, last, wider = _OF_UPPER * gap, _OF_LOWER * gap, at.lower - at.upper
    below, above = at.y - at.upper, at.lower - at.y
    middle = first + (below - first) * (gap - first - last) / (wider - first - last).clamp(min=1e-3)
    row = torch.where(below < first, below, torch.where(above < last, gap - above, middle))
    return at.lines[:, 1] + row


def _ramp(pixels: Tensor) -> Tensor:
    """The share of a pixel that lies beyond an edge so far away from its centre."""
    return (pixels + 0.5).clamp(0, 1)
