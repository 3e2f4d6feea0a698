"""What lies above the brows: foreheads change less from row to row, and hair does not."""

from torch import Tensor

from .brows import Brows, brow_line
from .columns import centres, eased, smooth
from .masks import Masks

_WHOLE, _STILL = 0.05, 0.4
"""How far above the brows, in half sides, a face is moved as the flow says, and from where on it is
not moved."""
_SMOOTH = 0.06
"""Over which share of the face the line from which it is measured is smoothed."""


def with_still_hair(masks: Masks, faces: Tensor, brows: Brows, share: Tensor) -> Masks:
    """Masks by which faces are moved and painted less and less above their brows, and hair is not.

    Expressions move the skin of the forehead over the skull, and hair little. The fields of AUs are
    learned from few people, with forelocks and without, and are rough where hair may be: hair in
    large photographs became wavy.

    faces: (n, 3, h, w) in -1..1, from which the masks were made. share: a number in 0-1, how far
    this is done.
    """
    flow = masks.flow
    assert flow is not None
    y = centres(flow.shape[2], flow)[:, None]
    begin = smooth(brow_line(flow, brows), _SMOOTH)
    still = share * eased(((begin - y - _WHOLE) / (_STILL - _WHOLE)).clamp(0, 1)[:, None])
    return masks.with_flow(faces, flow * (1 - still)).without_paint(still)
