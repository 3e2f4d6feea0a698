"""The flow fields of AUs as they are used, where pairs show an AU in company alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...pipeline.action_units import positions
from .columns import centres

_INNER, _OUTER = 1, 2
_CHEEKS, _LIDS = 6, 7
_LIPS_PART, _CORNERS, _CHIN = 25, 15, 17
_ALONG = 0.5
"""How much of the field of AU1 is added to that of AU2 where AU1 does not rise."""
_NARROW = 0.9
"""How much of the field of AU7 is added to that of AU6 where AU7 does not rise."""
_ACROSS = {10: 0.4, 12: 0.92, 14: 0.75, 15: 0.3, 17: 0.5, 20: 0.7, 25: 0.45, 26: 1.6}
"""How much of the horizontal part of fields is used: with it mouths become as much wider and, where
jaws drop, narrower as those of photographs of the same people that show these AUs."""
_LIFTING = {6: 0.5, 9: 0.6, 10: 0.6, 14: 0.5, 17: 0.75, 20: 0.65}
"""How much of the vertical part is used at the mouth, likewise: cheeks and noses that rise hardly
lift it."""
_NOSE, _MOUTH = 0.3, 0.5
"""Rows, in half sides, from which on and up to which it becomes so."""
_OPEN = 0.3
"""From which AU25 on a mouth counts as open wholly."""
_STRONGER = 0.6
"""By how much more closed mouths show AU15."""
_RAISED_CHIN = 0.2
"""How much of the field of AU17 is added to that of AU15 if the mouth is closed."""


def shown_fields(fields: Tensor, aus: Tensor, change: Tensor, known: Sequence[int]) -> Tensor:
    """The fields (n, at least len(known), 2, h, w) of the AUs `known`, for faces that are asked for
    AUs (n, 17) with a change (n, 17)."""
    fields = fields * _shares(fields, known)
    if {_INNER, _OUTER} <= set(known):
        fields = _with_inner_brows(fields, change, known)
    if {_CHEEKS, _LIDS} <= set(known):
        fields = _with_narrowed_eyes(fields, change, known)
    if {_CORNERS, _CHIN} <= set(known):
        fields = _with_lowered_corners(fields, aus, change, known)
    return fields


def _shares(fields: Tensor, known: Sequence[int]) -> Tensor:
    """(at least len(known), 2, h, 1): how much of both parts of each field is used."""
    others = [1.0] * (fields.shape[1] - len(known))
    across, lifting = (
        fields.new_tensor([shares.get(number, 1.0) for number in known] + others)[:, None]
        for shares in (_ACROSS, _LIFTING)
    )
    y = centres(fields.shape[3], fields)
    down = 1 - (1 - lifting) * ((y - _NOSE) / (_MOUTH - _NOSE)).clamp(0, 1)
    return torch.stack([across.expand_as(down), down], 1)[..., None]


def _with_inner_brows(fields: Tensor, change: Tensor, known: Sequence[int]) -> Tensor:
    """Fields of which that of AU2 raises the inner ends of brows, too, as far as AU1 rises less.

    People hardly raise the outer ends alone. By its own field AU2 tilts brows, and faces look
    angry.
    """
    along = _ALONG * _alone(change, _OUTER, _INNER) * fields[:, known.index(_INNER)]
    return _replaced(fields, known.index(_OUTER), fields[:, known.index(_OUTER)] + along)


def _with_narrowed_eyes(fields: Tensor, change: Tensor, known: Sequence[int]) -> Tensor:
    """Fields of which that of AU6 narrows the eyes, too, as far as AU7 rises less.

    Cheeks that rise push the lower lids up, and OpenFace reads that as AU7: photographs with AU6
    from 0.4 to 0.65 have 0.4 of it. So the field of AU6 was left with hardly any of it, and who
    smiled by AU6 and AU12 kept eyes as open as before, which looks false.
    """
    along = _NARROW * _alone(change, _CHEEKS, _LIDS) * fields[:, known.index(_LIDS)]
    return _replaced(fields, known.index(_CHEEKS), fields[:, known.index(_CHEEKS)] + along)


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


def _alone(change: Tensor, au: int, company: int) -> Tensor:
    """(n, 1, 1, 1) in 0-1: which share of the rise of an AU another one does not have."""
    rises, other = (change[:, column].clamp(min=0) for column in positions((au, company)))
    alone = (1 - other / rises.clamp(min=1e-4)).clamp(0, 1) * (rises > 0)
    return alone[:, None, None, None]


def _replaced(fields: Tensor, at: int, field: Tensor) -> Tensor:
    return torch.cat([fields[:, :at], field[:, None], fields[:, at + 1 :]], 1)
