"""Edits in two steps: a mouth that shows its teeth is closed before it is opened differently.

Teeth that are shown are moved with the lips, and become strips. So where a mouth is asked to be
open without a smile or with a dropped jaw, the first step takes away the smile and closes the
mouth, and the second makes of this face what is asked for. Both are one change in the end.
"""

from collections.abc import Callable

import numpy as np

from ...pipeline.action_units import positions
from ...pipeline.faces.chain import applied, chained
from .renderer import Edits, Renderer

_SMILE, _LIPS, _JAW = 12, 25, 26
_LOWER = (6, 9, 10, 12, 14, 15, 17, 20, 23)
_GONE, _OPEN = 0.2, 0.2
"""By how much AU12 falls, and AU25 or AU26 is asked for, where the mouth is closed wholly."""
_TEETH, _LITTLE, _DROP = 0.3, 0.1, 0.3
"""Or how much of AU25 the face shows, and by how much AU26 rises: up to the second number nothing
is closed, and from the third on all."""


def edits_of_faces(
    renderer: Renderer, faces: np.ndarray, aus: np.ndarray, own_aus: np.ndarray
) -> Edits:
    """`Renderer.render` in two steps where that is better."""
    if renderer.reference is None:  # It paints in place.
        return renderer.render(faces, aus, own_aus)
    between = closed(aus, own_aus)
    first = renderer.render(faces, between, own_aus)
    return _with_second_step(renderer, faces, aus, between, first)


def edits_of_still(
    renderer: Renderer, face: np.ndarray, own_aus: np.ndarray
) -> Callable[[np.ndarray], Edits]:
    """`Renderer.still` in two steps where that is better."""
    still = renderer.still(face, own_aus)
    if renderer.reference is None:
        return still

    def render(aus: np.ndarray) -> Edits:
        between = closed(aus, own_aus[None])
        faces = np.broadcast_to(face, (len(aus), *face.shape))
        return _with_second_step(renderer, faces, aus, between, still(between))

    return render


def _with_second_step(
    renderer: Renderer,
    faces: np.ndarray,
    aus: np.ndarray,
    between: np.ndarray,
    first: Edits,
) -> Edits:
    """What is made of n faces that are asked for AUs (n, 17), after a first step that gave them the
    AUs `between` (n, 17)."""
    left = np.flatnonzero((aus.astype(np.float32) != between).any(1))
    if not len(left):
        return first
    shut = np.stack([applied(faces[at], first.changes[at]) for at in left])
    second = renderer.render(shut, aus[left], between[left])
    changes, attention = list(first.changes), first.attention.copy()
    for at, change, kept in zip(left, second.changes, second.attention, strict=True):
        changes[at] = chained(faces[at], changes[at], change)
        attention[at] *= kept
    return Edits(changes, attention)


def closed(aus: np.ndarray, own_aus: np.ndarray) -> np.ndarray:
    """The AUs (n, 17) of the first step for faces that show `own_aus` (n or 1, 17): those that are
    asked for, `aus` (n, 17), where one step is made; otherwise the face's own with less of what
    makes the smile, and a closed mouth.

    Where a smile goes only in part, or a jaw drops only a little, the mouth is closed in part, so
    that an animation has no jump.
    """
    change = aus - own_aus
    smile, lips, jaw = positions((_SMILE, _LIPS, _JAW))
    gone = (-change[:, smile] / _GONE).clip(0, 1)
    opened = (aus[:, [lips, jaw]].max(1) / _OPEN).clip(0, 1)
    teeth = (own_aus[:, lips] / _TEETH).clip(0, 1)
    dropped = ((change[:, jaw] - _LITTLE) / (_DROP - _LITTLE)).clip(0, 1)
    share = np.maximum(gone * opened, teeth * dropped)[:, None]

    between = np.broadcast_to(own_aus, aus.shape).astype(np.float32)
    lower = positions(_LOWER)
    between[:, lower] += share * change[:, lower].clip(max=0)
    between[:, [lips, jaw]] *= 1 - share
    return np.where(share > 0, between, aus).astype(np.float32)
