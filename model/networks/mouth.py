"""Paints what is seen in a mouth that opens: teeth, tongue and the dark behind them.

The photograph does not show them, and teeth are few pixels of a face, so what the generator paints
there is their mean: pale strips, or a hole. This network is trained after the generator, under
critics that see mouths alone (training/train_mouth.py), and paints between the lips.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..warp import resized
from .layers import Residual, convolution
from .masks import Masks, smoothed
from .skin import cheeks, nearby

_HEIGHT, _WIDTH = 0.4, 0.6
"""Of the part of the frame that is seen, at its lower edge and in the middle, as shares of it. The
frame is aligned, so that all mouths lie in it."""
_HALF, _QUARTER, _FULL, _BLOCKS = 32, 64, 16, 3
"""Channels at half, a quarter and all of the resolution; residual blocks at a quarter."""
_UNTRAINED = -10.0
"""The logit of the opacity of an untrained network: nothing is painted."""


class MouthNetwork(nn.Module):
    """Features of n faces in the frame to a layer of paint over their mouths.

    features: channels of the features. style: length of the embedding of the AUs.
    """

    def __init__(self, features: int, style: int) -> None:
        super().__init__()
        self.first = convolution(features + 13, _HALF, 1)  # 2x2 pixels, and the opening
        self.down = convolution(_HALF, _QUARTER, 4, stride=2)
        self.blocks = nn.ModuleList(Residual(_QUARTER, style) for _ in range(_BLOCKS))
        self.up = convolution(_QUARTER + _HALF, _HALF, 3)
        self.block = Residual(_HALF, style)
        self.full = nn.Conv2d(_HALF, _FULL, 1)
        self.mix = nn.Conv2d(_FULL + 3, _FULL, 3, 1, 1)
        self.last = nn.Conv2d(_FULL, 4, 3, 1, 1)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        nn.init.constant_(self.last.bias[:1], _UNTRAINED)

    def forward(
        self, features: Tensor, style: Tensor, faces: Tensor, opening: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The layer over mouths: opacity (n, 1, h, w) in 0-1, at most `opening`, and colour
        (n, 3, h, w) in -1..1.

        features: (n, features, h/2, w/2) of the moved face, `cut_to_mouth` as all of them. style:
        (n, style). faces: (n, 3, h, w), what is painted over. opening: (n, 1, h/2, w/2) in 0-1.
        """
        half = self.first(torch.cat([features, F.pixel_unshuffle(faces, 2), opening], 1))
        x = self.down(half)
        for block in self.blocks:
            x = block(x, style)
        x = self.block(self.up(torch.cat([resized(x, half), half], 1)), style)
        x = F.relu(self.mix(torch.cat([resized(self.full(x), faces), faces], 1)))
        opacity, colour = smoothed(self.last(x).float()).split([1, 3], 1)
        return opacity.sigmoid() * resized(opening, faces), colour.tanh()

    def painted(self, masks: Masks, features: Tensor, style: Tensor, opening: Tensor) -> Masks:
        """Masks of whole faces, by which their mouths are painted over; of whole faces are
        `features` and `opening`, too."""
        # An exported network has no branches.
        if not (torch.compiler.is_compiling() or opening.any()):
            return masks
        faces = masks.blend()
        seen = cut_to_mouth(faces, 4), cut_to_mouth(opening, 2)
        opacity, colour = self(cut_to_mouth(features, 2), style, *seen)
        opacity, colour = (_in_place(each, faces) for each in (opacity, colour))
        colour = _without_violet(colour, masks.face)
        return masks.towards(colour, opacity, blur=False)


def cut_to_mouth(x: Tensor, unit: int) -> Tensor:
    """The part (n, channels, h', w') of something (n, channels, h, w) in the frame. unit: pixels
    that are one at a quarter of the faces' resolution."""
    height, width = (
        unit * round(side / unit) for side in (_HEIGHT * x.shape[2], _WIDTH * x.shape[3])
    )
    left = (x.shape[3] - width) // 2
    return x[:, :, x.shape[2] - height :, left : left + width]


def _without_violet(colours: Tensor, moved: Tensor) -> Tensor:
    """Colours (n, 3, h, w) in -1..1 of which none has a larger ratio of blue to green than grey,
    the cheeks of the moved face (n, 3, h, w), or what it shows near there, such as lipstick.

    Tongues and gums are red, and the network paints them violet on some faces. They stay as bright.
    """
    most = _blue_to_green(nearby(moved)).maximum(_blue_to_green(cheeks(moved))).clamp(min=1)
    excess = (colours[:, 2:] + 1 - most * (colours[:, 1:2] + 1)).clamp(min=0)
    return colours + excess * excess.new_tensor([0.5, 0.5, -1])[:, None, None]


def _blue_to_green(colours: Tensor) -> Tensor:
    """(n, 1, h, w) of colours (n, 3, h, w) from 0."""
    return colours[:, 2:] / colours[:, 1:2].clamp(min=0.1)


def _in_place(part: Tensor, whole: Tensor) -> Tensor:
    """A part that was cut, with zeros around it."""
    (height, width), (inner_height, inner_width) = whole.shape[2:], part.shape[2:]
    left = (width - inner_width) // 2
    return F.pad(part, (left, left, height - inner_height, 0))
