"""Folds of the cheeks, as the generator paints them."""

from torch import Tensor

from ...pipeline.action_units import positions
from ..warp import coordinates
from .masks import Masks

_FOLDING = positions((6, 9, 10, 12, 14, 15, 17))
"""Columns of the AUs that fold cheeks."""
_SHARES, _ROWS = (0.2, 0.6), (0.0, 0.35)
"""Which shares of what is painted are left below the eyes, and beside the mouth, and the rows from
which on and up to which they are so. So many times it is, in pairs of one person, the best linear
prediction of what photographs show there, relative to faces that are moved."""
_LIPS = (0.0, 0.62), (0.30, 0.21)
"""Centre and half axes of the ellipse, in half sides of the frame."""
_FADE = 0.25
"""Share of its axes over which an ellipse fades out."""
_TOP, _BOTTOM, _SIDE, _EDGE = -0.1, 0.85, 0.70, 0.1
"""Between these rows and these sides cheeks lie, and over which width they fade out, likewise."""


def with_fainter_cheeks(masks: Masks, change: Tensor) -> Masks:
    """Masks that paint less of the cheeks, and of what is beside nose and mouth, where AUs rise.

    Then it is painted where folds may come to lie. A critic of single pictures, and the reading of
    AUs, had made it dark and wide; folds of people are faint or narrow. Folds that vanish lie where
    the photograph shows them, and of what is painted over them 0.8 times is the best prediction.

    change: (n, 17), by which faces are moved.
    """
    rise, fall = (each.clamp(min=0).amax(1) for each in (change[:, _FOLDING], -change[:, _FOLDING]))
    appearing = (rise / (rise + fall).clamp(min=1e-4))[:, None, None, None]
    (upper, lower), (top, bottom) = _SHARES, _ROWS
    y = coordinates(masks.face[:1])[:, 1:]
    share = upper + (lower - upper) * ((y - top) / (bottom - top)).clamp(0, 1)
    where = cheeks_of(masks.face) * (1 - lips_of_frame(masks.face))
    return masks.without_paint((1 - share) * where * appearing)


def cheeks_of(faces: Tensor) -> Tensor:
    """(1, 1, h, w): 1 where cheeks, nose, mouth and chin lie in the frame of faces, fading out to 0
    around them."""
    x, y = coordinates(faces[:1]).split(1, 1)
    rows = (((y - _TOP) / _EDGE + 0.5).clamp(0, 1)) * (((_BOTTOM - y) / _EDGE + 0.5).clamp(0, 1))
    return rows * ((_SIDE - x.abs()) / _EDGE + 0.5).clamp(0, 1)


def lips_of_frame(faces: Tensor) -> Tensor:
    """(1, 1, h, w): likewise, 1 where lips lie."""
    return ellipse(faces, *_LIPS)


def ellipse(faces: Tensor, centre: tuple[float, float], axes: tuple[float, float]) -> Tensor:
    """(1, 1, h, w): 1 in an ellipse in the frame of faces, fading out to 0 around it."""
    x, y = coordinates(faces[:1]).split(1, 1)
    distance = (((x - centre[0]) / axes[0]).square() + ((y - centre[1]) / axes[1]).square()).sqrt()
    return ((1 + _FADE - distance) / _FADE).clamp(0, 1)
