"""Lines of the skin: those that a face has become deeper where its skin is folded along them.

Foreheads of people who raise their brows, the corners of eyes that laugh, and cheeks beside a nose
that wrinkles or a mouth that smiles have folds where they have lines at rest; a flow moves these
lines and does not deepen them. So a line of the photograph is the more darkened the more the AUs
rise that fold it. Smooth skin stays smooth, and nothing is drawn where there is nothing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...pipeline.action_units import positions
from ..warp import coordinates, resized
from .brows import Brows
from .cheeks import cheeks_of, ellipse
from .cleaning import odd, square_mean, widened
from .furrows import below_hair
from .lip_columns import lip_columns
from .lips import Lips
from .masks import Masks
from .shade import border_of, with_shade, within_limits
from .skin import brightness, skin_share

_RAISED, _LAUGHING, _WRINKLED, _KNIT = (
    positions(numbers) for numbers in ((1, 2), (6, 12), (9, 10, 12), (4,))
)
_FOREHEAD, _CORNERS, _CHEEKS, _BETWEEN = 2.0, 1.0, 1.5, 0.6
"""How many times as strong lines of the forehead, at the corners of the eyes, of the cheeks, and
between the brows are added to themselves where an AU rises by 1."""
_DARKEST, _LIGHTEST = 0.3, 0.06
"""Largest logarithms of the factors by which skin becomes darker and lighter."""
_BLACK = 0.1
"""Is added to the brightness, of which white is 2, before its logarithm is taken."""
_LENGTH, _AROUND = 1 / 12, 1 / 10
"""Lines are means over the first of these shares of the face; darker than what is around, which is
the mean over squares of the second."""
_SLOPE = 0.6
"""How far folds beside a mouth run outwards, per unit downwards."""
_FAINT = 0.02
"""Smaller ratios are no lines of foreheads, but light that falls on what is round."""
_UNSURE = 0.4
"""Up to which share of skin it counts as none."""
_MARGIN = 5
"""Skin within half of so many px of brows, eyes, lips and hair has no lines."""
_BROWS, _TOP, _BOTTOM = -0.3, -0.45, 0.05
"""In half sides: foreheads end at the first, and the corners of the eyes lie between the others."""
_BESIDE, _MIDDLE = 0.5, 0.2
"""And so far from the middle; and so near to it what is between the brows."""
_UNDER_EYES = 0.05
"""Where cheeks begin, likewise."""
_NOSE = (0.0, 0.17), (0.2, 0.25)
"""Centre and half axes of the ellipse of the nose, likewise."""
_EDGE = 0.1
"""Over how much all of them begin and end, likewise."""


def with_deeper_lines(
    masks: Masks, brows: Brows, lips: Lips, uncovered: Tensor, rise: Tensor
) -> Masks:
    """Masks whose results have deeper lines where AUs rise.

    brows, lips: of the photographs. uncovered: (n, 1, h/2, w/2) in 0-1, the share that nothing
    covers. rise: (n, 17), by how much AUs rise; falls count as none.
    """
    groups = _RAISED, _LAUGHING, _WRINKLED, _KNIT
    folding = [rise[:, group].amax(1).clamp(0, 1) for group in groups]
    # An exported network has no branches.
    if not (torch.compiler.is_compiling() or any(each.any() for each in folding)):
        return masks
    with torch.autocast(rise.device.type, enabled=False):
        return with_shade(masks, _factors(masks, brows, lips, uncovered, folding))


def _factors(
    masks: Masks, brows: Brows, lips: Lips, uncovered: Tensor, folding: list[Tensor]
) -> Tensor:
    """(n, 1, h, w): logarithms of the factors by which results become lighter.

    folding: how far foreheads, the corners of the eyes, cheeks, and what is between the brows are
    folded, (n,) in 0-1 each. The others: as in `with_deeper_lines`.
    """
    assert masks.flow is not None
    face = masks.blend()
    skin = _skin(masks.flow, brows, lips) * resized(uncovered, face)
    skin = skin * skin_share(face) * border_of(face)
    level, upright, to_left, to_right = _lines(face, skin).split(1, 1)
    x, y = coordinates(face[:1]).split(1, 1)
    raised, laughing, wrinkled, knit = (each[:, None, None, None] for each in folding)

    forehead = _FOREHEAD * raised * _before(_BROWS - y)
    corners = _CORNERS * laughing * _before(x.abs() - _BESIDE)
    corners = corners * _before(y - _TOP) * _before(_BOTTOM - y)
    cheeks = _CHEEKS * wrinkled * cheeks_of(face) * _before(y - _UNDER_EYES)
    cheeks = cheeks * (1 - ellipse(face, *_NOSE))
    between = _BETWEEN * knit * _before(_MIDDLE - x.abs()) * _before(_BOTTOM - y)
    lines = (forehead * _strong(level) + corners * level) + between * upright
    lines = lines + cheeks * torch.where(x < 0, to_left, to_right)
    lines = lines * (1 - widened(1 - skin, _MARGIN))
    return within_limits(lines, _DARKEST, _LIGHTEST)


def _strong(lines: Tensor) -> Tensor:
    """Logarithms of lines, without faint ones."""
    return lines.sign() * (lines.abs() - _FAINT).clamp(min=0)


def _skin(flow: Tensor, brows: Brows, lips: Lips) -> Tensor:
    """(n, 1, h, w) in 0-1: faces that a flow (n, 2, h, w) has moved, without brows, eyes, hair and
    lips."""
    # Furrows begin within brows, and lines do not: a brow is dark by itself.
    skin = ((below_hair(flow, brows) - _UNSURE) / (1 - _UNSURE)).clamp(min=0)
    return (skin * lip_columns(flow, lips).outside)[:, None]


def _lines(faces: Tensor, skin: Tensor) -> Tensor:
    """(n, 4, h, w): logarithms of how much lighter lines in the skin (n, 1, h, w) of faces
    (n, 3, h, w) are than what is around: level and upright ones, and those that run downwards to
    the left and to the right."""
    light = (brightness(faces + 1) + _BLACK).log()
    weight = skin + 1e-3
    side, around = odd(_LENGTH * faces.shape[3]), odd(_AROUND * faces.shape[3])
    slanted = _slanted(side, faces)

    def along(values: Tensor) -> Tensor:
        half = side // 2
        level = F.avg_pool2d(values, (1, side), 1, (0, half))
        upright = F.avg_pool2d(values, (side, 1), 1, (half, 0))
        others = F.conv2d(values, slanted, padding=(half, slanted.shape[3] // 2))
        return torch.cat([level, upright, others], 1)

    lines = along(light * weight) / along(weight)
    return lines - square_mean(light * weight, around) / square_mean(weight, around)


def _slanted(side: int, like: Tensor) -> Tensor:
    """(2, 1, side, some columns): means over lines that are `side` px high."""
    wide = round(_SLOPE * (side // 2)) + 1
    y, x = (
        torch.arange(-half, half + 1, dtype=like.dtype, device=like.device)
        for half in (side // 2, wide)
    )
    across = torch.stack([x + _SLOPE * y[:, None], x - _SLOPE * y[:, None]])
    kernels = (1 - across.abs()).clamp(min=0)[:, None]
    return kernels / kernels.sum((2, 3), keepdim=True)


def _before(distance: Tensor) -> Tensor:
    """0-1: 0 up to a distance of 0 from an edge, in half sides, and 1 beyond it."""
    return (distance / _EDGE).clamp(0, 1)
