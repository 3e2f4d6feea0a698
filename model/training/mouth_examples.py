"""What the networks of mouths are trained on: the mouths of photographs.

All are cut out once and kept in memory: 24 KB each for the shipped weights.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ...pipeline.action_units import positions
from ...pipeline.errors import WrongUse
from ..data import Faces
from ..landmarks.frame import frame_maps, into_frame
from ..networks.mouth import cut_to_mouth
from ..pixels import from_model
from .framing import composed, sampled
from .mouth_holes import polygons
from .pair_augmentation import Augmentation, Deviations

_VIEWS = 2
"""Of each photograph."""
_DEVIATIONS = Deviations(0.04, 0.04, 0.03, (0.0, 0.0), 0.04, 0.1, 0.1, 0.1, 0.02, 0.1)
"""Smaller changes than usual: all mouths lie where the networks will see them."""
_INNER_LIPS = tuple(range(60, 68))
"""Indices of the 68 landmarks, in order."""
_UPPER, _LOWER = (61, 62, 63), (67, 66, 65)
"""Landmarks of the upper and the lower lip whose distance says how far a mouth is open."""
_CLOSED, _OPEN, _WIDE_OPEN = 0.02, 0.025, 0.05
_SHUT, _PARTED, _NARROW = 0.05, 0.15, 0.035
"""Landmarks of closed lips lie apart by some pixels, too. So mouths are closed if the distance is
below _CLOSED of the frame, or AU25 below _SHUT and the distance below _NARROW. Open are those from
_OPEN on with _PARTED of AU25, and from _WIDE_OPEN on."""
_WIDER, _DROPPED, _OFTEN = 0.075, 0.4, 2.0
"""Mouths that are wider open than this, and those with more of AU26, are drawn so much more often
than others, as there are few."""
_SHOWN = 0.96
"""Quantile of the AUs of open mouths up to which the network that fills them is told them."""
_COLUMN_25, _COLUMN_26 = positions((25, 26))
_CHUNK = 64


class Mouths(NamedTuple):
    """n mouths."""

    pixels: Tensor
    """(n, 3, h, w) uint8."""
    inside: Tensor
    """(n, 1, h, w) uint8: 255 times the share of each pixel that lies between the lips."""
    aus: Tensor
    """(n, 17) in 0-1: what they show."""
    often: Tensor
    """(n,): how often each open mouth is drawn, beside others; 0 for the rest."""

    def where(self, chosen: Tensor) -> "Mouths":
        """Some of them."""
        return Mouths(*(each[chosen] for each in self))

    @property
    def most(self) -> Tensor:
        """(17,): how much of each AU open mouths show."""
        return self.aus[self.often > 0].quantile(_SHOWN, 0)


def cut_mouths(faces: Faces, landmarks: Tensor, reference: Tensor, size: int, seed: int) -> Mouths:
    """Cut the mouths out of photographs, in two views of each.

    landmarks: (faces, 68, 2), in the crops, -1..1. reference: (68, 2), where those of a mean face
    lie in the frame. size: of the frame in pixels. Raises WrongUse if no mouth is open.
    """
    draw = torch.Generator().manual_seed(seed)
    maps = frame_maps(landmarks, reference)
    points = into_frame(landmarks, maps)
    pixels, inside = [], []
    for part in torch.arange(len(faces)).repeat(_VIEWS).split(_CHUNK):
        augmentation = Augmentation.draw(len(part), draw, _DEVIATIONS)
        views = sampled(faces.images[part], composed(maps[part], augmentation.maps), size)
        views = from_model(augmentation.coloured(views)).round().byte()
        lips = into_frame(points[part][:, _INNER_LIPS], augmentation.maps)
        between = polygons((lips + 1) * (size / 2) - 0.5, size, size)
        pixels.append(cut_to_mouth(views, 4).clone())
        inside.append(cut_to_mouth(between, 4).clone())
    aus = faces.aus
    gap = (points[:, _UPPER] - points[:, _LOWER]).norm(dim=2).amax(1) / 2
    closed = (gap < _CLOSED) | ((aus[:, _COLUMN_25] < _SHUT) & (gap < _NARROW))
    open_ = ((gap > _OPEN) & (aus[:, _COLUMN_25] > _PARTED)) | (gap > _WIDE_OPEN)
    wide = (gap > _WIDER).float() + (aus[:, _COLUMN_26] > _DROPPED)
    often = open_ * (1 + _OFTEN * wide)
    closed, often = closed.repeat(_VIEWS), often.repeat(_VIEWS)
    between = torch.cat(inside)
    between[closed] = 0
    # Landmarks may lie outside of what is cut.
    often = often * (between.flatten(1).amax(1) > 127)
    if not often.any():
        raise WrongUse("No photograph shows an open mouth. Add some.")
    return Mouths(torch.cat(pixels), between, aus.repeat(_VIEWS, 1), often)
