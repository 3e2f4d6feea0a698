"""Holes in photographs of open mouths, as parted lips have them, to learn how they are filled."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..editing.lips import smooth

_SMOOTH = 0.02
"""How wide the means over columns are by which the edges of holes are smoothed, as a share."""
_LEAST = 0.006
"""How far lips are apart at least in a column that has a hole, as a share of the width."""
_BEYOND, _WITHIN = 0.013, 0.007
"""How far a hole reaches into the lips at most, and how far it is smaller than what is between
them at most, as shares of the width."""
_WIDE = 0.09
"""From which distance of the lips on the upper part of what is between them may stay, likewise."""
_OFTEN = 0.6
"""How often it stays, where teeth are seen there."""
_LEVELS, _FIRST, _LAST = 16, 3, 12
"""In how many levels from lip to lip light is looked at, and between which of these teeth may end.
"""
_COLUMNS = 0.1
"""In which middle part of the width."""
_DARKER = 0.12
"""By how much it is darker below teeth, in half the range of pixels, at least."""


def random_holes(pixels: Tensor, ends: Tensor) -> Tensor:
    """Holes (n, 1, h, w) in 0-1 between lips; in some that are far apart, the teeth below the upper
    lip stay, as they do where a smile opens.

    pixels: (n, 3, h, w) in -1..1. ends: (n, 4, w) in px, as of `Mouths`. Random numbers are drawn
    from torch's own generator.
    """
    height, width = pixels.shape[2:]
    gap = (ends[:, 2] - ends[:, 1]).clamp(min=0)
    one = len(ends), 1
    above, below = (torch.rand(one) * (_BEYOND + _WITHIN) * width for _ in range(2))
    teeth = _teeth(pixels, ends)[:, None]
    wide = gap.amax(1, keepdim=True) > _WIDE * width
    kept = teeth * (wide & (torch.rand(one) < _OFTEN))
    top = ends[:, 1] + torch.where(kept > 0, kept * gap, _WITHIN * width - above)
    bottom = ends[:, 2] - _WITHIN * width + below
    top, bottom = smooth(torch.stack([top, bottom], 1), _SMOOTH).unbind(1)
    rows = torch.arange(height)[:, None] + 0.5
    hole = (rows - top[:, None] + 0.5).clamp(0, 1) * (bottom[:, None] - rows + 0.5).clamp(0, 1)
    return (hole * (gap > _LEAST * width)[:, None])[:, None]


def _teeth(pixels: Tensor, ends: Tensor) -> Tensor:
    """(n,): where teeth end that are seen below the upper lip, as a share of what is between the
    lips: there it becomes darkest from one level to the next. 0 if it hardly does."""
    height, width = pixels.shape[2:]
    middle = slice(round((0.5 - _COLUMNS) * width), round((0.5 + _COLUMNS) * width))
    level = (torch.arange(_LEVELS)[:, None] + 0.5) / _LEVELS
    y = ends[:, 1:2] + level * (ends[:, 2:3] - ends[:, 1:2])
    x = (torch.arange(width) + 0.5).expand_as(y)
    grid = torch.stack([x * 2 / width, y * 2 / height], 3)[:, :, middle] - 1
    light = F.grid_sample(pixels, grid, align_corners=False).mean((1, 3))
    two = F.avg_pool1d(light[:, None], 2, 1)[:, 0]
    darker = (two[:, :-2] - two[:, 2:])[:, _FIRST - 2 : _LAST - 1]
    most, at = darker.max(1)
    return torch.where(most > _DARKER, (at + _FIRST) / _LEVELS, 0.0)
