"""Eyes between lids that move: lids and lashes are moved as they are, and what lies between them
stays in its place.

A flow that moves a lid stretches or presses iris and white with it, and what is painted over that
is the mean of many eyes: pale, and blurred in large portraits. But lids slide over an eye that does
not move. What they uncover is not in the photograph, and is found by the shape of irises.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ...pipeline.action_units import positions
from ..warp import resized
from .brows import Brows
from .columns import all_at_rows, centres, crossed, eased, in_columns, smooth, spread
from .irises import SHADOW, Irises, below_lids, irises_of
from .masks import Masks
from .occlusion import limit

# Lengths are in half sides, if nothing else is said.
_RISE, _FALL = 0.055, 0.01
"""How far the upper lid goes up and the lower one down where eyes are opened wholly: fitted to
series of one person, in which eyes become higher by 0.027 where AU5 rises by 0.5."""
_TALLEST = 0.5
"""Greatest height of an eye that is opened, as a share of its width."""
_LASHES, _EDGE = 0.025, 0.004
"""What is above the edge of the upper lid, and below it, and moves with it."""
_NEAR = 0.04
"""Over how much the motion of the skin becomes that of the lashes."""
_FADING = 0.12
"""How far below the eye the skin moves along."""
_LEAST, _MOST = 0.06, 0.25
"""Least and greatest height of the skin between brow and lid, which is compressed."""
_SLIT, _OPEN = 0.05, 0.09
"""Height up to which an eye shows too little of itself, and from which on it shows enough."""
_CORNERS, _ROUND = 0.2, 0.6
"""Up to which share of the height of an eye lids move less, and the power of the height by which
they do."""
_NARROW = 0.02
"""Share of the face over which the end of an eye is smoothed."""
_SHADED, _SHADE = 0.25, 2
"""By how much what is just below the lid is darker, and over how many pixels."""
_LIT = 0.35
"""How far whites of eyes that are opened wholly become as bright as they are where lids uncover
them: less of the shadow of the lid lies on them."""
_OPENED, _LOWERED, _NARROWED = (0.215, 0.45), (-0.22, 0.8), (-0.13, 0.9)
"""Logarithm of how much lighter eyes are that are opened wide, below brows that are lowered, and
narrowed by cheeks or lids, and from which change on."""
_DARKENED_BY, _NARROWED_BY = positions((4,)), positions((6, 7))
_TINT = 0.7, 1.0, 1.0
"""How much of it holds for red, green and blue."""
_BLENDED = 2
"""Over how many pixels below the shadow of the lid the photograph is shown in part."""


class _Lids(NamedTuple):
    """Lids of n faces: (n, 1, w) each, rows in -1..1."""

    above: Tensor
    """From where the skin above is compressed, in the picture that the flow makes; likewise where
    the upper lid ends and the lower one begins."""
    upper: Tensor
    lower: Tensor
    from_upper: Tensor
    """In which row of the photograph these lids end and begin."""
    from_lower: Tensor
    up: Tensor
    """How far the upper lid goes up beside that, and the lower one down."""
    down: Tensor

    @property
    def edge(self) -> Tensor:
        """Where the upper lid ends in the result."""
        return self.upper - self.up

    @property
    def end(self) -> Tensor:
        """Where the lower lid begins in the result."""
        return self.lower + self.down

    def seen(self, pixel: float) -> tuple[Tensor, Tensor]:
        """The first row and the last of what is seen of the eyes in the photograph: not the shadow
        of the upper lid, nor the edge of the lower one where it goes down."""
        first = self.from_upper + (self.from_upper - self.edge).clamp(_EDGE, SHADOW)
        last = self.from_lower - (self.end - self.from_lower).clamp(0.0, pixel)
        return first, last.maximum(first)


def light_in_eyes(change: Tensor, opening: Tensor) -> Tensor:
    """(n,): the logarithm of how much lighter eyes are by changes (n, 17) of AUs, and by an
    `opening` (n,) in 0-1. More light falls into eyes that are open wide.

    Fitted to irises and whites in 330 pairs of series of one person.
    """
    known = (
        (opening, _OPENED),
        (change[:, _DARKENED_BY].amax(1), _LOWERED),
        (change[:, _NARROWED_BY].amax(1), _NARROWED),
    )
    parts = [most * (each / wholly).clamp(-1, 1) for each, (most, wholly) in known]
    return torch.stack(parts).sum(0)


def seen_eyes(brows: Brows) -> Tensor:
    """(n,) in 0-1: how far the eyes of n photographs are open, so that they can be moved."""
    upper, lower = brows.eyes.unbind(1)
    return eased((((lower - upper).amax(1) - _SLIT) / (_OPEN - _SLIT)).clamp(0, 1))


def with_open_eyes(
    masks: Masks,
    faces: Tensor,
    brows: Brows,
    places: Tensor,
    share: Tensor,
    light: Tensor,
    uncovered: Tensor,
    bounds: Tensor,
) -> Masks:
    """Masks whose lids and lashes are moved as they are, over eyes that are not moved or painted.

    Args:
        masks: of faces with other AUs, which say how lids move.
        faces: (n, 3, h, w) in -1..1, from which the masks were made.
        brows: theirs.
        places: (n, 2, 3), of their irises, by `IrisNetwork`.
        share: (n,) in 0-1, how far eyes are opened beside that.
        light: (n,), the logarithm of how much lighter they are.
        uncovered: (n, 1, h/2, w/2) in 0-1, the share that nothing covers.
        bounds: how far skin is moved near to what covers the face, as `limit` takes it.
    """
    assert masks.flow is not None
    irises = irises_of(brows, places)
    lids = _lids(masks.flow, brows, irises, share)
    pixel = 2 / faces.shape[2]
    y = centres(faces.shape[2], faces)[:, None]
    of_eye = smooth(((lids.from_lower - lids.from_upper) / _SLIT).clamp(0, 1), _NARROW)
    kept = of_eye * seen_eyes(brows)[:, None, None]
    kept = kept[:, None] * resized(uncovered, faces)
    below, above = ((each / pixel + 0.5).clamp(0, 1) for each in (y - lids.edge, lids.end - y))
    inside = below * above

    # An exported network has no branches.
    if torch.compiler.is_compiling() or share.any():
        apart = _apart(lids, y)
        masks = masks.moved(faces, kept * apart * limit(apart, resized(bounds, faces)))
    flow = masks.flow
    assert flow is not None
    over_eyes = torch.stack([flow[:, 0] * (1 - inside), _rows(lids, y, flow[:, 1], pixel)], 1)
    masks = masks.with_flow(faces, flow + kept * (over_eyes - flow))
    masks = masks.without_paint(kept * inside[:, None])

    shown = _uncovered(lids, y, pixel)[:, None]
    dark = 1 - _SHADED * (1 - (y - lids.edge) / pixel / _SHADE).clamp(0, 1)[:, None]
    eyes, white = below_lids(irises, faces)
    lit = _LIT * share[:, None, None, None] * white * inside[:, None]
    masks = masks.towards((eyes + 1) * dark - 1, shown.maximum(lit) * kept)

    lighter = (faces.new_tensor(_TINT)[:, None, None] * light[:, None, None, None]).exp()
    lit_eyes = ((masks.blend() + 1) * lighter - 1).clamp(-1, 1)
    return masks.towards(lit_eyes, kept * inside[:, None], blur=False)


def _lids(flow: Tensor, brows: Brows, irises: Irises, share: Tensor) -> _Lids:
    """The lids of eyes that a flow (n, 2, h, w) moves, and which are opened by a share (n,)."""
    skin = spread((irises.upper - brows.rows[:, 1])[:, None], brows.within.sum(1))[:, 0]
    above = irises.upper - skin.clamp(_LEAST, _MOST)
    rows = torch.stack([above, irises.upper, irises.lower], 1)
    above, upper, lower = (each[:, None] for each in crossed(flow, rows).unbind(1))
    x = centres(flow.shape[3], flow) + all_at_rows(flow, upper[:, 0])[:, 0]
    known = torch.stack([irises.upper, irises.lower, irises.profile, irises.width], 1)
    from_upper, from_lower, profile, width = in_columns(known, x[:, None])[:, :, 0].split(1, 1)
    profile = profile.clamp(min=1e-4).pow(_ROUND) * (profile / _CORNERS).clamp(max=1)
    share = share[:, None, None]
    most = (_TALLEST * width - (lower - upper)).clamp(min=0)
    up, down = (_RISE * share).minimum(most) * profile, _FALL * share * profile
    return _Lids(above, upper, lower, from_upper, from_lower, up, down)


def _apart(lids: _Lids, y: Tensor) -> Tensor:
    """The flow (n, 2, h, w) by which lids go apart further: skin above is compressed, and skin
    below goes down. y: (h, 1), the row of each pixel."""
    lashes = lids.edge - _LASHES
    compressed = (lashes + lids.up - lids.above) / (lashes - lids.above).clamp(min=1e-3)
    down = torch.where(y < lids.above, 0.0, (y - lids.above) * (compressed - 1))
    down = torch.where(y > lashes, lids.up, down)
    fading = 1 - eased(((y - lids.end) / _FADING).clamp(0, 1))
    down = torch.where(y > lids.end, -lids.down * fading, down)
    return torch.stack([torch.zeros_like(down), down], 1)


def _rows(lids: _Lids, y: Tensor, down: Tensor, pixel: float) -> Tensor:
    """The flow down (n, h, w) of skin, in whose place lashes keep their pixels, and eyes are where
    they were."""
    with_lashes = lids.from_upper - lids.edge
    near = ((y - lids.edge + _LASHES) / _NEAR + 1).clamp(0, 1)
    down = torch.where(y < lids.end, down + near * (with_lashes - down), down)
    first, last = lids.seen(pixel)
    between = (y > lids.edge + _EDGE) & (y < lids.end)
    return torch.where(between, first.maximum(y).minimum(last) - y, down)


def _uncovered(lids: _Lids, y: Tensor, pixel: float) -> Tensor:
    """(n, h, w) in 0-1: what is seen of eyes that was covered by lids, above and below."""
    begin = lids.edge + _EDGE
    first, last = lids.seen(pixel)
    above = ((y - begin) / pixel + 0.5).clamp(0, 1) * ((first - y) / pixel / _BLENDED + 1).clamp(
        0, 1
    )
    above = above * ((first - begin) / pixel).clamp(0, 1)
    below = ((y - last) / pixel + 1).clamp(0, 1) * ((lids.end - y) / pixel + 0.5).clamp(0, 1)
    return above.maximum(below * ((lids.end - lids.from_lower) / pixel).clamp(0, 1))
