"""What the networks of mouths are trained on: the mouths of photographs.

All are cut out once and kept in memory: 20 KB each for the shipped weights.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ...pipeline.action_units import positions
from ..data import Faces
from ..editing.mouth import cut_to_mouth
from ..landmarks.frame import frame_maps, into_frame
from ..pixels import from_model
from .framing import composed, sampled, schemes_in_frame
from .lip_lines import APART, lip_lines
from .pair_augmentation import Augmentation, Deviations

_VIEWS = 2
"""Of each photograph."""
_DEVIATIONS = Deviations(0.04, 0.04, 0.03, (0.0, 0.0), 0.04, 0.1, 0.1, 0.1, 0.02, 0.1)
"""Smaller changes than usual: all mouths lie where the networks will see them."""
_CLOSED, _NARROW, _SHUT = 0.02, 0.035, 0.05
"""Landmarks of closed lips lie apart by some pixels, too. So mouths are closed if lips lie apart by
less than _CLOSED of the frame, or by less than _NARROW with less than _SHUT of AU25."""
_CLOSED_MESH = 0.008
"""The same for landmarks of MediaPipe, which are more exact."""
_SHOWN = 0.96
"""Quantile of the AUs of open mouths up to which the network that fills them is told them."""
_WIDER, _DROPPED, _OFTEN = 0.1, 0.4, 2.0
"""Mouths of which the lips are further apart than this, and those with more of AU26, are drawn so
much more often than others, as there are few."""
_COLUMN_25, _COLUMN_26 = positions((25, 26))
_CHUNK = 64


class Mouths(NamedTuple):
    """n mouths."""

    pixels: Tensor
    """(n, 3, h, w) uint8."""
    ends: Tensor
    """(n, 4, w): in px from the top, where the upper lip begins and ends, and the lower lip begins
    and ends; beside the mouth all are one."""
    aus: Tensor
    """(n, 17) in 0-1: what they show."""

    def where(self, chosen: Tensor) -> "Mouths":
        """Some of them."""
        return Mouths(*(each[chosen] for each in self))

    @property
    def most(self) -> Tensor:
        """(17,): how much of each AU they show."""
        return self.aus.quantile(_SHOWN, 0)

    @property
    def gap(self) -> Tensor:
        """(n,): how far the lips are apart, as a share of the width of what is cut out."""
        return (self.ends[:, 2] - self.ends[:, 1]).amax(1) / self.pixels.shape[3]

    @property
    def often(self) -> Tensor:
        """(n,): how often each is drawn, beside others."""
        return 1 + _OFTEN * ((self.gap > _WIDER).float() + (self.aus[:, _COLUMN_26] > _DROPPED))


def cut_mouths(faces: Faces, landmarks: Tensor, reference: Tensor, size: int, seed: int) -> Mouths:
    """Cut the mouths out of photographs, in two views of each.

    Lips lie where landmarks of MediaPipe say, where the photographs have these, and otherwise by
    `landmarks`, (faces, 68, 2), in the crops, -1..1. reference: (68, 2), where those of a mean face
    lie in the frame. size: of the frame in pixels.
    """
    draw = torch.Generator().manual_seed(seed)
    maps = frame_maps(landmarks, reference)
    schemes, exact = schemes_in_frame(faces, landmarks, maps)
    gaps = torch.stack([_gap(points) for points in schemes])
    gap = gaps[exact.long(), torch.arange(len(faces))]
    narrow = (gap < _CLOSED) | ((faces.aus[:, _COLUMN_25] < _SHUT) & (gap < _NARROW))
    closed = torch.where(exact, gap < _CLOSED_MESH, narrow)
    pixels, ends = [], []
    for part in torch.arange(len(faces)).repeat(_VIEWS).split(_CHUNK):
        augmentation = Augmentation.draw(len(part), draw, _DEVIATIONS)
        views = sampled(faces.images[part], composed(maps[part], augmentation.maps), size)
        views = cut_to_mouth(from_model(augmentation.coloured(views)).round().byte())
        pixels.append(views.clone())
        height, width = views.shape[2:]
        found = torch.stack(
            [
                _ends(
                    into_frame(points[part], augmentation.maps), size, height, width, closed[part]
                )
                for points in schemes
            ]
        )
        ends.append(found[exact[part].long(), torch.arange(len(part))])
    return Mouths(torch.cat(pixels), torch.cat(ends), faces.aus.repeat(_VIEWS, 1))


def _gap(points: Tensor) -> Tensor:
    """(n,): how far the lips of landmarks (n, points, 2) in the frame are apart, as a share of its
    side."""
    upper, lower = (list(line) for line in APART[points.shape[1]])
    return (points[:, upper] - points[:, lower]).norm(dim=2).amax(1) / 2


def _ends(points: Tensor, size: int, height: int, width: int, closed: Tensor) -> Tensor:
    """`Mouths.ends` for landmarks (n, points, 2) in the frame, -1..1, of mouths of which some are
    closed, (n,)."""
    columns = torch.arange(width) + (size - width) // 2
    rows, corners = lip_lines((points + 1) * (size / 2) - 0.5, columns.float())
    middle = (rows[:, 1] + rows[:, 2]) / 2
    touching = closed[:, None]
    inner = torch.where(touching, middle, torch.minimum(rows[:, 1], middle))
    other = torch.where(touching, middle, torch.maximum(rows[:, 2], middle))
    upper, lower = torch.minimum(rows[:, 0], inner), torch.maximum(rows[:, 3], other)
    beside = (columns < corners[:, :1]) | (columns > corners[:, 1:])
    ends = torch.stack([upper, inner, other, lower], 1)
    # In px from the top of what is cut, where the centre of the first row is at a half.
    return torch.where(beside[:, None], middle[:, None], ends) - (size - height) + 0.5
