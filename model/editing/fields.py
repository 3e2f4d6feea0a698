"""The flow fields of AUs as they are used, where pairs show an AU in company alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...pipeline.action_units import positions

_LIPS_PART, _CORNERS, _CHIN = 25, 15, 17
_OPEN = 0.3
"""From which AU25 on a mouth counts as open wholly."""
_STRONGER = 1.0
"""By how much more closed mouths show AU15."""
_RAISED_CHIN = 0.7
"""How much of the field of AU17 is added to that of AU15 if the mouth is closed."""


def shown_fields(fields: Tensor, aus: Tensor, change: Tensor, known: Sequence[int]) -> Tensor:
    """The fields (n, at least len(known), 2, h, w) of the AUs `known`, for faces that are asked for
    AUs (n, 17) with a change (n, 17).

    Where AU15 rises nothing is moved up: faces that weep raise the upper lip and lower the corners
    of the mouth, so the field of AU15 does both, and closed lips became an arch. A closed mouth
    that pulls its corners down raises the chin, too, as most do that pose it; so it may be
    stronger.
    """
    if not {_CORNERS, _CHIN} <= set(known):
        return fields
    corners, chin = known.index(_CORNERS), known.index(_CHIN)
    lips_part, column = positions((_LIPS_PART, _CORNERS))
    field = fields[:, corners]
    # The flow points to where pixels are taken from, so below the place of what moves up.
    down = torch.cat([field[:, :1], field[:, 1:].clamp(max=0)], 1)
    closed = (1 - aus[:, lips_part] / _OPEN).clamp(0, 1)[:, None, None, None]
    shown = (1 + _STRONGER * closed) * down + _RAISED_CHIN * closed * fields[:, chin]
    rises = (change[:, column] > 0)[:, None, None, None]
    shown = torch.where(rises, shown, field)
    return torch.cat([fields[:, :corners], shown[:, None], fields[:, corners + 1 :]], 1)
