"""Where the irises of a face lie, which lids cover in part: a small network sees each eye."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import leaky
from .brows import Brows
from .columns import centres, in_columns, smooth

USUAL_RADIUS = 0.185
"""Radius of most irises, as a share of the width of the eye."""
_COVERED = 0.25
"""Which share of the radius the upper lid covers in most open eyes. The lower one covers
nothing."""
_OUTER = 0.2
"""Share of the height of an eye, from which on a column counts for its width."""
_NARROW = 0.02
"""Over which share of the face heights of eyes are smoothed."""
_LEAST = 1e-3
"""Least height of an eye, in half sides, so that nothing is divided by 0."""
_ROWS, _COLUMNS = 20, 36
"""Pixels of what the network sees of an eye."""
_DOWN, _ACROSS = 0.33, 0.6
"""How far that reaches up and down, and to both sides, in widths of the eye."""
_LARGER = 1.3
"""By how many times an iris may be larger or smaller than most."""


class Eyes(NamedTuple):
    """The eyes of n faces. Lengths are in half sides, rows and columns in -1..1."""

    profile: Tensor
    """(n, w): how high the eye on its side is in this column, relative to its middle, in 0-1."""
    left: Tensor
    """(n, w): 1 where the eye on its side is the left one in the picture, else 0."""
    x: Tensor
    """(n, 2): the middle of the left eye in the picture and of the right one."""
    y: Tensor
    """(n, 2): in which row the middle of an iris usually lies."""
    width: Tensor
    """(n, 1): of the eyes. Faces that are turned show one less wide than it is."""


def eyes_of(brows: Brows) -> Eyes:
    """The eyes of faces."""
    upper, lower = brows.eyes.unbind(1)
    high = smooth((lower - upper).clamp(min=0)[:, None], _NARROW)[:, 0]
    x = centres(high.shape[1], high)
    middle = (high * x).sum(1, keepdim=True) / high.sum(1, keepdim=True).clamp(min=_LEAST)
    left = (x < middle).float()
    sides = torch.stack([left, 1 - left], 1)
    each = high[:, None] * sides
    tall = each.amax(2).clamp(min=_LEAST)
    width = 2 * (each > _OUTER * tall[:, :, None]).float().mean(2).amax(1, keepdim=True)
    profile = (each / tall[:, :, None]).clamp(0, 1)
    at = (profile * x).sum(2) / profile.sum(2).clamp(min=_LEAST)
    radius = USUAL_RADIUS * width
    lowest = (lower[:, None] * sides + sides - 1).amax(2)
    row = lowest - radius + ((2 - _COVERED) * radius - tall).clamp(min=0) / 2
    return Eyes(profile.sum(1), left, at, row, width)


class IrisNetwork(nn.Module):
    """Finds the irises of eyes. Before it is trained they are where those of most eyes are."""

    def __init__(self) -> None:
        super().__init__()
        self.to_full = nn.Conv2d(4, 10, 3, 1, 1)
        self.to_half = nn.Conv2d(10, 12, 4, 2, 1)
        self.at_half = nn.Conv2d(12, 12, 3, 1, 1)
        self.to_quarter = nn.Conv2d(12, 8, 4, 2, 1)
        self.to_iris = nn.Linear(8 * (_ROWS // 4) * (_COLUMNS // 4), 3)
        nn.init.zeros_(self.to_iris.weight)
        nn.init.zeros_(self.to_iris.bias)

    def forward(self, faces: Tensor, brows: Brows, eyes: Eyes) -> Tensor:
        """(n, 2, 3): column, row and radius of the iris of each eye, in half sides.

        faces: (n, 3, h, w) in -1..1. brows: theirs. eyes: theirs, by `eyes_of`.
        """
        seen = torch.stack([_seen(faces, brows, eyes, side) for side in range(2)], 1)
        x = leaky(self.to_full(seen.flatten(0, 1)))
        x = leaky(self.at_half(leaky(self.to_half(x))))
        x = leaky(self.to_quarter(x)).flatten(1)
        across, down, larger = self.to_iris(x).unflatten(0, (-1, 2)).unbind(2)
        across = across * across.new_tensor([1.0, -1.0])
        radius = USUAL_RADIUS * eyes.width * larger.exp().clamp(1 / _LARGER, _LARGER)
        return torch.stack([eyes.x + across * eyes.width, eyes.y + down * eyes.width, radius], 2)


def _seen(faces: Tensor, brows: Brows, eyes: Eyes, side: int) -> Tensor:
    """(n, 4, rows, columns): pixels of the left eye (side 0) or, mirrored, the right one, with the
    mean 0 and the deviation 1; and what lies between its lids, in 0-1."""
    mirrored = 1 - 2 * side
    across = mirrored * _ACROSS * centres(_COLUMNS, faces)
    x = (eyes.x[:, side, None] + eyes.width * across)[:, None]
    down = _DOWN * centres(_ROWS, faces)[:, None]
    y = eyes.y[:, side, None, None] + eyes.width[:, :, None] * down
    x, y = x.expand(-1, _ROWS, -1), y.expand(-1, -1, _COLUMNS)
    pixels = F.grid_sample(
        faces, torch.stack([x, y], 3), padding_mode="border", align_corners=False
    )
    mean = pixels.mean((1, 2, 3), keepdim=True)
    deviation = (pixels - mean).square().mean((1, 2, 3), keepdim=True).sqrt()
    upper, lower = in_columns(brows.eyes, x).unbind(1)
    pixel = 2 / faces.shape[2]
    between = ((y - upper) / pixel + 0.5).clamp(0, 1) * ((lower - y) / pixel + 0.5).clamp(0, 1)
    return torch.cat([(pixels - mean) / (deviation + 0.05), between[:, None]], 1)
