"""The flow fields of AUs as they are used, where pairs show an AU in company alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...pipeline.action_units import positions

_INNER, _OUTER = 1, 2
_LIPS_PART, _CORNERS, _CHIN = 25, 15, 17
_ALONG = 0.5
"""How much of the field of AU1 is added to that of AU2 where AU1 does not rise."""
_OPEN = 0.3
"""From which AU25 on a mouth counts as open wholly."""
_STRONGER = 0.6
"""By how much more closed mouths show AU15."""
_RAISED_CHIN = 0.7
"""How much of the field of AU17 is added to that of AU15 if the mouth is closed."""


def shown_fields(fields: Tensor, aus: Tensor, change: Tensor, known: Sequence[int]) -> Tensor:
    """The fields (n, at least len(known), 2, h, w) of the AUs `known`, for faces that are asked for
    AUs (n, 17) with a change (n, 17)."""
    if {_INNER, _OUTER} <= set(known):
        fields = _with_inner_brows(fields, change, known)
    if {_CORNERS, _CHIN} <= set(known):
        fields = _with_lowered_corners(fields, aus, change, known)
    return fields


def _with_inner_brows(fields: Tensor, change: Tensor, known: Sequence[int]) -> Tensor:
    """Fields of which that of AU2 raises the inner ends of brows, too, as far as AU1 rises less.

    People hardly raise the outer ends alone. By its own field AU2 tilts brows, and faces look
    angry.
    """
    inner, outer = (change[:, column].clamp(min=0) for column in positions((_INNER, _OUTER)))
    alone = (1 - inner / outer.clamp(min=1e-4)).clamp(0, 1) * (outer > 0)
    along = (_ALONG * alone)[:, None, None, None] * fields[:, known.index(_INNER)]
    return _replaced(fields, known.index(_OUTER), fields[:, known.index(_OUTER)] + along)


def _with_lowered_corners(
    fields: Tensor, aus: Tensor, change: Tensor, known: Sequence[int]
) -> Tensor:
    """Fields of which that of AU15 moves nothing up where AU15 rises: faces that weep raise the
    upper lip and lower the corners of the mouth, so it does both, and closed lips became an arch. A
    closed mouth that pulls its corners down raises the chin, too, as most do that pose it; so it
    may be stronger.
    """
    corners, chin = known.index(_CORNERS), known.index(_CHIN)
    lips_part, column = positions((_LIPS_PART, _CORNERS))
    field = fields[:, corners]
    # The flow points to where pixels are taken from, so below the place of what moves up.
    down = torch.cat([field[:, :1], field[:, 1:].clamp(max=0)], 1)
    closed = (1 - aus[:, lips_part] / _OPEN).clamp(0, 1)[:, None, None, None]
    shown = (1 + _STRONGER * closed) * down + _RAISED_CHIN * closed * fields[:, chin]
    rises = (change[:, column] > 0)[:, None, None, None]
    return _replaced(fields, corners, torch.where(rises, shown, field))


def _replaced(fields: Tensor, at: int, field: Tensor) -> Tensor:
    return torch.cat([fields[:, :at], field[:, None], fields[:, at + 1 :]], 1)
