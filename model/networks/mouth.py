"""Paints what is seen in a mouth that opens: teeth, tongue and the dark behind them.

The photograph does not show them, and teeth are few pixels of a face, so what the generator paints
there is their mean: pale strips, or a hole. Where this is, between the lips, is found
(inner_mouth.py), and filled anew from what is around it, as a network of image inpainting does
(Pathak et al. 2016, Context Encoders). So every photograph of an open mouth teaches it, whether or
not there is another of this person. Teeth that the photograph shows are moved, and stay as they
are. It is trained after the generator (training/train_mouth.py).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import COUNT, positions
from ..warp import resized, warped
from .cleaning import odd
from .inner_mouth import InnerMouthNetwork
from .layers import leaky
from .masks import Masks

_HEIGHT, _WIDTH = 0.4, 0.6
"""Of the part of the frame that is seen, at its lower edge and in the middle, as shares of it. The
frame is aligned, so that all mouths lie in it."""
_HALF, _QUARTER, _EIGHTH, _FULL, _STYLE = 32, 64, 96, 20, 64
"""Channels at half, a quarter, an eighth, and all of the resolution; length of the embedding."""
_UNLIKELY, _LIKELY = 0.3, 0.6
"""Probabilities up to which a pixel is taken as lip, and from which on as inside of the mouth."""
_HIGH, _WIDE, _SMOOTH = 0.02, 0.03, 0.02
"""How far the hole reaches beyond the inside of the mouth, above and below and at both sides
together, and how wide its edges are, as shares of the frame."""
_NEAR, _BESIDE, _OPENED = 0.1, 0.3, 1 / 3
"""How far around what is opened, above and below and at both sides together, a mouth is filled; and
how much is opened where it is filled wholly."""
_PARTLY, _WHOLLY = 0.5, 0.65
"""Shares of the inside of a mouth that the photograph shows: up to the first it is filled, and from
the second on it stays as the photograph has it."""
_OPENING, _MUCH = positions((25, 26)), 0.25
"""Columns of the AUs that open the mouth, and how much of them it takes. Of a photograph with so
much of AU25 the inside of the mouth stays, unless AU25 falls or AU26 rises by this."""
_BRANCH = 0.3
"""Factor of the random weights of the last layer of each block at the start."""


class MouthNetwork(nn.Module):
    """Mouths with a hole to the colours that fill it.

    It is untrained, and paints nothing, while `trained` is 0.
    """

    trained: Tensor
    """A number: 1, or 0 before the training."""
    most: Tensor
    """(17,): it is told an AU as at most so high, since photographs hardly show more."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("trained", torch.zeros(()))
        self.register_buffer("most", torch.ones(COUNT))
        self.inner = InnerMouthNetwork()
        self.embedding = nn.Sequential(
            nn.Linear(COUNT, _STYLE), nn.ReLU(), nn.Linear(_STYLE, _STYLE), nn.ReLU()
        )
        self.to_half = nn.Conv2d(16, _HALF, 3, 1, 1)  # 2x2 pixels, and the hole
        self.to_quarter = nn.Conv2d(_HALF, _QUARTER, 4, 2, 1)
        self.to_eighth = nn.Conv2d(_QUARTER, _EIGHTH, 4, 2, 1)
        self.blocks_8 = nn.ModuleList(_Block(_EIGHTH) for _ in range(4))
        self.enlarge_4 = nn.Conv2d(_EIGHTH + _QUARTER, _QUARTER, 3, 1, 1)
        self.blocks_4 = nn.ModuleList(_Block(_QUARTER) for _ in range(2))
        self.enlarge_2 = nn.Conv2d(_QUARTER + _HALF, _HALF, 3, 1, 1)
        self.block_2 = _Block(_HALF)
        self.to_full = nn.Conv2d(_HALF, _FULL, 1)
        self.mix = nn.Conv2d(_FULL + 4, _FULL, 3, 1, 1)
        self.to_colour = nn.Conv2d(_FULL, 3, 3, 1, 1)

    def forward(self, mouths: Tensor, hole: Tensor, aus: Tensor) -> Tensor:
        """Colours (n, 3, h, w) in -1..1, which count in the hole alone.

        mouths: (n, 3, h, w) in -1..1, cut to the mouth; what lies in the hole is not seen. hole:
        (n, 1, h, w) in 0-1. aus: (n, 17) in 0-1, what the result should show. h and w: even.
        """
        style = self.embedding(aus.minimum(self.most))
        seen = torch.cat([mouths * (1 - hole), hole * 2 - 1], 1)
        half = leaky(self.to_half(F.pixel_unshuffle(seen, 2)))
        quarter = leaky(self.to_quarter(half))
        x = self.to_eighth(quarter)
        for block in self.blocks_8:
            x = block(x, style)
        x = self.enlarge_4(torch.cat([resized(leaky(x), quarter), quarter], 1))
        for block in self.blocks_4:
            x = block(x, style)
        x = self.enlarge_2(torch.cat([resized(leaky(x), half), half], 1))
        x = resized(self.to_full(leaky(self.block_2(x, style))), mouths)
        return self.to_colour(leaky(self.mix(torch.cat([x, seen], 1)))).tanh()

    def inside_of(self, faces: Tensor) -> Tensor:
        """(n, 1, h, w) in 0-1: the probability that a pixel of whole faces lies between the lips.

        faces: (n, 3, h, w) in -1..1.
        """
        return _in_place(self.inner(cut_to_mouth(faces, 4)).sigmoid(), faces)

    def painted(
        self,
        masks: Masks,
        shown: Tensor,
        own_aus: Tensor,
        opening: Tensor,
        uncovered: Tensor,
        aus: Tensor,
    ) -> Masks:
        """Masks of whole faces by which mouths that open are filled, and teeth that the photograph
        shows are moved and not painted.

        shown: as `inside_of` gives it for the faces from which the masks were made. own_aus:
        (n, 17), theirs. opening: (n, 1, h/2, w/2) in 0-1, where the flow opens the mouth.
        uncovered: the same shape, the share that nothing covers. aus: (n, 17), what is asked for.
        """
        assert masks.flow is not None
        mouths = cut_to_mouth(masks.blend(), 4)
        inside = self.inner(mouths).sigmoid()
        kept = shown_share(inside, cut_to_mouth(warped(shown, masks.flow), 4))
        own, rise = (x[:, _OPENING, None, None] / _MUCH for x in (own_aus, aus - own_aus))
        parted, lips, jaw = own[:, :1], rise[:, :1], rise[:, 1:]
        # The line between closed lips is taken for an open mouth on some. A jaw that drops would
        # draw teeth to strips.
        kept = kept * parted.minimum(1 - jaw).clamp(0, 1)
        hole = hole_of(inside) * resized(cut_to_mouth(uncovered, 2), mouths) * self.trained
        masks = masks.without_paint(_in_place(hole * kept * (1 + lips).clamp(0, 1), shown))
        # An exported network has no branches.
        if not (torch.compiler.is_compiling() or opening.any()):
            return masks
        filled = hole * opened(cut_to_mouth(opening, 2), mouths) * (1 - kept)
        colours = self(mouths, filled, aus).float()
        filled, colours = (_in_place(x, shown) for x in (filled, colours))
        return masks.towards(colours, filled)


