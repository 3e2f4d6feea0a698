"""How large the changes of AUs are that a face shows in use; training shows them as they are."""

import torch
from torch import Tensor

from ...pipeline.action_units import COUNT, NUMBERS, positions

_SMILE, _CORNERS_DOWN, _LIPS_PART = (12, 25), 15, 25
_APART, _NOISE = 0.76, 0.07
"""Factor of the square root of AU25, and below which AU25 it is rather in proportion to it, as
OpenFace reads a little of it where lips touch."""
_TOUCHING, _SHOWN = 0.02, 4.2
"""Up to which distance in half sides lips touch; and how much of AU25 a photograph shows at most,
per distance beyond."""
_OPPOSED = 1.2  # how much of AU15 a smile with parted lips takes away, per unit of the smile
_KNEES: dict[tuple[int, ...], float] = {
    **{(number,): 1.0 for number in (6, 9)},
    **{(number,): 1.1 for number in (10, 12, 14, 20)},
    (5,): 0.7,
    (15,): 0.45,
    (17,): 1.3,
    (1, 2): 1.3,
    (6, 12): 1.6,
    (25, 26): 1.15,
}
"""From which rise of an AU, or sum of rises of two that pull one part in one direction, it grows
more slowly: those of cheeks, nose, lips and chin; upper lids; brows; corners of the mouth with
cheeks; jaw."""
_BEYOND = 0.35  # as what a change by 1 beyond the knee counts
_UNGAINED = (12,)  # AUs whose falls have no gain
_WITH_LIDS, _BROWS, _LIDS, _KNIT = 0.35, (1, 2), 5, 4
"""How much brows are raised where upper lids are, and AU4 does not draw them down."""


def shown_change(aus: Tensor, own_aus: Tensor, gain: Tensor) -> Tensor:
    """(n, 17): the change by which faces with AUs `own_aus` (n, 17) are moved that are asked for
    `aus` (n, 17): times the gains (17,), AU25 by its root, less of AU15 in a smile, and less of
    what is large.

    A smile that goes has no gain: taken away by more than it was, it left too narrow a mouth.
    """
    change = opened(aus) - opened(own_aus)
    ungained = torch.tensor([number in _UNGAINED for number in NUMBERS], device=change.device)
    falling = torch.where(ungained, 1.0, gain)
    change = change * torch.where(change > 0, gain, falling)
    change = _with_raised_brows(change, aus - own_aus)
    return _compressed(_without_opposed(change, aus))


def opened(aus: Tensor) -> Tensor:
    """AUs (n, 17), of which AU25 is as the lips are apart.

    Where OpenFace reads AU25, lips are apart by 0.24 times its square root, in half sides (median
    of series of one person), and by the flow in proportion to its change.
    """
    column = positions((_LIPS_PART,))[0]
    lips = aus[:, column]
    return _with_lips(aus, _APART * lips / (lips + _NOISE).sqrt())


def as_lips_show(aus: Tensor, own_aus: Tensor, apart: Tensor) -> tuple[Tensor, Tensor]:
    """Target AUs and own AUs (n, 17), of which own AU25 is at most what lips show that are `apart`
    (n,) by so many half sides, and targets above it are higher than it as before, relative to 1.

    OpenFace reads up to 0.25 of AU25 where lips touch, and they would then part less than others.
    """
    column = positions((_LIPS_PART,))[0]
    asked, own = aus[:, column], own_aus[:, column]
    seen = own.minimum((_SHOWN * (apart - _TOUCHING)).clamp(min=0))
    rise = (asked - own).clamp(min=0) * (1 - seen) / (1 - own).clamp(min=1e-3)
    wanted = torch.where(asked > own, seen + rise, asked)
    seen = torch.where(asked > own, seen, own)
    return _with_lips(aus, wanted), _with_lips(own_aus, seen)


def _with_lips(aus: Tensor, apart: Tensor) -> Tensor:
    """AUs (n, 17) with another AU25 (n,)."""
    column = positions((_LIPS_PART,))[0]
    return torch.cat([aus[:, :column], apart[:, None], aus[:, column + 1 :]], 1)


def _with_raised_brows(change: Tensor, asked: Tensor) -> Tensor:
    """Changes (n, 17) of which those of AU1 and AU2 are larger where AU5 rises, in the changes that
    are asked for (n, 17).

    People who open their eyes wide raise their brows, by 0.06 half sides where OpenFace reads 0.44
    of AU5 and nothing of AU1 (13 pairs of one person).
    """
    lids, knit = (asked[:, positions((number,))] for number in (_LIDS, _KNIT))
    along = change.new_zeros(COUNT)
    along[positions(_BROWS)] = _WITH_LIDS
    return change + (lids.clamp(min=0) - knit.clamp(min=0)).clamp(min=0) * along


def _without_opposed(change: Tensor, aus: Tensor) -> Tensor:
    """Changes (n, 17) for target AUs (n, 17), with less of AU15 in a smile with parted lips.

    AU12 and AU15 pull the corners of the mouth in opposite directions. No pair shows both with
    teeth, so the sum of their fields lifts the middle of the upper lip and stretches the teeth.
    """
    smile = aus[:, positions(_SMILE)].amin(1).clamp(min=0)
    column = positions((_CORNERS_DOWN,))[0]
    corners = change[:, column]
    left = torch.where(corners > 0, corners * (1 - _OPPOSED * smile).clamp(min=0), corners)
    return torch.cat([change[:, :column], left[:, None], change[:, column + 1 :]], 1)


def _compressed(change: Tensor) -> Tensor:
    """Changes (n, 17), of which large rises of the AUs that pull the face grow more slowly.

    With gains a change is two to six times as large as those of 99% of pairs. So large a flow
    stretches closed lips to arcs, swells cheeks, turns irises pale, smears what is above the brows,
    and tears mouths.
    """
    for numbers, knee in _KNEES.items():
        pulling = change.new_zeros(COUNT)
        pulling[positions(numbers)] = 1
        rises = change.clamp(min=0) * pulling
        total = rises.sum(1, keepdim=True).clamp(min=knee)
        change = change - rises * (1 - _BEYOND) * (1 - knee / total)
    return change
