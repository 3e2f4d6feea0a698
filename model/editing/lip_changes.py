"""What a change of AUs does to the lips of a face."""

from typing import NamedTuple

from torch import Tensor

from ...pipeline.action_units import positions

_SMILE, _LIPS_PART, _JAW = positions((12, 25, 26))
_CHIN, _TIGHT = positions((17, 23))
_PULLING = positions((9, 10, 12, 14, 15, 17, 20, 23))
_PRESSED = 0.6
"""Which part of the gap of lips that show teeth is closed by AU17 or AU23."""
_SLIGHT = 0.1
"""How much an AU rises that opens or presses the mouth, or which share of AU25 falls, where lips
are wholly moved as they are."""
_TEETH = 0.15
"""How much of AU25 a photograph shows, where what is seen between its lips is wholly taken for
teeth: noise is found between lips that touch. Smaller ones are closed as if they were so large."""
_STILL = 0.05
"""How much any AU changes where the lips of a mouth that shows its teeth are moved as they are."""


class LipChanges(NamedTuple):
    """For n faces, each (n,) in 0-1, if nothing else is said."""

    teeth: Tensor
    """How far the photographs show teeth."""
    closed: Tensor
    """Which share of the gap between the lips is closed."""
    jaw: Tensor
    """How far the jaw drops, as a share of what AU26 shows."""
    smile: Tensor
    """In -1..1: how far the middle of the mouth goes up, as a share of what AU12 shows."""
    tight: Tensor
    """How much thinner lips are, as a share of what AU23 shows."""
    moved: Tensor
    """How far lips are moved as they are, and not as the flow moves the face."""


def lip_changes(own_aus: Tensor, aus: Tensor) -> LipChanges:
    """What faces with AUs `own_aus` (n, 17) need that are asked for `aus` (n, 17)."""
    change = aus - own_aus
    own, parting = own_aus[:, _LIPS_PART], change[:, _LIPS_PART]
    teeth = (own / _TEETH).clamp(0, 1)
    closed = (-parting / own.clamp(min=_TEETH)).clamp(0, 1)

    # Lips that touch stay so, whatever pulls them, unless they are asked to part. A chin that rises
    # and lips that tighten close a part of a gap that shows teeth.
    opening = (change[:, [_LIPS_PART, _JAW]].amax(1) / _SLIGHT).clamp(0, 1)
    pulled = (change[:, _PULLING].amax(1) / _SLIGHT).clamp(0, 1)
    pressed = change[:, [_CHIN, _TIGHT]].amax(1).clamp(0, 1)
    together = (1 - teeth) * pulled + teeth * _PRESSED * pressed
    closed = closed.maximum(together * (1 - opening))

    active = opening.maximum(closed / _SLIGHT).maximum(pulled)
    moved = active.maximum(teeth * change.abs().amax(1) / _STILL)
    jaw, tight = (change[:, column].clamp(0, 1) for column in (_JAW, _TIGHT))
    smile = change[:, _SMILE].clamp(-1, 1)
    return LipChanges(teeth, closed, jaw, smile, tight, moved.clamp(0, 1))
