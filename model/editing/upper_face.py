"""Brows that are raised or lowered, and eyes that close: they are found, and moved as they are.

A flow stretches brows with the lids below, and lids over eyes, and a generator that has learned to
hide this paints others. It is trained after the generator (training/train_upper_face.py).
"""

import torch
from torch import Tensor, nn

from ...pipeline.action_units import positions
from ..warp import resized, warped
from .brow_motion import with_brows
from .brows import LAYERS, Brows, brows_of, cut_to_upper_face
from .eye_closing import with_closed_eyes
from .foreheads import with_still_hair
from .iris_network import IrisNetwork, eyes_of
from .layer_network import LayerNetwork, layer_ends
from .lids import with_even_lids
from .masks import Masks
from .occlusion import limit, without_spots
from .open_eyes import light_in_eyes, seen_eyes, with_open_eyes

_RAISED_BY, _LOWERED_BY, _WHOLLY = positions((1, 2)), positions((4,)), 0.2
"""Columns of the AUs that raise and lower brows, and from which change on they are moved as they
are wholly."""
_LOWERED = 0.5
"""How far brows that are lowered are moved as they are, and not by the flow: it bends their inner
ends to hooks, but without it frowns are weak."""
_CLOSED_BY, _OPENED_BY = positions((45, 5))
"""Columns of the AUs that close eyes and open them wide."""
_CLOSED, _LEAST = 0.7, 0.2
"""From how much of that AU on eyes are closed: in series of one person, a fifth of the height of
open eyes is left where OpenFace reads 0.5, and a tenth at 0.65. And by which share of that more, at
least, eyes close wholly."""


class UpperFaceNetwork(nn.Module):
    """Finds brows and eyes. It is untrained, and leaves masks as they are, while `trained` is 0."""

    trained: Tensor
    """A number: 1, or 0 before the training."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("trained", torch.zeros(()))
        self.layers = LayerNetwork(LAYERS)
        self.irises = IrisNetwork()

    def ends_of(self, faces: Tensor) -> Tensor:
        """Where brows, lids and eyes end in whole faces (n, 3, h, w) in -1..1, as `brows_of` takes
        it, in full precision: edges move by it."""
        with torch.autocast(faces.device.type, enabled=False):
            return layer_ends(self.layers(cut_to_upper_face(faces.float())))

    def irises_in(self, faces: Tensor, ends: Tensor) -> Tensor:
        """Where the irises of whole faces (n, 3, h, w) in -1..1 with ends (n, LAYERS - 1, w) are:
        (n, 2, 3), as of `IrisNetwork`, in full precision."""
        with torch.autocast(faces.device.type, enabled=False):
            brows = brows_of(ends)
            return self.irises(faces.float(), brows, eyes_of(brows))

    def closing(self, own_aus: Tensor, aus: Tensor) -> Tensor:
        """(n,) in 0-1: how far eyes close of faces with AUs (n, 17) that are asked for others."""
        own, asked = (each[:, _CLOSED_BY] / _CLOSED for each in (own_aus, aus))
        return ((asked - own) / (1 - own).clamp(min=_LEAST)).clamp(0, 1) * self.trained

    def opening(self, own_aus: Tensor, aus: Tensor, brows: Brows) -> Tensor:
        """(n,) in 0-1: how far eyes open wide, likewise, where they are seen. brows: of the
        faces."""
        wide = (aus - own_aus)[:, _OPENED_BY].clamp(0, 1)
        return wide * seen_eyes(brows) * (1 - self.closing(own_aus, aus)) * self.trained

    def left_to_flow(self, change: Tensor, brows: Brows) -> Tensor:
        """Changes (n, 17) without those that close eyes or open them wide, if it does that itself.
        brows: of the faces."""
        itself = torch.zeros_like(change)
        itself[:, _CLOSED_BY] = self.trained
        itself[:, _OPENED_BY] = self.trained * seen_eyes(brows)
        return change - itself * change.clamp(min=0)

    def shown(
        self,
        masks: Masks,
        faces: Tensor,
        brows: Brows,
        irises: Tensor,
        change: Tensor,
        opening: Tensor,
        closing: Tensor,
        uncovered: Tensor,
        bounds: Tensor,
    ) -> Masks:
        """Masks of whole faces by which brows are moved as they are where AUs raise or lower them;
        where they are raised they are not painted; hair is not moved; and eyes open or close.

        faces: (n, 3, h, w) in -1..1, from which the masks were made. brows, irises: theirs.
        change: (n, 17), of their AUs. opening, closing: (n,), by the functions of these names.
        uncovered: (n, 1, h/2, w/2) in 0-1, the share that nothing covers. bounds: how far the face
        is moved near to what covers it, as `limit` takes it.
        """
        # An exported network has no branches.
        every = torch.compiler.is_compiling()
        moving = every or bool((self.trained * change).any() or opening.any())
        shutting = every or bool(closing.any())
        if not (moving or shutting):
            return masks
        with torch.autocast(faces.device.type, enabled=False):
            of_eyes = 1 - without_spots(1 - uncovered)
            if moving:
                masks = with_still_hair(masks, faces, brows, self.trained)
                masks = self._with_moved_brows(masks, faces, brows, change, uncovered, bounds)
                free = of_eyes * self.trained
                light = light_in_eyes(change, opening)
                masks = with_open_eyes(masks, faces, brows, irises, opening, light, free, bounds)
            if shutting:
                masks = with_closed_eyes(masks, faces, brows, closing, of_eyes)
            return masks

    def _with_moved_brows(
        self,
        masks: Masks,
        faces: Tensor,
        brows: Brows,
        change: Tensor,
        uncovered: Tensor,
        bounds: Tensor,
    ) -> Masks:
        risen, lowered = (
            (change[:, columns].amax(1) / _WHOLLY).clamp(0, 1)[:, None, None, None]
            for columns in (_RAISED_BY, _LOWERED_BY)
        )
        share = risen.maximum(_LOWERED * lowered) * self.trained
        if not (torch.compiler.is_compiling() or share.any()):
            return masks
        assert masks.flow is not None
        motion = with_brows(masks.flow, brows)
        share = share * resized(uncovered, faces)
        whole = limit(motion.flow, resized(bounds, faces))
        flow = masks.flow + share * (whole * motion.flow - masks.flow)
        masks = masks._replace(flow=flow, face=warped(faces.float(), flow))
        unpainted = risen * whole * share
        masks = masks.without_paint(unpainted * motion.brow.maximum(motion.lid))
        return with_even_lids(masks, unpainted * motion.lid, motion.high)