class _Block(nn.Module):
    """Two convolutions beside a shortcut; the style scales and shifts what is between them (Perez
    et al. 2018, FiLM). It has no normalisation, as a hole would change the means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))
        self.from_style = nn.Linear(_STYLE, 2 * channels)
        with torch.no_grad():
            self.second.weight.mul_(_BRANCH)
        nn.init.zeros_(self.from_style.weight)
        nn.init.zeros_(self.from_style.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.from_style(style)[:, :, None, None].chunk(2, 1)
        y = self.first(leaky(x)) * (1 + scale) + shift
        return x + self.second(leaky(y))


def hole_of(inside: Tensor) -> Tensor:
    """(n, 1, h, w) in 0-1: the inside of mouths, a little widened.

    inside: (n, 1, h, w) in 0-1, the probability that a pixel lies between the lips.
    """
    side = inside.shape[3] / _WIDTH
    high, wide, smooth = (odd(share * side) for share in (_HIGH, _WIDE, _SMOOTH))
    hole = dilated((inside - _UNLIKELY) / (_LIKELY - _UNLIKELY), high, wide)
    return with_smooth_edges(hole, smooth)


def opened(opening: Tensor, mouths: Tensor) -> Tensor:
    """(n, 1, h, w) in 0-1: where mouths (n, any, h, w) are filled, which a flow opens by
    (n, 1, h/2, w/2) in 0-1."""
    side = mouths.shape[3] / _WIDTH
    return dilated(resized(opening, mouths) / _OPENED, odd(_NEAR * side), odd(_BESIDE * side))


def shown_share(inside: Tensor, in_photograph: Tensor) -> Tensor:
    """(n, 1, 1, 1) in 0-1: how far a photograph shows the inside of the mouth itself.

    inside, in_photograph: (n, 1, h, w) in 0-1, the probability that a pixel lies between the lips,
    in the result and in the moved photograph.
    """
    shown, all_ = (x.sum((1, 2, 3), keepdim=True) for x in (inside * in_photograph, inside))
    return ((shown / all_.clamp(min=1) - _PARTLY) / (_WHOLLY - _PARTLY)).clamp(0, 1)


def dilated(share: Tensor, high: int, wide: int) -> Tensor:
    """A share (n, 1, h, w), cut to 0-1: the largest in rectangles of odd sides in px."""
    return F.max_pool2d(share.clamp(0, 1), (high, wide), 1, (high // 2, wide // 2))


def with_smooth_edges(hole: Tensor, side: int) -> Tensor:
    """A hole (n, 1, h, w), of means over squares of an odd side in px."""
    return F.avg_pool2d(F.pad(hole, (side // 2,) * 4, "replicate"), side, 1)


def cut_to_mouth(x: Tensor, unit: int) -> Tensor:
    """The part (n, channels, h', w') of something (n, channels, h, w) in the frame. unit: pixels
    that are one at a quarter of the faces' resolution."""
    height, width = (
        unit * round(side / unit) for side in (_HEIGHT * x.shape[2], _WIDTH * x.shape[3])
    )
    left = (x.shape[3] - width) // 2
    return x[:, :, x.shape[2] - height :, left : left + width]


def _in_place(part: Tensor, whole: Tensor) -> Tensor:
    """A part that was cut, with zeros around it."""
    (height, width), (inner_height, inner_width) = whole.shape[2:], part.shape[2:]
    left = (width - inner_width) // 2
    return F.pad(part, (left, left, height - inner_height, 0))
