"""Furrows and bulges of the skin above and between the brows, and of the root of the nose.

A flow moves skin and does not fold it, and what the generator paints is the mean of many folds,
which is none. So a network of its own says by how much lighter or darker the skin of the result is,
and nothing else: light and shade are what a fold changes, and a network that may not choose colours
cannot paint what is no face. It is trained after the generator (training/train_furrows.py), with a
critic, with pairs, and with the reading of AUs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import COUNT, positions
from ..layers import leaky
from ..warp import coordinates, resized
from .brows import Brows, brow_line, cut_to_upper_face
from .columns import centres, crossed
from .masks import Masks, smoothed
from .shade import border_of, with_shade, within_limits
from .styled_block import StyledBlock

FROWN = positions((4,))[0]
"""Column of the AU that folds this skin where it rises."""
_HALF, _QUARTER, _EIGHTH, _STYLE = 24, 40, 64, 48
"""Channels at half, a quarter, and an eighth of the resolution; length of the embedding."""
_DARKEST, _LIGHTEST = 0.45, 0.05
"""Largest logarithms of the factors by which skin becomes darker and lighter."""
_MOST = 0.35
"""It is told a change as at most so high: beyond, furrows become stripes."""
_SLOPE = 6.0
"""Furrows reach 83% of their strength where it rises by 0.2."""
_BROW, _ABOVE, _HAIR = 0.7, 0.3, 0.6
"""Which share of a brow is no skin; how far above brows, in half sides, a face is skin wholly, and
from where on it may be hair."""
_NEAR, _GONE = 0.03, 0.2
"""How far above brows, in half sides, furrows are shown wholly, and from where on not."""
_LOW = 0.12
"""Over how much of the frame, in half sides, skin ends at the lower edge of the upper face."""
_FADING = 2
"""Over how many pixels skin ends at brows and eyes."""


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
        self.blocks_8 = nn.ModuleList(
            StyledBlock(_EIGHTH, _STYLE, dilation) for dilation in (1, 2, 1)
        )
        self.enlarge_4 = nn.Conv2d(_EIGHTH + _QUARTER, _QUARTER, 3, 1, 1)
        self.block_4 = StyledBlock(_QUARTER, _STYLE)
        self.enlarge_2 = nn.Conv2d(_QUARTER + _HALF, _HALF, 3, 1, 1)
        self.block_2 = StyledBlock(_HALF, _STYLE)
        self.last = nn.Conv2d(_HALF, 4, 3, 1, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, faces: Tensor, skin: Tensor, aus: Tensor, own_aus: Tensor) -> Tensor:
        """(n, 1, h, w): logarithms of the factors by which skin is darker or lighter.

        faces: (n, 3, h, w) in -1..1, upper faces, which show all but furrows. skin: (n, 1, h, w) in
        0-1. aus, own_aus: (n, 17) in 0-1, what they are asked for, and what their photographs show.
        h and w: multiples of 8.
        """
        frown = torch.zeros_like(own_aus)
        frown[:, FROWN] = (aus - own_aus)[:, FROWN].clamp(0.0, _MOST)
        style = self.embedding(torch.cat([own_aus + frown, frown], 1))
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
        factors = within_limits(x, _DARKEST, _LIGHTEST)
        rises = torch.tanh(_SLOPE * frown[:, FROWN])
        return smoothed(factors * rises[:, None, None, None] * skin)

    def shown(
        self, masks: Masks, brows: Brows, uncovered: Tensor, aus: Tensor, own_aus: Tensor
    ) -> Masks:
        """Masks of whole faces (n, 3, h, w) that have furrows where AU4 rises.

        brows: of the photographs. uncovered: (n, 1, h/2, w/2) in 0-1, the share that nothing
        covers. aus, own_aus: as in `forward`.
        """
        assert masks.flow is not None
        rising = ((aus - own_aus)[:, FROWN].clamp(min=0) * self.trained).any()
        # An exported network has no branches.
        if not (torch.compiler.is_compiling() or rising):
            return masks
        face = masks.blend()
        upper, skin = cut_to_upper_face(face), skin_of(masks.flow, brows, uncovered)
        factors = _softened(self.trained * self(upper, skin, aus, own_aus), masks.flow, brows)
        factors = F.pad(factors, (0, 0, 0, face.shape[2] - upper.shape[2]))
        return with_shade(masks, factors)


def _softened(factors: Tensor, flow: Tensor, brows: Brows) -> Tensor:
    """Logarithms (n, 1, h', w) of factors, smoothed, and faded out above the brows of faces that a
    flow (n, 2, h, w) has moved: there, and side by side, furrows look like a comb.

    brows: of the photographs.
    """
    y = centres(flow.shape[2], flow)[: factors.shape[2], None]
    near = ((y - brow_line(flow, brows) + _GONE) / (_GONE - _NEAR)).clamp(0, 1)
    return smoothed(smoothed(factors * near[:, None]))


def skin_of(flow: Tensor, brows: Brows, uncovered: Tensor) -> Tensor:
    """(n, 1, h', w) in 0-1: the skin of upper faces, of faces that a flow (n, 2, h, w) has moved,
    without brows, eyes, hair, and what covers it.

    brows: of the photographs. uncovered: (n, 1, h/2, w/2) in 0-1.
    """
    skin = cut_to_upper_face(below_hair(flow, brows)[:, None] * resized(uncovered, flow))
    y = centres(flow.shape[2], flow)[: skin.shape[2], None]
    border = border_of(flow).minimum((y[-1] - y) / _LOW)
    return F.avg_pool2d(skin, 3, 1, 1) * border


def below_hair(flow: Tensor, brows: Brows) -> Tensor:
    """(n, h, w) in 0-1: faces that a flow (n, 2, h, w) has moved, without brows, eyes and hair.

    brows: of the photographs.
    """
    pixel = 2 / flow.shape[2]
    y = centres(flow.shape[2], flow)[:, None]
    lines = torch.cat([brows.rows[:, :2], brows.eyes], 1)
    begin, end, upper, lower = (each[:, None] for each in crossed(flow, lines).unbind(1))

    def inside(first: Tensor, last: Tensor, wider: float) -> Tensor:
        near = ((y - first) / pixel / _FADING + wider).clamp(0, 1)
        return near * ((last - y) / pixel / _FADING + wider).clamp(0, 1)

    within = brows.within.sum(1, keepdim=True).clamp(0, 1)
    skin = 1 - _BROW * inside(begin, end, 1) * within
    skin = skin * (1 - inside(upper, lower, 1.5) * (lower - upper > pixel).float())
    return skin * ((y - begin + _HAIR) / (_HAIR - _ABOVE)).clamp(0, 1)
