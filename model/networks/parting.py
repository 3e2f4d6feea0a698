"""Parts and closes lips: they are moved by the flow as they are, and not stretched.

A flow is smooth, and lips that part are not: stretched with what is between them, they become
longer, and teeth strips. So in each column of a mouth both lips keep their height, the upper one
from its upper edge on and the lower one from its lower edge on, and teeth keep theirs below the
upper lip. What is left between is a hole, in which nothing of the photograph is seen. Lips that
meet cover what was between them.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..warp import warped
from .lips import Lips, smooth

_FLATTEST, _STRETCHED, _THINNER = 0.85, 1.5, 0.8
"""The least factor by which a flow changes the height of a lip; and by which factor a lip becomes
thinner that the flow would make higher by another or more, as lips of a mouth do that is open."""
_THINNEST = 0.004
"""Least height of a lip in the result, in half sides."""
_SMOOTH = 0.0125
"""As in lips.py, for rows of the result."""
_UPPER_SHARE = 0.2
"""How much of the gap of lips that are closed the upper lip goes down."""
_ABOVE, _BELOW = 0.175, 0.55
"""How far above and below lips that are closed the face moves along, in half sides."""
_CLOSED, _OVERLAP, _WIDE = 1.1, 0.03, 0.04
"""Factor of this gap and what is added to it, in half sides, so that no line of teeth is left; and
over which share of the face it is smoothed."""
_TIGHT, _AROUND = 0.45, 0.15
"""By how much lips become thinner where AU23 rises by 1, and how far around them skin moves along,
in half sides."""
_DROP = 0.06
"""How far the lower lip goes down further where AU26 rises by 1, in half sides."""
_LINE = 1.0
"""Half the height of the line between lips that meet, in pixels."""
_FULLY = 3.0
"""Columns in which lips may part by the inverse of this and more are wholly in the mouth."""
_EDGE, _FAR = 2, 4
"""Over how many pixels what counts as lips fades out above and below them; and over how many what
counts as below them becomes so."""


class Parting(NamedTuple):
    """Lips of n faces that are moved."""

    flow: Tensor
    """(n, 2, h, w), in half sides."""
    hole: Tensor
    """(n, 1, h, w) in 0-1: what lies between the lips and is not in the photograph."""
    mouth: Tensor
    """(n, 1, h, w) in 0-1: the lips, and all that lies between them."""
    below: Tensor
    """(n, 1, h, w) in 0-1: what lies below the lower lip, as far as lips close."""
    line: Tensor
    """(n, 1, h, w) in 0-1: the line between lips that meet, likewise."""


class _Columns(NamedTuple):
    """The lips of n faces that are moved by a flow, in the columns of the result."""

    y: Tensor
    """(h, 1): the row of each pixel, in -1..1."""
    from_row: Tensor
    """(n, h, w): the row of the photograph that each pixel shows."""
    lines: Tensor
    """(n, 4, h, w): `Lips.rows` in the column of the photograph that each pixel shows."""
    outer: Tensor
    """(n, 2, w): in which rows the upper lip begins and the lower one ends."""
    heights: Tensor
    """(n, 2, w): of the upper and the lower lip."""
    open: Tensor
    """(n, w) in 0-1: how far lips may part."""

    @property
    def inner(self) -> tuple[Tensor, Tensor]:
        """The rows (n, 1, w) in which the upper lip ends and the lower one begins."""
        upper = smooth(self.outer[:, :1] + self.heights[:, :1], _SMOOTH)
        return upper, smooth(self.outer[:, 1:] - self.heights[:, 1:], _SMOOTH)


def with_lips(flow: Tensor, lips: Lips, closed: Tensor, jaw: Tensor, tight: Tensor) -> Parting:
    """Move the lips of faces that a flow (n, 2, h, w) moves as they are, in half sides.

    closed, jaw, tight: (n,) in 0-1, as of `LipChanges`.
    """
    parting = parted(closing(dropped(flow, lips, jaw), lips, closed), lips)
    closed = closed[:, None, None, None]
    flow = tightened(parting.flow, lips, tight)
    return parting._replace(flow=flow, below=parting.below * closed, line=parting.line * closed)


def parted(flow: Tensor, lips: Lips) -> Parting:
    """Part the lips of faces that a flow (n, 2, h, w) moves, in half sides."""
    columns = _columns(flow, lips)
    y, from_row, lines = columns.y, columns.from_row, columns.lines
    upper, lower = columns.inner
    begin, end = columns.outer.split(1, 1)
    of_upper, of_lower = columns.heights.split(1, 1)
    first, second, third, fourth = lines.unbind(1)

    in_upper = first + (second - first) * (y - begin) / of_upper
    in_lower = fourth - (fourth - third) * (end - y) / of_lower
    # Teeth go with the upper lip. In the hole stays the last row that is seen above the lower lip.
    between = torch.minimum(second + (y - upper), third)
    row = torch.where(y >= begin, in_upper, from_row)
    row = torch.where(y >= upper, between, row)
    pixel = 2 / flow.shape[2]
    # The edge of the lower lip may lie within a pixel.
    covered = _ramp((y - torch.maximum((upper + lower) / 2, lower)) / pixel)
    row = row + covered * (in_lower - row)
    row = torch.where(y <= end, row, from_row)

    teeth = (third - second).clamp(min=0)
    hole = _ramp((y - upper - teeth) / pixel) * _ramp((lower - y) / pixel)
    hole = hole * ((lower - upper) / pixel).clamp(0, 1)
    # Beside the mouth nothing changes.
    in_mouth = (_FULLY * columns.open[:, None]).clamp(0, 1)
    row = from_row + in_mouth * (row - from_row)
    near = _ramp((y - begin) / pixel / _EDGE + 0.5) * _ramp((end - y) / pixel / _EDGE + 0.5)
    below = ((y - end) / pixel / _FAR).clamp(0, 1)
    meet = ((upper - lower) / pixel + 1).clamp(0, 1)
    line = _ramp(_LINE - (y - (upper + lower) / 2).abs() / pixel) * meet
    parts = (share[:, None] * in_mouth[:, None] for share in (hole, near, below, line))
    return Parting(torch.stack([flow[:, 0], row - y], 1), *parts)


def dropped(flow: Tensor, lips: Lips, jaw: Tensor) -> Tensor:
    """A flow (n, 2, h, w) by which the lower lip and the chin go down, by a share (n,) in 0-1 of
    what a jaw that drops adds to the flow."""
    columns = _columns(flow, lips)
    upper, _ = columns.inner
    below = columns.y - upper
    chin = (1 - (columns.y - columns.outer[:, 1:]) / _BELOW).clamp(0, 1)
    down = smooth(jaw[:, None, None] * _DROP * columns.open[:, None], _WIDE)
    # Rows that come to lie between the lips show the end of the upper one.
    shift = -(down * chin).minimum(below.clamp(min=0))
    shift = torch.stack([torch.zeros_like(shift), shift], 1)
    return warped(flow, shift) + shift


def closing(flow: Tensor, lips: Lips, share: Tensor) -> Tensor:
    """A flow (n, 2, h, w) by which a share (n,) in 0-1 of the gap is closed that lips have which
    move as they are: the lower lip goes up with the chin, and the upper one a little down. Lips
    that go beyond the frame stay open."""
    columns = _columns(flow, lips)
    upper, lower = columns.inner
    gap = (lower - upper).clamp(min=0) * _CLOSED + _OVERLAP * columns.open[:, None]
    gap = smooth(gap * (share * lips.whole)[:, None, None], _WIDE)
    begin, end = columns.outer.split(1, 1)
    down, up = _UPPER_SHARE * gap, (1 - _UPPER_SHARE) * gap
    above = (1 - (begin + down - columns.y) / _ABOVE).clamp(0, 1)
    below = (1 - (columns.y - (end - up)) / _BELOW).clamp(0, 1)
    shift = torch.where(columns.y < upper + down, -down * above, up * below)
    shift = torch.stack([torch.zeros_like(shift), shift], 1)
    return warped(flow, shift) + shift


def tightened(flow: Tensor, lips: Lips, share: Tensor) -> Tensor:
    """A flow (n, 2, h, w) by which lips are thinner, by a share (n,) in 0-1 of what AU23 shows."""
    columns = _columns(flow, lips)
    y, (upper, lower) = columns.y, columns.inner
    begin, end = columns.outer.split(1, 1)
    thin = share[:, None, None] * _TIGHT * (_FULLY * columns.open[:, None]).clamp(0, 1)
    down, up = thin * (upper - begin), thin * (end - lower)
    begin, end = begin + down, end - up
    above = torch.where(
        y < begin, 1 - (begin - y) / _AROUND, (upper - y) / (upper - begin).clamp(min=1e-4)
    )
    below = torch.where(
        y > end, 1 - (y - end) / _AROUND, (y - lower) / (end - lower).clamp(min=1e-4)
    )
    shift = up * below.clamp(0, 1) - down * above.clamp(0, 1)
    shift = torch.stack([torch.zeros_like(shift), shift], 1)
    return warped(flow, shift) + shift


def _columns(flow: Tensor, lips: Lips) -> _Columns:
    height, width = flow.shape[2:]
    y, x = _centres(height, flow)[:, None], _centres(width, flow)
    from_row = y + flow[:, 1]
    known = torch.cat([lips.rows, lips.open[:, None]], 1)
    lines, open_ = _in_columns(known, x + flow[:, 0]).split([4, 1], 1)
    edges = torch.stack([_crossing(from_row - line, y) for line in lines.unbind(1)], 1)
    edges = smooth(edges, _SMOOTH)
    begin, upper, lower, end = edges.unbind(1)
    open_ = _at_rows(open_[:, 0], (upper + lower) / 2)
    heights = []
    for outer, inner, own in (
        (begin, upper, lines[:, 1] - lines[:, 0]),
        (end, lower, lines[:, 3] - lines[:, 2]),
    ):
        now, own = (inner - outer).abs().clamp(min=_THINNEST), _at_rows(own, outer)
        factor = now / own.clamp(min=_THINNEST)
        thinner = (1 - _THINNER) * ((factor - 1) / (_STRETCHED - 1)).clamp(0, 1)
        kept = own * (factor.clamp(_FLATTEST, 1.0) - thinner)
        heights.append(now + open_ * (kept - now))
    return _Columns(
        y, from_row, lines, torch.stack([begin, end], 1), torch.stack(heights, 1), open_
    )


def _centres(count: int, like: Tensor) -> Tensor:
    """The centres of so many pixels in -1..1."""
    return (torch.arange(count, dtype=like.dtype, device=like.device) * 2 + 1) / count - 1


def _in_columns(values: Tensor, x: Tensor) -> Tensor:
    """Values (n, channels, w) of columns at other columns (n, h, w), in -1..1, between them by
    interpolation: (n, channels, h, w)."""
    grid = torch.stack([x, torch.zeros_like(x)], 3)
    return F.grid_sample(values[:, :, None], grid, padding_mode="border", align_corners=False)


def _at_rows(values: Tensor, rows: Tensor) -> Tensor:
    """The values (n, w) of (n, h, w) in the rows (n, w) of each column, in -1..1."""
    height = values.shape[1]
    at = ((rows + 1) * (height / 2) - 0.5).round().long().clamp(0, height - 1)
    return values.gather(1, at[:, None]).squeeze(1)


def _crossing(level: Tensor, y: Tensor) -> Tensor:
    """The rows (n, w) in -1..1 where levels (n, h, w) that rise from top to bottom become 0. y:
    (h, 1), the row of each pixel."""
    height = level.shape[1]
    pixel = 2 / height
    first = torch.where(level >= 0, y, 1.0).amin(1, keepdim=True)
    at = ((first + 1) * (height / 2) - 0.5).round().long().clamp(1, height - 1)
    before, after = level.gather(1, at - 1), level.gather(1, at)
    part = (after / (after - before).clamp(min=1e-5)).clamp(0, 1)
    return (y[:, 0][at] - pixel * part).squeeze(1)


def _ramp(pixels: Tensor) -> Tensor:
    """The share of a pixel that lies beyond an edge so far away from its centre."""
    return (pixels + 0.5).clamp(0, 1)
