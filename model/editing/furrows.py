"""Furrows and bulges of skin that muscles draw together: between the brows, on the forehead, beside
nose, eyes and mouth, and on the chin.

A flow moves skin and does not fold it, and what the generator paints is the mean of many folds,
which is none. So a network of its own says by how much lighter or darker the skin of the result is,
and nothing else: light and shade are what a fold changes, and a network that may not choose colours
cannot paint what is no face. It is trained after the generator (training/train_furrows.py), with a
critic, with pairs, and with the reading of AUs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import COUNT
from ..layers import leaky
from ..warp import coordinates, resized
from .brows import Brows
from .columns import all_at_rows, centres, crossed, in_columns
from .lips import Lips
from .masks import Masks

_HALF, _QUARTER, _EIGHTH, _STYLE = 24, 40, 64, 48
"""Channels at half, a quarter, and an eighth of the resolution; length of the embedding."""
_BRANCH = 0.3
"""Factor of the random weights of the last layer of each block at the start."""
_DARKEST, _LIGHTEST = 0.45, 0.14
"""Largest logarithms of the factors by which skin becomes darker and lighter."""
_TINT = 0.85, 1.0, 1.08
"""How much of that holds for red, green and blue: shade on skin is redder than light."""
_MOST, _FULL = 0.8, 0.9
"""It is told a change of an AU, and an AU, as at most so high, as photographs hardly show more."""
_SLOPE = 6.0
"""Furrows reach 83% of their strength where AUs rise by 0.2."""
_BROW, _ABOVE, _HAIR = 0.7, 0.3, 0.6
"""Which share of a brow is no skin; how far above brows, in half sides, a face is skin wholly, and
from where on it may be hair."""
_BORDER = 0.15
"""Over how much of the frame, in half sides, skin ends at its border."""
_FADING = 2
"""Over how many pixels skin ends at brows, eyes and lips."""


class FurrowNetwork(nn.Module):
    """Faces to light and shade (Ronneberger et al. 2015, U-Net), with AUs as in FiLM (Perez et al.
    2018).

    It is untrained, and leaves masks as they are, while `trained` is 0.
    """

    trained: Tensor
    """A number: 1, or 0 before the training."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("trained", torch.zeros(()))
        self.embedding = nn.Sequential(
            nn.Linear(2 * COUNT, _STYLE), nn.ReLU(), nn.Linear(_STYLE, _STYLE), nn.ReLU()
        )
        # 2x2 pixels, the place of each, and where there is skin.
        self.to_half = nn.Conv2d(15, _HALF, 3, 1, 1)
        self.to_quarter = nn.Conv2d(_HALF, _QUARTER, 4, 2, 1)
        self.to_eighth = nn.Conv2d(_QUARTER, _EIGHTH, 4, 2, 1)
        self.blocks_8 = nn.ModuleList(_Block(_EIGHTH, dilation) for dilation in (1, 2, 1))
        self.enlarge_4 = nn.Conv2d(_EIGHTH + _QUARTER, _QUARTER, 3, 1, 1)
        self.block_4 = _Block(_QUARTER)
        self.enlarge_2 = nn.Conv2d(_QUARTER + _HALF, _HALF, 3, 1, 1)
        self.block_2 = _Block(_HALF)
        self.last = nn.Conv2d(_HALF, 4, 3, 1, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, faces: Tensor, skin: Tensor, aus: Tensor, own_aus: Tensor) -> Tensor:
        """(n, 1, h, w): logarithms of the factors by which skin is darker or lighter.

        faces: (n, 3, h, w) in -1..1, which show all but furrows. skin: (n, 1, h, w) in 0-1. aus,
        own_aus: (n, 17) in 0-1, what they are asked for, and what their photographs show. h and w:
        multiples of 8.
        """
        change = (aus - own_aus).clamp(-_MOST, _MOST)
        style = self.embedding(torch.cat([aus.clamp(0, _FULL), change], 1))
        pixels = F.pixel_unshuffle(faces, 2)
        seen = torch.cat([pixels, coordinates(pixels), F.avg_pool2d(skin, 2)], 1)
        half = leaky(self.to_half(seen))
        quarter = leaky(self.to_quarter(half))
        x = self.to_eighth(quarter)
        for block in self.blocks_8:
            x = block(x, style)
        x = self.enlarge_4(torch.cat([resized(leaky(x), quarter), quarter], 1))
        x = self.block_4(x, style)
        x = self.enlarge_2(torch.cat([resized(leaky(x), half), half], 1))
        x = F.pixel_shuffle(self.last(leaky(self.block_2(x, style))), 2).float()
        factors = torch.where(
            x < 0, _DARKEST * torch.tanh(x / _DARKEST), _LIGHTEST * torch.tanh(x / _LIGHTEST)
        )
        rises = torch.tanh(_SLOPE * change.clamp(min=0).norm(dim=1))
        return factors * rises[:, None, None, None] * skin

    def needed(self, aus: Tensor, own_aus: Tensor) -> bool:
        """Whether AUs rise, so that there are furrows to show. An exported network has no
        branches."""
        rising = ((aus - own_aus).clamp(min=0) * self.trained).any()
        return torch.compiler.is_compiling() or bool(rising)

    def shown(self, masks: Masks, skin: Tensor, aus: Tensor, own_aus: Tensor) -> Masks:
        """Masks of faces that have furrows where AUs rise. The arguments are those of `forward`."""
        face = masks.blend()
        factors = self.trained * self(face, skin, aus, own_aus)
        return masks.towards(shaded(face, factors), torch.ones_like(skin), blur=False)


