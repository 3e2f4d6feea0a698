"""The output of a generator: attention and colour masks, and the face they are blended with."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from ...pipeline.faces.paste import Change
from ..pixels import from_model

_FAINT = 0.03
"""In half the range of pixels: 4 levels of 255."""


class Masks(NamedTuple):
    """The output of the generator for n faces."""

    attention: Tensor
    """(n, 1, h, w) in 0-1: the share of `face` in the new face."""
    colour: Tensor
    """(n, 3, h, w) in -1..1: the colour mask, which has the remaining share."""
    face: Tensor
    """(n, 3, h, w) in -1..1: the input; with `motion`, the input warped by `flow`."""
    flow: Tensor | None = None
    """(n, 2, h, w): the offset (right, down) from each pixel of `face` to the pixel of the input
    that it shows, in half sides; None without `motion`."""

    def blend(self) -> Tensor:
        """The new face (n, 3, h, w) in -1..1.

        A * I + (1 - A) * C, as in the journal paper (Pumarola et al. 2020).
        """
        return self.attention * self.face + (1 - self.attention) * self.colour

    def difference(self) -> Tensor:
        """What blending adds to `face`: (n, 3, h, w), in levels of 8 bits, -255 to 255."""
        return from_model(self.blend()) - from_model(self.face)

    def changes(self) -> list[Change]:
        """The change of each face, which `paste_change` can apply at another resolution."""
        differences = self.difference().permute(0, 2, 3, 1).cpu().numpy()
        if self.flow is None:
            return [Change(difference) for difference in differences]
        flows = self.flow.permute(0, 2, 3, 1).cpu().numpy()
        return [Change(*pair) for pair in zip(differences, flows, strict=True)]


def without_checkerboard(masks: Masks) -> Masks:
    """Masks smoothed by a binomial 3x3 filter, for a generator of which the four pixels of a 2x2
    block come from different channels, and so differ in a regular pattern.

    Compare Sugawara et al. 2018, Super-resolution using convolutional neural networks without any
    checkerboard artifacts.
    """
    painted = _smoothed(masks.colour - masks.face)
    shares = _smoothed(1 - masks.attention)
    return masks._replace(attention=1 - shares, colour=masks.face + painted)


def without_faint_painting(masks: Masks) -> Masks:
    """Masks whose attention is 1 where painting would change little: a faint change of a whole face
    shows nothing, and tells that it was edited.

    Of a change of root mean square s in 7x7 pixels a share of s^2 / (s^2 + _FAINT^2) is kept, as in
    the shrinkage of noise in wavelets.
    """
    shares = 1 - masks.attention
    change = (shares * (masks.colour - masks.face)).square().mean(1, keepdim=True)
    strength = F.avg_pool2d(change, 7, 1, 3, count_include_pad=False)
    return masks._replace(attention=1 - shares * strength / (strength + _FAINT**2))


def _smoothed(values: Tensor) -> Tensor:
    line = values.new_tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line).expand(values.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(values, (1, 1, 1, 1), "replicate"), kernel, groups=values.shape[1])
