"""What is taken from faces of which a smile goes, in use: folds of the cheeks, and teeth."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..warp import resized
from .cleaning import local_mean, odd, slope
from .masks import Masks
from .skin import in_skin_colours

_LITTLE, _MUCH = 0.12, 0.4
"""Shares of paint: up to the first nothing is taken, and from the second on all."""
_NEAR = 1 / 24
"""By how much what is painted is widened, and then its edge smoothed, as a share of the face."""
_FOLD = 1 / 18
"""Folds are less wide than this share of the face."""
_TOOTH = 1 / 22
"""As are teeth."""
_SLIGHT, _PRESSED = 0.2, 0.45
"""By how many source rows more than one for each row teeth are pressed together: up to the first
nothing is taken, and from the second on all."""
_CLOSED, _SHUT = 0.5, 0.9
"""The same, for the line between the lips."""
_LINE = 0.12
"""By how much this line is darker than the lips."""
_LIPS = (0.0, 0.62), (0.30, 0.21)
"""Centre and half axes of the ellipse, in half sides of the frame; likewise the nose."""
_NOSE = (0.0, 0.17), (0.32, 0.28)
_FADE = 0.25
"""Share of its axes over which an ellipse fades out."""
_TOP, _BOTTOM, _SIDE, _EDGE = -0.1, 0.85, 0.70, 0.1
"""Between these rows and these sides cheeks lie, and over which width they fade out, likewise."""


def without_smile(masks: Masks, gone: Tensor, closed: Tensor) -> Masks:
    """Masks as they are used: all of the below, in full precision.

    gone: (n, 1) in 0-1, how far the smile of each face goes.
    """
    # An exported network has no branches.
    if not (torch.compiler.is_compiling() or closed.any()):
        return masks
    with torch.autocast(gone.device.type, enabled=False):
        gone, closed = gone[:, :, None, None], closed[:, :, None, None]
        return without_teeth(without_folds(masks, gone), closed)


def without_folds(masks: Masks, gone: Tensor) -> Masks:
    """Masks without the folds of a smile in the cheeks and at the corners of the mouth.

    The generator paints the light and the shade of a fold the other way round, in the mean colour
    of many cheeks and not quite in its place, so that a double line is left. What is painted there
    is smoothed, gets the colours of the skin around, and hides the photograph's detail.

    gone: (n, 1, 1, 1) in 0-1.
    """
    face = masks.blend()
    painted = ((1 - masks.attention - _LITTLE) / (_MUCH - _LITTLE)).clamp(0, 1)
    lips = _ellipse(face, *_LIPS)
    cheeks = _cheeks(face) * (1 - lips) * (1 - _ellipse(face, *_NOSE))
    share = _widened(painted, odd(_NEAR * face.shape[2])) * cheeks * gone
    smooth = local_mean(local_mean(face, share, 0, _FOLD), share, 1, _FOLD)
    return masks.towards(in_skin_colours(smooth, masks.face, share.maximum(lips)), share)


def without_teeth(masks: Masks, gone: Tensor) -> Masks:
    """Masks without the teeth that lips leave between them which come together: a bright line with
    gaps. What is pressed loses its detail from left to right, and its middle becomes the dark line
    between lips that touch.

    gone: (n, 1, 1, 1) in 0-1.
    """
    assert masks.flow is not None
    face = masks.blend()
    pressed = slope(F.avg_pool2d(masks.flow[:, 1:], 2))
    share = ((pressed - _SLIGHT) / (_PRESSED - _SLIGHT)).clamp(0, 1)
    share = resized(_widened(share, 3), face) * _ellipse(face, *_LIPS) * gone
    line = resized(((pressed - _CLOSED) / (_SHUT - _CLOSED)).clamp(0, 1), face)
    lips = local_mean(face, share, 0, _TOOTH)
    return masks.towards(lips - _LINE * line * (lips + 1), share)


def _widened(share: Tensor, side: int) -> Tensor:
    """A share (n, 1, h, w), widened by half of a side in px, with smooth edges."""
    share = F.max_pool2d(share, side, 1, side // 2)
    return F.avg_pool2d(share, side, 1, side // 2, count_include_pad=False)


def _places(faces: Tensor) -> tuple[Tensor, Tensor]:
    """x (1, 1, 1, w) and y (1, 1, h, 1) of the pixels of faces, in half sides from the middle."""
    height, width = faces.shape[2:]
    x, y = (
        (2 * torch.arange(count, device=faces.device, dtype=faces.dtype) + 1) / count - 1
        for count in (width, height)
    )
    return x[None, None, None], y[None, None, :, None]


def _ellipse(faces: Tensor, centre: tuple[float, float], axes: tuple[float, float]) -> Tensor:
    """(1, 1, h, w): 1 in an ellipse in the frame of faces, fading out to 0 around it."""
    x, y = _places(faces)
    distance = (((x - centre[0]) / axes[0]).square() + ((y - centre[1]) / axes[1]).square()).sqrt()
    return ((1 + _FADE - distance) / _FADE).clamp(0, 1)


def _cheeks(faces: Tensor) -> Tensor:
    """(1, 1, h, w): 1 where cheeks, nose, mouth and chin lie, fading out to 0 around them."""
    x, y = _places(faces)
    rows = (((y - _TOP) / _EDGE + 0.5).clamp(0, 1)) * (((_BOTTOM - y) / _EDGE + 0.5).clamp(0, 1))
    return rows * ((_SIDE - x.abs()) / _EDGE + 0.5).clamp(0, 1)
