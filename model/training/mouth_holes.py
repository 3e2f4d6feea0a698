"""Holes in the mouths of photographs, for the training of the network that fills them."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.mouth import with_smooth_edges

INNER_LIPS, OUTER_LIPS = tuple(range(60, 68)), tuple(range(48, 60))
"""Indices of the 68 landmarks, in order around the lips."""
_FINER = 4
"""Polygons are drawn at so many times the resolution."""
_HIGHEST, _WIDEST = 7, 17
"""Largest sides in px by which a hole is widened, both odd."""
_LIPS = 0.2
"""Share of the holes that have the lips in them."""
_OF_EDITS = 0.45
"""Share of the holes that have the shape of one of an edit."""
_TRIED = 12
_HIGHER = 1.1
"""How much higher than what is between the lips such a hole is."""
_SMOOTH = 5


def polygons(points: Tensor, height: int, width: int) -> Tensor:
    """What lies in polygons (n, corners, 2), in pixels: (n, 1, height, width) uint8."""
    drawn = []
    for corners in ((points + 0.5) * _FINER - 0.5).round().int().numpy():
        fine = np.zeros((height * _FINER, width * _FINER), np.uint8)
        cv2.fillPoly(fine, [corners], 255)
        drawn.append(cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA))
    return torch.from_numpy(np.stack(drawn))[:, None]


def random_holes(inside: Tensor, lips: Tensor, of_edits: Tensor) -> Tensor:
    """Holes (n, 1, h, w) in 0-1 that have what is between the lips in them, or nearly so.

    inside, lips: (n, 1, h, w) in 0-1, what the inner and the outer edges of the lips enclose.
    of_edits: (m, 1, h, w) in 0-1, holes of edits. Random numbers are drawn from torch's own
    generator.
    """
    holes = []
    chances = torch.rand(len(inside), 2)
    for between, all_, chance in zip(inside.split(1), lips.split(1), chances, strict=True):
        if chance[0] < _OF_EDITS:
            hole = _in_shape_of_an_edit(between, of_edits)
        else:
            hole = between.maximum(all_) if chance[1] < _LIPS else between
            high, wide = (_random_odd(most) for most in (_HIGHEST, _WIDEST))
            hole = F.max_pool2d(hole, (high, wide), 1, (high // 2, wide // 2))
        holes.append(hole)
    return with_smooth_edges(torch.cat(holes), _SMOOTH)


def _in_shape_of_an_edit(between: Tensor, of_edits: Tensor) -> Tensor:
    """Of some random holes of edits (m, 1, h, w) that which is most nearly as high as what lies
    between lips (1, 1, h, w), moved there."""
    some = of_edits[torch.randint(len(of_edits), (_TRIED,))]
    height, heights = ((each > 0.5).any(3).sum((1, 2)) for each in (between, some))
    hole = some[(heights - height * _HIGHER).abs().argmin()][None]
    away = (_centre(between) - _centre(hole) + torch.randn(2)).round().int().tolist()
    return torch.roll(hole, away, (2, 3))


def _random_odd(most: int) -> int:
    """An odd number up to `most`, which is odd."""
    return 2 * int(torch.randint(most // 2 + 1, ())) + 1


def _centre(share: Tensor) -> Tensor:
    """(2,): row and column of the centre of mass of a share (1, 1, h, w)."""
    rows, columns = share.sum((0, 1, 3)), share.sum((0, 1, 2))
    return torch.stack(
        [(each * torch.arange(len(each))).sum() / each.sum() for each in (rows, columns)]
    )
