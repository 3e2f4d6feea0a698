"""What is taken from masks in use: a checkerboard, faint painting, cold colours, and strips.

In training none of it is: a generator that was trained with it learned to paint more, in patches.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..warp import resized
from .masks import Masks, blending_to, smoothed

_FAINT = 0.03
"""In half the range of pixels: 4 levels of 255."""
_COLD = 0.02
"""In half the range of pixels: how much greener or bluer than the face painting may be."""
_WHOLE, _STRIPS = 0.75, 0.45
"""Source rows per row of the result: from the first on a stretched part of a picture is left as it
is, and at the second all its strips are removed."""
_NEAR = 1 / 32
"""By how much a stretched part is widened, and then its edge smoothed, as a share of the face."""
_TALL, _WIDE = 1 / 32, 3 / 32
"""Strips are what is left of a mean over columns so tall after that over rows so wide is taken from
it, as shares of the face."""


def cleaned(masks: Masks, lids: Tensor) -> Masks:
    """Masks as they are used: all of the below, in full precision.

    lids: (n, 2, h/2, w/2), the flow that unfolds lids, in half sides.
    """
    with torch.autocast(lids.device.type, enabled=False):
        masks = without_cold_colours(without_faint_painting(without_checkerboard(masks)))
        # An exported network has no branches; a smile moves no lids, and needs no such work.
        if torch.compiler.is_compiling() or lids.any():
            masks = without_strips(masks, stretched(lids[:, 1:]))
        return masks


def without_checkerboard(masks: Masks) -> Masks:
    """Masks smoothed by a binomial 3x3 filter, for a generator of which the four pixels of a 2x2
    block come from different channels, and so differ in a regular pattern.

    Compare Sugawara et al. 2018, Super-resolution using convolutional neural networks without any
    checkerboard artifacts.
    """
    painted = smoothed(masks.colour - masks.face)
    shares = smoothed(1 - masks.attention)
    return masks._replace(attention=1 - shares, colour=masks.face + painted)


def without_faint_painting(masks: Masks) -> Masks:
    """Masks whose attention is 1 where painting would change little: a faint change of a whole face
    is not seen, and makes edits detectable.

    Of a change of root mean square s in 7x7 pixels a share of s^2 / (s^2 + _FAINT^2) is kept, as in
    the shrinkage of noise in wavelets.
    """
    shares = 1 - masks.attention
    change = (shares * (masks.colour - masks.face)).square().mean(1, keepdim=True)
    strength = F.avg_pool2d(change, 7, 1, 3, count_include_pad=False)
    return masks._replace(attention=1 - shares * strength / (strength + _FAINT**2))


def without_cold_colours(masks: Masks) -> Masks:
    """Masks by which nothing becomes greener or bluer, compared with red, than grey, or than the
    moved face is there.

    Skin, lips and gums reflect red most, and teeth and eyes all colours alike; but a network that
    has seen few teeth paints them greenish. Coloured light and irises are in the face already.
    """
    face = masks.blend()
    cold = (masks.face - masks.face[:, :1]).clamp(min=0)
    warm = face.minimum(face[:, :1] + cold + _COLD)
    return blending_to(warm, masks, masks.attention, warm < face)


def without_strips(masks: Masks, lid: Tensor) -> Masks:
    """Masks without the upright strips that are seen where lids unfold.

    Lashes below a brow that is raised and irises behind a lid that closes become long strips: in
    the moved face, and in what is painted over it. So where the face is stretched, what is constant
    from top to bottom loses its detail from left to right, and the photograph, moved at its full
    size, is blurred to the resolution of the masks.

    lid: (n, 1, h/2, w/2) in 0-1, how far the face is stretched. Strips are found at half the
    height.
    """
    face = masks.blend()
    lower = F.avg_pool2d(face, (2, 1))
    share = resized(lid, lower)
    columns = local_mean(lower, share, 1, _TALL)
    strips = columns - local_mean(columns, share, 0, _WIDE)
    removed = torch.cat([share, share * strips], 1)
    share, removed = resized(removed, face).split([1, 3], 1)
    # The moved face has no part where the strips were.
    attention = masks.attention * (1 - share)
    return blending_to(face - removed, masks, attention, share > 0).blurred(share)


def stretched(down: Tensor) -> Tensor:
    """(n, 1, h, w) in 0-1: where a flow (n, 1, h, w) down, in half sides, stretches a face."""
    share = ((_WHOLE - (1 + slope(down))) / (_WHOLE - _STRIPS)).clamp(0, 1)
    near = odd(_NEAR * down.shape[2])
    share = F.max_pool2d(share, near, 1, near // 2)
    return square_mean(share, near)


def slope(down: Tensor) -> Tensor:
    """(n, 1, h, w): by how many source rows more than 1 each row of the result lies further down,
    for a flow (n, 1, h, w) down, in half sides."""
    pixels = F.pad(down, (0, 0, 1, 1), "replicate") * (down.shape[2] / 2)
    return (pixels[:, :, 2:] - pixels[:, :, :-2]) / 2


def local_mean(values: Tensor, share: Tensor, axis: int, side: float) -> Tensor:
    """Means of values (n, channels, h, w) from left to right (axis 0) or top to bottom (1), over
    `side` of the face, each value counted by its share (n, 1, h, w)."""
    pixels = odd(side * share.shape[3 - axis])
    return _box(values * share, axis, pixels) / _box(share, axis, pixels).clamp(min=1e-4)


def highest(values: Tensor, rows: int) -> Tensor:
    """The highest of values (n, channels, h, w) in upright lines of `rows` pixels around each."""
    padded = F.pad(values, (0, 0, rows // 2, rows // 2), "replicate")
    return F.max_pool2d(padded, (rows, 1), 1)


def widened(share: Tensor, side: int) -> Tensor:
    """A share (n, 1, h, w), widened by half of an odd side in px, with smooth edges."""
    share = F.max_pool2d(share, side, 1, side // 2)
    return F.avg_pool2d(share, side, 1, side // 2, count_include_pad=False)


def square_mean(values: Tensor, side: int) -> Tensor:
    """Means of values (n, channels, h, w) over squares of an odd number of pixels."""
    return _box(_box(values, 0, side), 1, side)


def _box(values: Tensor, axis: int, pixels: int) -> Tensor:
    side = pixels // 2
    if axis == 0:
        return F.avg_pool2d(F.pad(values, (side, side, 0, 0), "replicate"), (1, pixels), 1)
    return F.avg_pool2d(F.pad(values, (0, 0, side, side), "replicate"), (pixels, 1), 1)


def odd(pixels: float) -> int:
    """The nearest odd number, 3 at least."""
    return max(2 * round((pixels - 1) / 2) + 1, 3)
