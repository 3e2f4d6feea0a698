"""Flows by which lips close, part further, become thinner, or stay wide, beside what AUs' fields
do."""

import torch
from torch import Tensor

from ..warp import warped
from .columns import centres, eased, smooth
from .lip_columns import FULLY, lip_columns
from .lips import Lips

_UPPER_SHARE = 0.2
"""How much of the gap of lips that are closed the upper lip goes down."""
_ABOVE, _BELOW = 0.175, 0.55
"""How far above and below lips that are moved the face moves along, in half sides."""
_CLOSED, _OVERLAP, _WIDE = 1.1, 0.03, 0.04
"""Factor of this gap and what is added to it, in half sides, so that no line of teeth is left; and
over which share of the face it is smoothed."""
_TIGHT, _AROUND = 0.45, 0.15
"""By how much lips become thinner where AU23 rises by 1, and how far around them skin moves along,
in half sides."""
_DROP = 0.015
"""How far the lower lip goes down further where AU26 rises by 1, in half sides."""
_RISE = 0.045
"""How far the middle of the mouth goes up further where AU12 rises by 1, in half sides."""

_SIDES, _PARTED, _BELOW_SIDES, _NARROW = 0.12, 0.1, 0.3, 0.02
"""Four times how far the sides of the lower lip go down where AU12 rises by 1 and lips are apart by
_PARTED or more, all in half sides; how far below the face moves along; and over which share of the
face it is smoothed."""
_NARROWEST, _WIDEST = 0.85, 1.6
"""The least width of a mouth relative to its own, and by how much it is widened at most."""
_BESIDE = 0.35
"""How far beside, above and below a mouth that is widened the face moves along, in half sides."""


def wide_enough(flow: Tensor, lips: Lips) -> Tensor:
    """A flow (n, 2, h, w) by which no mouth becomes much narrower than it is: the fields of a smile
    that goes, and of those AUs that often come then, together make small round mouths."""
    at = lip_columns(flow, lips)
    x = centres(flow.shape[3], flow)
    within = at.in_mouth[:, 0]
    now = within.sum(1, keepdim=True).clamp(min=1)
    own = (lips.open * FULLY).clamp(0, 1).sum(1, keepdim=True)
    wider = (_NARROWEST * own / now).clamp(1.0, _WIDEST)
    middle = (within * x).sum(1, keepdim=True) / now
    half = now / flow.shape[3]
    along = x - middle
    reach = half * wider
    step = along.clamp(-reach, reach) * (1 / wider - 1)
    step = step * (1 - eased(((along.abs() - reach) / _BESIDE).clamp(0, 1)))
    far = torch.maximum(at.begin - at.y, at.y - at.end).clamp(min=0)
    step = step[:, None] * (1 - eased((far / _BESIDE).clamp(0, 1)))
    return _composed(flow, torch.stack([step, torch.zeros_like(step)], 1))


def dropped(flow: Tensor, lips: Lips, jaw: Tensor) -> Tensor:
    """A flow (n, 2, h, w) by which the lower lip and the chin go down, by a share (n,) in 0-1 of
    what a jaw that drops adds to the flow."""
    at = lip_columns(flow, lips)
    chin = (1 - (at.y - at.end) / _BELOW).clamp(0, 1)
    down = smooth(jaw[:, None, None] * _DROP * at.open, _WIDE)
    # Rows that come to lie between the lips show the end of the upper one.
    return _shifted(flow, -(down * chin).minimum((at.y - at.upper).clamp(min=0)))


def raised(flow: Tensor, lips: Lips, smile: Tensor) -> Tensor:
    """A flow (n, 2, h, w) by which the middle of the mouth goes up with its corners, or down, by a
    share (n,) in -1..1 of what a smile adds to the flow: by its field it hardly does, and mouths
    became hanging arcs."""
    at = lip_columns(flow, lips)
    up = smooth(smile[:, None, None] * _RISE * at.open, _WIDE)
    above = (1 - (at.begin - up - at.y) / _ABOVE).clamp(0, 1)
    below = (1 - (at.y - (at.end - up)) / _BELOW).clamp(0, 1)
    return _shifted(flow, up * torch.minimum(above, below))


def with_low_sides(flow: Tensor, lips: Lips, smile: Tensor) -> Tensor:
    """A flow (n, 2, h, w) by which the sides of the lower lip go down where a smile shows teeth, by
    a share (n,) in 0-1 of what it adds to the flow: by its field the lip is an arc as a letter V,
    and people's are rather as a U."""
    at = lip_columns(flow, lips)
    apart = ((at.lower - at.upper).amax(2, keepdim=True) / _PARTED).clamp(0, 1)
    down = smooth(smile[:, None, None] * _SIDES * apart * at.open * (1 - at.open), _NARROW)
    below = (1 - (at.y - at.end - down) / _BELOW_SIDES).clamp(0, 1)
    return _shifted(flow, -(down * below).minimum((at.y - at.upper).clamp(min=0)))


def closing(flow: Tensor, lips: Lips, share: Tensor) -> Tensor:
    """A flow (n, 2, h, w) by which a share (n,) in 0-1 of the gap is closed that lips have which
    move as they are: the lower lip goes up with the chin, and the upper one a little down. Lips
    that go beyond the frame stay open."""
    at = lip_columns(flow, lips)
    gap = (at.lower - at.upper).clamp(min=0) * _CLOSED + _OVERLAP * at.open
    gap = smooth(gap * (share * lips.whole)[:, None, None], _WIDE)
    down, up = _UPPER_SHARE * gap, (1 - _UPPER_SHARE) * gap
    above = (1 - (at.begin + down - at.y) / _ABOVE).clamp(0, 1)
    below = (1 - (at.y - (at.end - up)) / _BELOW).clamp(0, 1)
    return _shifted(flow, torch.where(at.y < at.upper + down, -down * above, up * below))


def tightened(flow: Tensor, lips: Lips, share: Tensor) -> Tensor:
    """A flow (n, 2, h, w) by which lips are thinner, by a share (n,) in 0-1 of what AU23 shows; the
    line between them stays."""
    at = lip_columns(flow, lips)
    thin = share[:, None, None] * _TIGHT * at.in_mouth
    down, up = thin * (at.upper - at.begin), thin * (at.end - at.lower)
    above = _beside(at.begin + down - at.y, at.upper - at.begin - down)
    below = _beside(at.y - at.end + up, at.end - up - at.lower)
    return _shifted(flow, up * below - down * above)


def _beside(beyond: Tensor, height: Tensor) -> Tensor:
    """0-1: 1 at the outer edge of a lip of a height, falling to 0 at its inner edge and outwards.
    beyond: how far each row lies outside of the outer edge."""
    outside, inside = 1 - beyond / _AROUND, 1 + beyond / height.clamp(min=1e-4)
    return torch.where(beyond > 0, outside, inside).clamp(0, 1)


def _shifted(flow: Tensor, down: Tensor) -> Tensor:
    """A flow (n, 2, h, w) by which each pixel shows what a flow has so far (n, h, w) below it, in
    half sides."""
    return _composed(flow, torch.stack([torch.zeros_like(down), down], 1))


def _composed(flow: Tensor, shift: Tensor) -> Tensor:
    """The flow by which each pixel shows what a flow has so far at a shift (n, 2, h, w) from it."""
    return warped(flow, shift) + shift
