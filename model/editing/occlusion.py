"""What covers a face and is no part of it: glasses, hats, hands, microphones.

An expression moves the face below them and not them, so they are neither moved nor painted over.
The network that finds them is trained on objects that are drawn over photographs, after the
generator, of which it takes the features.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import convolution, doubled
from ..warp import resized
from .masks import Masks

_UNTRAINED = -10.0
"""The logit of an untrained network: nothing is covered."""
_LOWEST, _HIGHEST = 0.05, 0.3
"""Probabilities up to which a pixel is taken as free, and from which on as covered. They are low:
glasses in photographs are found with less certainty than those that were drawn."""
_NEAR, _SPECK, _OBJECT = 11, 0.03, 0.06
"""Shares of the pixels so near to a pixel: where less is covered, it is a speck and left out."""
_STEPS = 12
"""Up to how many pixels of half the resolution from what is covered the flow is limited."""
_SHARE = 0.6
"""Of the distance to what is covered, which the flow may have. At 1 the flow would fold there."""
_LONG = 0.09
"""Length of lines, as a share of the face, from which on they are no spots."""


class OcclusionNetwork(nn.Module):
    """The features of n faces to the covered share of each pixel, at half the resolution.

    half, quarter, eighth, sixteenth: channels of the features at these resolutions.
    """

    def __init__(self, half: int, quarter: int, eighth: int, sixteenth: int) -> None:
        super().__init__()
        self.at_8 = convolution(sixteenth + eighth, 48, 3)
        self.at_4 = convolution(48 + quarter, 32, 3)
        self.at_2 = nn.Sequential(convolution(32 + half + 12, 24, 3), convolution(24, 24, 3))
        self.last = nn.Conv2d(24, 1, 3, 1, 1)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.weight)
        nn.init.constant_(self.last.bias, _UNTRAINED)

    def forward(
        self, faces: Tensor, at_2: Tensor, at_4: Tensor, at_8: Tensor, at_16: Tensor
    ) -> Tensor:
        """Logits (n, 1, h/2, w/2). faces: (n, 3, h, w) in -1..1, and their features."""
        x = self.at_8(torch.cat([doubled(at_16), at_8], 1))
        x = self.at_4(torch.cat([doubled(x), at_4], 1))
        x = self.at_2(torch.cat([doubled(x), at_2, F.pixel_unshuffle(faces, 2)], 1))
        return self.last(x).float()


def covered(logits: Tensor) -> Tensor:
    """The covered share (n, 1, h/2, w/2) of each pixel, 0-1, and exactly 0 where it is unlikely."""
    share = ((logits.sigmoid() - _LOWEST) / (_HIGHEST - _LOWEST)).clamp(0, 1)
    near = F.avg_pool2d(share, _NEAR, 1, _NEAR // 2)
    return share * ((near - _SPECK) / (_OBJECT - _SPECK)).clamp(0, 1)


def without_spots(occlusion: Tensor) -> Tensor:
    """What covers faces, without spots, which are light that eyes and glasses reflect: frames of
    glasses are long, and hair and hands are large. A morphological opening by level and upright
    lines.

    occlusion: (n, 1, h, w), as `covered` gives it.
    """
    side = 2 * round(_LONG * occlusion.shape[3] / 2) + 1

    def opened(kernel: list[int]) -> Tensor:
        around = [each // 2 for each in kernel]
        lowest = -F.max_pool2d(-occlusion, kernel, 1, around)
        return F.max_pool2d(lowest, kernel, 1, around)

    return torch.maximum(opened([1, side]), opened([side, 1]))


def bounds(occlusion: Tensor) -> Tensor:
    """What limits the flow of n faces: (n, 2, h/4, w/4), how much of the flow is limited, 0-1, and
    to which length, in half sides.

    occlusion: (n, 1, h/2, w/2), as `covered` gives it.
    """
    distance = torch.zeros_like(occlusion)
    near = F.max_pool2d(occlusion, 3, 1, 1)  # its edge is between two pixels
    for _ in range(_STEPS):
        distance = distance + 1 - near
        near = F.max_pool2d(near, 3, 1, 1)
    near = F.avg_pool2d(near, 9, 1, 4, count_include_pad=False)
    length = distance * (_SHARE * 2 / occlusion.shape[2])
    return F.avg_pool2d(torch.cat([near, length], 1), 2)


def limited(flow: Tensor, bounds: Tensor) -> Tensor:
    """A flow (n, 2, h/4, w/4), in half sides, that leaves what is covered where it is."""
    return flow * limit(flow, bounds)


def limit(flow: Tensor, bounds: Tensor) -> Tensor:
    """(n, 1, h/4, w/4) in 0-1: the factor by which a flow (n, 2, h/4, w/4) is limited.

    Near to what is covered it is at most _SHARE of the distance, so that no pixel shows it twice.
    """
    near, length = bounds.split(1, 1)
    share = (length / flow.norm(dim=1, keepdim=True).clamp(min=1e-6)).clamp(max=1)
    return 1 - near * (1 - share)


def uncovered(masks: Masks, occlusion: Tensor) -> Masks:
    """Masks by which what is covered is not painted. occlusion: as for `bounds`."""
    free = 1 - resized(occlusion, masks.attention)
    blur = None if masks.blur is None else masks.blur * free
    return masks._replace(attention=1 - free * (1 - masks.attention), blur=blur)
