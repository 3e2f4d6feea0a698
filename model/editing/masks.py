"""The output of a generator: attention and colour masks, and the face they are blended with."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...pipeline.faces.paste import BLUR, Change
from ..pixels import from_model
from ..warp import warped

_RADIUS = 4
"""Of the kernel of the blur, in pixels."""


class Masks(NamedTuple):
    """The output of the generator for n faces."""

    attention: Tensor
    """(n, 1, h, w) in 0-1: the share of `face` in the new face."""
    colour: Tensor
    """(n, 3, h, w) in -1..1: the colour mask, which has the remaining share. In cleaned masks it
    may lie beyond, but the new face does not."""
    face: Tensor
    """(n, 3, h, w) in -1..1: the input; with `motion`, the input warped by `flow`."""
    flow: Tensor | None = None
    """(n, 2, h, w): the offset (right, down) from each pixel of `face` to the pixel of the input
    that it shows, in half sides; None without `motion`."""
    blur: Tensor | None = None
    """(n, 1, h, w) in 0-1: as `Change.blur`; None blurs nothing. Only where there is a flow."""

    def blend(self) -> Tensor:
        """The new face (n, 3, h, w) in -1..1.

        A * I + (1 - A) * C, as in the journal paper (Pumarola et al. 2020).
        """
        return self.attention * self.face + (1 - self.attention) * self.colour

    def difference(self) -> Tensor:
        """What blending adds to `face`, or to its blurred copy as far as `blur` says: (n, 3, h, w),
        in levels of 8 bits, -255 to 255."""
        face = self.face
        if self.blur is not None:
            face = face + self.blur * (_blurred(face) - face)
        return from_model(self.blend()) - from_model(face)

    def moved(self, faces: Tensor, step: Tensor) -> "Masks":
        """Masks whose result, with what is painted, is moved by a further flow `step` (n, 2, h, w).

        faces: (n, 3, h, w) in -1..1, from which the masks were made.
        """
        assert self.flow is not None
        parts = torch.cat([self.flow, self.attention, self.colour - self.face], 1)
        flow, attention, painted = warped(parts, step).split([2, 1, 3], 1)
        flow = step + flow
        face = warped(faces.float(), flow)
        blur = None if self.blur is None else warped(self.blur, step)
        return Masks(attention, face + painted, face, flow, blur)

    def with_flow(self, faces: Tensor, flow: Tensor) -> "Masks":
        """Masks of the same faces with another flow: what painting adds stays in its place."""
        face = warped(faces.float(), flow)
        return self._replace(flow=flow, face=face, colour=self.colour + face - self.face)

    def without_paint(self, share: Tensor | None = None) -> "Masks":
        """Masks that move the face alone; or only a share (n, 1, h, w) in 0-1 of each pixel."""
        if share is None:
            return self._replace(attention=torch.ones_like(self.attention), blur=None)
        attention = self.attention + share * (1 - self.attention)
        blur = None if self.blur is None else self.blur * (1 - share)
        return self._replace(attention=attention, blur=blur)

    def towards(self, other: Tensor, share: Tensor, blur: bool = True) -> "Masks":
        """Masks by which a share (n, 1, h, w) in 0-1 of each pixel is that of another face
        (n, 3, h, w) in -1..1, and does not show the moved face, or, with `blur`, shows it blurred
        in a larger picture."""
        face = self.blend()
        new = face + share * (other - face)
        masks = blending_to(new, self, self.attention * (1 - share), share > 0)
        return masks.blurred(share) if blur else masks

    def blurred(self, share: Tensor) -> "Masks":
        """Masks by which a larger picture is blurred by a share (n, 1, h, w) in 0-1 at least."""
        return self._replace(blur=share if self.blur is None else share.maximum(self.blur))

    def changes(self) -> list[Change]:
        """The change of each face, which `paste_change` can apply at another resolution."""
        parts = [self.difference().permute(0, 2, 3, 1)]
        if self.flow is not None:
            parts.append(self.flow.permute(0, 2, 3, 1))
            if self.blur is not None:
                parts.append(self.blur.squeeze(1))
        return [Change(*each) for each in zip(*(part.cpu().numpy() for part in parts), strict=True)]


def blending_to(face: Tensor, masks: Masks, attention: Tensor, where: Tensor) -> Masks:
    """Masks with another attention, and the colours by which some pixels become those of `face`."""
    colour = (face.clamp(-1, 1) - attention * masks.face) / (1 - attention).clamp(min=1e-4)
    return masks._replace(attention=attention, colour=colour.where(where, masks.colour))


def smoothed(values: Tensor) -> Tensor:
    """Values (n, channels, h, w), smoothed by a binomial filter of 3x3 pixels."""
    line = values.new_tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line).expand(values.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(values, (1, 1, 1, 1), "replicate"), kernel, groups=values.shape[1])


def _blurred(faces: Tensor) -> Tensor:
    """Faces (n, channels, h, w) as `paste.blurred` blurs them. torchvision's blur would have to be
    imported, which takes a quarter of a second."""
    places = torch.arange(-_RADIUS, _RADIUS + 1, device=faces.device, dtype=faces.dtype)
    kernel = torch.exp(-(places**2) / (2 * BLUR**2))
    kernel = (kernel / kernel.sum()).repeat(faces.shape[1], 1, 1, 1)
    for shape, pad in ((kernel, (_RADIUS,) * 2 + (0, 0)), (kernel.mT, (0, 0) + (_RADIUS,) * 2)):
        faces = F.conv2d(F.pad(faces, pad, "replicate"), shape, groups=faces.shape[1])
    return faces
