"""What is taken from faces of which a smile goes, in use: the folds of the cheeks."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...pipeline.action_units import positions
from ..warp import resized
from .cheeks import cheeks_of, ellipse, lips_of_frame
from .cleaning import local_mean, odd, widened
from .masks import Masks
from .skin import brightness, in_skin_colours, skin_share

_SMILE = positions((12,))
_GONE = 0.2
"""By how much AU12 falls where all that a smile leaves is removed."""
_LITTLE, _MUCH = 0.12, 0.4
"""Shares of paint: up to the first nothing is taken, and from the second on all."""
_NEAR = 1 / 24
"""By how much what is painted is widened, and then its edge smoothed, as a share of the face."""
_FOLD = 1 / 18
"""Folds are less wide than this share of the face."""
_FAINT, _CLEAR = 0.06, 0.16
"""By how much folds differ from what is around, in half the range of pixels: what differs by less
than the first is texture of the skin and stays in a larger photograph."""
_DARK_LINES = 1 / 15
"""What is darker than skin and less wide than this share of the face is a fold of skin."""
_NOSE = (0.0, 0.17), (0.32, 0.28)
"""Centre and half axes of the ellipse, in half sides of the frame."""


def without_smile(masks: Masks, change: Tensor, free: Tensor) -> Masks:
    """Masks as they are used: `without_folds` in full precision where a smile goes.

    change: (n, 17), by which faces are moved. free: (n, 1, h/2, w/2) in 0-1, the share that nothing
    covers.
    """
    gone = (-change[:, _SMILE] / _GONE).clamp(0, 1)[:, :, None, None]
    # An exported network has no branches.
    if not (torch.compiler.is_compiling() or gone.any()):
        return masks
    with torch.autocast(change.device.type, enabled=False):
        return without_folds(masks, gone * resized(free, masks.face))


def without_folds(masks: Masks, gone: Tensor) -> Masks:
    """Masks without the folds of a smile in the cheeks and at the corners of the mouth.

    The generator paints the light and the shade of a fold the other way round, in the mean colour
    of many cheeks and not quite in its place, so that a double line is left. What is painted there
    and lines of the photograph are smoothed, and get the colours of the skin around.

    gone: (n, 1, h, w) in 0-1, how far the smile goes.
    """
    face = masks.blend()
    painted = ((1 - masks.attention - _LITTLE) / (_MUCH - _LITTLE)).clamp(0, 1)
    lips = lips_of_frame(face)
    skin = _closed(skin_share(masks.face), odd(_DARK_LINES * face.shape[2]))
    where = cheeks_of(face) * (1 - lips) * (1 - ellipse(face, *_NOSE)) * skin * gone
    lines = _lines(masks.face)
    wide = odd(_NEAR * face.shape[2])
    share = widened(painted.maximum(lines), wide) * where
    smooth = local_mean(local_mean(face, share, 0, _FOLD), share, 1, _FOLD)
    smooth = in_skin_colours(smooth, masks.face, share.maximum(lips))
    sharp = share * widened(lines, wide)
    return masks.towards(smooth, share, blur=False).blurred(sharp)


def _closed(share: Tensor, side: int) -> Tensor:
    """A share (n, 1, h, w) whose gaps are filled that are less wide than an odd side in px."""
    for sign in (1, -1):
        share = sign * F.max_pool2d(sign * share, side, 1, side // 2)
    return share


def _lines(faces: Tensor) -> Tensor:
    """(n, 1, h, w) in 0-1: where there are lines in faces (n, 3, h, w) in -1..1, such as folds."""
    light = brightness(faces)
    everywhere = torch.ones_like(light)
    mean = local_mean(local_mean(light, everywhere, 0, _FOLD), everywhere, 1, _FOLD)
    return (((mean - light).abs() - _FAINT) / (_CLEAR - _FAINT)).clamp(0, 1)