def shaded(faces: Tensor, factors: Tensor) -> Tensor:
    """Faces (n, 3, h, w) in -1..1 that are lighter by the exponentials of (n, 1, h, w)."""
    tint = faces.new_tensor(_TINT)[:, None, None]
    return ((faces + 1) * (factors * tint).exp() - 1).clamp(-1, 1)


class _Block(nn.Module):
    """Two convolutions beside a shortcut; the style scales and shifts what is between them."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, 1, dilation, dilation)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        self.from_style = nn.Linear(_STYLE, 2 * channels)
        with torch.no_grad():
            self.second.weight.mul_(_BRANCH)
        nn.init.zeros_(self.from_style.weight)
        nn.init.zeros_(self.from_style.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.from_style(style)[:, :, None, None].chunk(2, 1)
        return x + self.second(leaky(self.first(leaky(x)) * (1 + scale) + shift))


def skin_of(flow: Tensor, brows: Brows, lips: Lips, uncovered: Tensor) -> Tensor:
    """(n, 1, h, w) in 0-1: the skin of faces that a flow (n, 2, h, w) has moved, without brows,
    eyes, mouth, hair, and what covers it.

    brows, lips: of the photographs. uncovered: (n, 1, h/2, w/2) in 0-1.
    """
    height, width = flow.shape[2:]
    pixel = 2 / height
    y, x = centres(height, flow)[:, None], centres(width, flow)
    lines = torch.cat([brows.rows[:, :2], brows.eyes, lips.rows[:, [0, 3]]], 1)
    begin, end, upper, lower, above, below = (
        each[:, None] for each in crossed(flow, lines).unbind(1)
    )
    across = all_at_rows(flow, (above + below)[:, 0] / 2)[:, 0]
    within = brows.within.sum(1, keepdim=True)
    open_ = in_columns(lips.open[:, None], (x + across)[:, None])[:, :, 0]

    def inside(first: Tensor, last: Tensor, wider: float) -> Tensor:
        near = ((y - first) / pixel / _FADING + wider).clamp(0, 1)
        return near * ((last - y) / pixel / _FADING + wider).clamp(0, 1)

    skin = 1 - _BROW * inside(begin, end, 1) * within.clamp(0, 1)
    skin = skin * (1 - inside(upper, lower, 1.5) * (lower - upper > pixel))
    skin = skin * (1 - inside(above, below, 0.5) * (open_ * 5).clamp(0, 1))
    skin = skin * ((y - begin + _HAIR) / (_HAIR - _ABOVE)).clamp(0, 1)
    skin = skin[:, None] * resized(uncovered, flow)
    skin = F.avg_pool2d(skin, 3, 1, 1)
    border = (1 - y.abs().maximum(x.abs())) / _BORDER
    return skin * border.clamp(0, 1)
