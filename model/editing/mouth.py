"""Mouths that open, close, or show their teeth: lips and teeth are moved, and a hole between is
painted.

The photograph does not show what is in the hole, and teeth are few pixels of a face, so what the
generator paints there is their mean: pale strips, or black. So lips are found (lips.py), and moved
as they are (parting.py), and what is left between them is filled by a network of its own from what
is around it, as networks of image inpainting do (Pathak et al. 2016, Context Encoders). So every
photograph of an open mouth teaches it, whether or not there is another of this person. It is
trained after the generator (training/train_mouth.py).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import COUNT
from ..layers import leaky
from ..warp import resized, warped
from .chins import with_chin_of_skin
from .cleaning import highest, local_mean, without_cold_colours
from .layer_network import LayerNetwork, layer_ends
from .lip_changes import lip_changes
from .lips import LAYERS, Lips, lips_of
from .masks import Masks, smoothed
from .parting import with_lips
from .skin import brightness, cheeks
from .styled_block import StyledBlock

_HEIGHT, _WIDTH = 0.4, 0.6
"""Of the part of the frame that is seen, at its lower edge and in the middle, as shares of it. The
frame is aligned, so that all mouths lie in it."""
_HALF, _QUARTER, _EIGHTH, _FULL, _STYLE = 32, 64, 96, 20, 64
"""Channels at half, a quarter, an eighth, and all of the resolution; length of the embedding."""
_AROUND = 0.1
"""Over which share of the face what lies above and below the inside of a mouth counts."""
_DARKER = 0.58, 0.72, 0.72
"""By how much red, green and blue are darker in the deepest part of a mouth of which the jaw drops:
less light falls into it than into most open mouths of photographs, which laugh, and it is red."""
_EVEN = 0.15
"""Over which share of the face, from left to right, what is deep in a mouth is evened out: what is
filled below teeth repeats them as upright streaks."""
_TONGUE, _REDDER = 0.95, 0.9
"""How light tongues and lower lips are at most, relative to the cheeks, and how much green and blue
they have beside red, relative to these: what is filled below teeth may have their colour."""
_SHARPER = 1.0
"""How much of its fine detail is added to what fills a mouth: networks fill holes with means of
what may be there, which are blurred, and teeth would have hardly any gaps."""
_LINE = 7
"""Rows, in pixels, of which the darkest is that of the line between lips that meet."""


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
        self.lips = LayerNetwork(LAYERS)
        self.embedding = nn.Sequential(
            nn.Linear(COUNT, _STYLE), nn.ReLU(), nn.Linear(_STYLE, _STYLE), nn.ReLU()
        )
        self.to_half = nn.Conv2d(16, _HALF, 3, 1, 1)  # 2x2 pixels, and the hole
        self.to_quarter = nn.Conv2d(_HALF, _QUARTER, 4, 2, 1)
        self.to_eighth = nn.Conv2d(_QUARTER, _EIGHTH, 4, 2, 1)
        self.blocks_8 = nn.ModuleList(StyledBlock(_EIGHTH, _STYLE) for _ in range(4))
        self.enlarge_4 = nn.Conv2d(_EIGHTH + _QUARTER, _QUARTER, 3, 1, 1)
        self.blocks_4 = nn.ModuleList(StyledBlock(_QUARTER, _STYLE) for _ in range(2))
        self.enlarge_2 = nn.Conv2d(_QUARTER + _HALF, _HALF, 3, 1, 1)
        self.block_2 = StyledBlock(_HALF, _STYLE)
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

    def ends_of(self, faces: Tensor) -> Tensor:
        """Where lips end in the mouths of whole faces (n, 3, h, w) in -1..1, as `lips_of` takes
        it, in full precision: edges move by it."""
        with torch.autocast(faces.device.type, enabled=False):
            return layer_ends(self.lips(cut_to_mouth(faces.float())))

    def painted(
        self,
        masks: Masks,
        faces: Tensor,
        ends: Tensor,
        own_aus: Tensor,
        aus: Tensor,
        uncovered: Tensor,
    ) -> Masks:
        """Masks of whole faces by which lips are moved as they are where the mouth opens or closes
        or shows its teeth, are not painted, and a hole between them is filled.

        faces: (n, 3, h, w) in -1..1, from which the masks were made. ends: theirs, by `ends_of`.
        own_aus, aus: (n, 17), theirs and what they are asked for. uncovered: (n, 1, h/2, w/2) in
        0-1, the share that nothing covers.
        """
        assert masks.flow is not None
        changes = lip_changes(own_aus, aus)
        share = (changes.moved * self.trained)[:, None, None, None]
        # An exported network has no branches.
        if not (torch.compiler.is_compiling() or share.any()):
            return masks
        with torch.autocast(faces.device.type, enabled=False):
            lips = lips_in(faces, ends, changes.teeth)
            parting = with_lips(masks.flow, lips, changes)
            share = share * resized(uncovered, faces)
            flow = masks.flow + share * (parting.flow - masks.flow)
            masks = masks._replace(flow=flow, face=warped(faces.float(), flow))
            masks = masks.without_paint(share * parting.mouth)
            masks = _without_inside(masks, share * parting.inside)
            masks = masks.towards(_darkest(masks.blend()), share * parting.line)
            masks = with_chin_of_skin(masks, parting.mouth, share * parting.below)
            hole = cut_to_mouth(share * parting.hole)
        around = cut_to_mouth(masks.blend())
        colours = self(around, hole, aus).float()
        filled = around + hole * (colours - around)
        colours = colours + _SHARPER * (filled - smoothed(smoothed(filled)))
        deep, shade = (cut_to_mouth(x) for x in (parting.deep, parting.shade))
        even = local_mean(colours, hole + 1e-4, 0, _EVEN)
        colours = colours + deep * (as_tongue(even, faces) - colours)
        colours = (colours + 1) * (1 - colours.new_tensor(_DARKER)[:, None, None] * shade) - 1
        hole, colours = (_in_place(x, faces) for x in (hole, colours))
        return without_cold_colours(masks.towards(colours, hole))


def lips_in(faces: Tensor, ends: Tensor, teeth: Tensor) -> Lips:
    """The lips of whole faces (n, 3, h, w) with ends as of `MouthNetwork.ends_of`. teeth: (n,) in
    0-1, as `lips_of` takes it."""
    return lips_of(ends, cut_to_mouth(faces).shape[2], faces, teeth)


def as_tongue(colours: Tensor, faces: Tensor) -> Tensor:
    """Colours (n, 3, h', w') in -1..1 that are at least as red as the skin of faces (n, 3, h, w),
    and not lighter than tongues in their light."""
    cheek = cheeks(faces)
    lit = colours + 1
    lit = lit * (_TONGUE * brightness(cheek) / brightness(lit).clamp(min=1e-2)).clamp(max=1)
    warm = _REDDER * cheek / cheek[:, :1] * lit[:, :1]
    return torch.cat([lit[:, :1], lit[:, 1:].minimum(warm[:, 1:])], 1) - 1


def _without_inside(masks: Masks, inside: Tensor) -> Masks:
    """Masks of lips that close, without what is left of the inside of the mouth at its corners and
    as a line of teeth: it becomes the mean of what is above and below.

    inside: (n, 1, h, w) in 0-1.
    """
    around = local_mean(masks.blend(), 1 - inside, 1, _AROUND)
    return masks.towards(around, inside)


def _darkest(faces: Tensor) -> Tensor:
    """The darkest of some rows of faces (n, 3, h, w) in -1..1, as means over some columns: lips
    that meet leave a dark line, and no teeth."""
    return F.avg_pool2d(-highest(-faces, _LINE), (1, _LINE), 1, (0, _LINE // 2))


def cut_to_mouth(x: Tensor) -> Tensor:
    """The part (n, channels, h', w') of something (n, channels, h, w) in the frame; h' and w' are
    multiples of 4."""
    height, width = (4 * round(side / 4) for side in (_HEIGHT * x.shape[2], _WIDTH * x.shape[3]))
    left = (x.shape[3] - width) // 2
    return x[:, :, x.shape[2] - height :, left : left + width]


def _in_place(part: Tensor, whole: Tensor) -> Tensor:
    """A part that was cut, with zeros around it."""
    (height, width), (inner_height, inner_width) = whole.shape[2:], part.shape[2:]
    left = (width - inner_width) // 2
    return F.pad(part, (left, left, height - inner_height, 0))
