"""Where the lips of a face lie that a flow moves, column by column."""

from typing import NamedTuple

import torch
from torch import Tensor

from .columns import at_rows, centres, crossing, in_columns, smooth
from .lips import SMOOTH, Lips

_FLATTEST, _STRETCHED, _THINNER = 0.85, 1.5, 0.8
"""The least factor by which a flow changes the height of a lip; and by which factor a lip becomes
thinner that the flow would make higher by another or more, as lips of a mouth do that is open."""
_EQUAL = 1e-4
"""Rows that show the edge of a lip, to within so many half sides, lie beyond it: some flows repeat
that row, and which of these rows comes first must not depend on rounding."""
_KEPT = 0.6
"""The power of how far lips may part by which they keep their height."""
_THINNEST = 0.004
"""Least height of a lip in the result, in half sides."""
FULLY = 3.0
"""Columns in which lips may part by the inverse of this and more are wholly in the mouth."""


class LipColumns(NamedTuple):
    """The lips of n faces in the columns of the result, in which they keep their height. Rows are
    in -1..1 from top to bottom."""

    y: Tensor
    """(h, 1): the row of each pixel."""
    from_row: Tensor
    """(n, h, w): the row of the photograph that each pixel shows."""
    lines: Tensor
    """(n, 4, h, w): `Lips.rows` in the column of the photograph that each pixel shows."""
    begin: Tensor
    """(n, 1, w): in which row the upper lip begins; likewise where it ends, and where the lower lip
    begins and ends. If the lips meet, the upper one ends below the row where the lower begins."""
    upper: Tensor
    lower: Tensor
    end: Tensor
    of_upper: Tensor
    """(n, 1, w): the height of the upper lip, likewise of the lower one."""
    of_lower: Tensor
    open: Tensor
    """(n, 1, w) in 0-1: how far lips may part."""

    @property
    def in_mouth(self) -> Tensor:
        """(n, 1, w) in 0-1: 1 in the mouth, and 0 beside it."""
        return (FULLY * self.open).clamp(0, 1)

    @property
    def outside(self) -> Tensor:
        """(n, h, w) in 0-1: 0 from the upper edge of the upper lip to the lower one of the lower
        lip, and 1 around."""
        pixel = 2 / len(self.y)
        edges = self.y - self.begin, self.end - self.y
        below, above = ((each / pixel + 0.5).clamp(0, 1) for each in edges)
        return 1 - below * above * self.in_mouth


def lip_columns(flow: Tensor, lips: Lips) -> LipColumns:
    """Where lips lie in faces that a flow (n, 2, h, w) moves, in half sides."""
    height, width = flow.shape[2:]
    y, x = centres(height, flow)[:, None], centres(width, flow)
    from_row = y + flow[:, 1]
    known = torch.cat([lips.rows, lips.open[:, None]], 1)
    lines, open_ = in_columns(known, x + flow[:, 0]).split([4, 1], 1)
    edges = [crossing(from_row - line + _EQUAL, y) for line in lines.unbind(1)]
    begin, upper, lower, end = smooth(torch.stack(edges, 1), SMOOTH).unbind(1)
    open_ = at_rows(open_[:, 0], (upper + lower)[:, None] / 2)[:, 0]
    heights = []
    for outer, inner, own in (
        (begin, upper, lines[:, 1] - lines[:, 0]),
        (end, lower, lines[:, 3] - lines[:, 2]),
    ):
        now, own = (inner - outer).abs().clamp(min=_THINNEST), at_rows(own, outer[:, None])[:, 0]
        factor = now / own.clamp(min=_THINNEST)
        thinner = (1 - _THINNER) * ((factor - 1) / (_STRETCHED - 1)).clamp(0, 1)
        kept = own * (factor.clamp(_FLATTEST, 1.0) - thinner)
        heights.append(now + open_.clamp(min=1e-4).pow(_KEPT) * (kept - now))
    of_upper, of_lower = heights
    inner = smooth(torch.stack([begin + of_upper, end - of_lower], 1), SMOOTH)
    rows = (each[:, None] for each in (begin, *inner.unbind(1), end, of_upper, of_lower, open_))
    return LipColumns(y, from_row, lines, *rows)
