"""Values of the columns of faces, and the rows of each column where something lies."""

import torch
import torch.nn.functional as F
from torch import Tensor

_EVERYWHERE, _LEAST = 1e-8, 1e-4
"""Weight that is added to all columns, and least variance, so that nothing is divided by 0."""
_SPREAD, _ENOUGH = (0.0125, 0.025, 0.05, 0.1, 0.2), 0.1
"""Over which shares of the width values are spread, the nearest first; and which share of so many
columns is enough to know those between them."""
_GRADUAL, _ROUNDS = 0.2, 3
"""Over which share of the width, and how often, values that were spread are smoothed."""


def smooth(values: Tensor, share: float) -> Tensor:
    """Values (n, rows, w), smoothed along the columns by two means over a share of the width."""
    side = max(round(share * values.shape[2] / 2), 1)
    for _ in range(2):
        values = F.avg_pool1d(F.pad(values, (side, side), "replicate"), 2 * side + 1, 1)
    return values


def centres(count: int, like: Tensor) -> Tensor:
    """The centres of so many pixels in -1..1."""
    return (torch.arange(count, dtype=like.dtype, device=like.device) * 2 + 1) / count - 1


def in_columns(values: Tensor, x: Tensor) -> Tensor:
    """Values (n, channels, w) of columns at other columns (n, h, w), in -1..1, between them by
    interpolation: (n, channels, h, w)."""
    grid = torch.stack([x, torch.zeros_like(x)], 3)
    return F.grid_sample(values[:, :, None], grid, padding_mode="border", align_corners=False)


def at_rows(values: Tensor, rows: Tensor) -> Tensor:
    """The values (n, k, w) of (n, h, w) in k rows (n, k, w) of each column, in -1..1, between them
    by interpolation: with whole rows, what depends on it would jump as faces move."""
    height = values.shape[1]
    at = ((rows + 1) * (height / 2) - 0.5).clamp(0.0, height - 1.0)
    first = at.floor()
    before = values.gather(1, first.long())
    after = values.gather(1, (first.long() + 1).clamp(max=height - 1))
    return before + (at - first) * (after - before)


def all_at_rows(values: Tensor, rows: Tensor) -> Tensor:
    """The values (n, channels, w) of (n, channels, h, w) in a row (n, w) of each column, in
    -1..1."""
    return torch.cat([at_rows(part, rows[:, None]) for part in values.unbind(1)], 1)


def crossing(level: Tensor, y: Tensor) -> Tensor:
    """The rows (n, w) in -1..1 where levels (n, h, w) that rise from top to bottom become 0. y:
    (h, 1), the row of each pixel."""
    height = level.shape[1]
    pixel = 2 / height
    first = torch.where(level >= 0, y, 1.0).amin(1, keepdim=True)
    at = ((first + 1) * (height / 2) - 0.5).round().long().clamp(1, height - 1)
    before, after = level.gather(1, at - 1), level.gather(1, at)
    part = (after / (after - before).clamp(min=1e-5)).clamp(0, 1)
    return (y[:, 0][at] - pixel * part).squeeze(1)


def crossed(flow: Tensor, rows: Tensor) -> Tensor:
    """(n, k, w): in which rows lines lie after a flow (n, 2, h, w), in half sides, has moved them
    that are in rows (n, k, w) of the face."""
    y, x = (centres(count, flow) for count in flow.shape[2:])
    lines = in_columns(rows, x + flow[:, 0])
    from_row = y[:, None] + flow[:, 1]
    return torch.stack([crossing(from_row - line, y[:, None]) for line in lines.unbind(1)], 1)


def eased(share: Tensor) -> Tensor:
    """A share in 0-1 by which a change begins and ends gradually (smoothstep)."""
    return share.square() * (3 - 2 * share)


def fitted(values: Tensor, weights: Tensor, bent: float) -> Tensor:
    """The line in the place of a column that is nearest to values (n, w), by least squares with
    weights (n, w) of 0 or more, and a share of what a parabola has beside it: (n, w)."""
    weights = weights + _EVERYWHERE
    total = weights.sum(1, keepdim=True)

    def mean(of: Tensor) -> Tensor:
        return (weights * of).sum(1, keepdim=True) / total

    x = centres(values.shape[1], values)
    # Polynomials that are orthogonal under the weights, so that each is fitted by itself.
    line = x - mean(x.expand_as(values))
    spread = mean(line.square()).clamp(min=_LEAST)
    curve = line.square() - mean(line.square()) - mean(line**3) / spread * line
    of_line = mean(values * line) / spread
    of_curve = mean(values * curve) / mean(curve.square()).clamp(min=_LEAST**2)
    return mean(values) + of_line * line + bent * of_curve * curve


def spread(values: Tensor, share: Tensor) -> Tensor:
    """Values (n, channels, w) of which those of columns with a low share (n, w) become those of
    columns near by, and between two groups of columns they change gradually."""
    own = known = share[:, None]
    for width in _SPREAD:
        weight = smooth(known, width)
        near = smooth(values * known, width) / weight.clamp(min=1e-6)
        values = near + known * (values - near)
        known = known + (1 - known) * (weight / _ENOUGH).clamp(max=1)
    for _ in range(_ROUNDS):
        near = smooth(values, _GRADUAL)
        values = near + own * (values - near)
    return values
