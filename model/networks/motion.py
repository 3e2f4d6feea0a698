"""Warp faces by their AUs: from mean displacements of 68 landmarks to a flow field.

Colour and attention masks cannot move a feature: a raised brow would appear above the old one. The
face is therefore warped before the masks are applied, as in Geng et al. 2018 ("Warp-guided GANs for
single-photo facial animation"). There the displacements of the landmarks come from a driving video,
here from the change of the AUs.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import NUMBERS, positions
from ..estimator.network import load_estimator
from ..estimator.ridge import Moments
from ..landmarks.alignment import MIRRORED, POINTS, Aligner, UprightView, fitted
from ..pixels import to_model

if TYPE_CHECKING:
    from ..data import Faces

# The share of the mean displacement that is applied. Larger displacements change the shape of the
# face and with it the identity: from 0.7 to 1 the correlation r of the shipped generator rises from
# 0.787 to 0.794, and the identity distance from 0.392 to 0.406 (160 faces).
_SHARE = 0.85
# The aligner underestimates displacements of the brows: after a shift of 4.6 px it measures 2.6 px.
# The displacements that are learned from its landmarks are too small by about as much.
_BROWS, _BROW_AUS, _BROWS_SHARE = slice(17, 27), (1, 2, 4), 1.5
_RBF_WIDTH = 0.2  # standard deviation of the radial basis functions in half sides: 13 px of 128
_RBF_RIDGE = 0.4  # regularisation, which lets the flow differ from contradicting displacements
_FLOW_STRIDE = 4  # the flow is smooth and is computed at a quarter of the resolution
_RIDGE = 1e-3  # added to the variance of each AU, which is 0.02 in the mean
_MAX_FACES = 20_000  # for `learn`
_BATCH = 64


class Motion(nn.Module):
    """A flow field from the change of AUs.

    The landmarks come from the aligner of the estimator, and their displacements from `learn`. No
    parameter is trained by gradient descent.
    """

    displacements: Tensor
    """(17, 68, 2): the mean displacement of each landmark in the aligned view for an AU that rises
    from 0 to 1, in half sides of the view."""
    share: Tensor
    """(17, 68, 1): the share of it that is applied."""

    def __init__(self) -> None:
        super().__init__()
        self.aligner = Aligner()
        self.view = UprightView(torch.zeros(POINTS, 2))
        self.register_buffer("displacements", torch.zeros(len(NUMBERS), POINTS, 2))
        share = torch.full((len(NUMBERS), POINTS, 1), _SHARE)
        share[positions(_BROW_AUS), _BROWS] = _BROWS_SHARE
        self.register_buffer("share", share, persistent=False)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "Motion":
        """Keep the evaluation mode, so that the batch norms of the aligner do not change."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, faces: Tensor, change: Tensor, which: Tensor) -> Tensor:
        """Compute the flow.

        Args:
            faces: (n, 3, h, w) in -1..1; h and w are multiples of 4.
            change: (n, k), target minus own value of k AUs, in -1..1.
            which: (k,), the positions of these AUs among the 17.

        Returns (n, 2, h, w): the offset (right, down) from each output pixel to the input pixel
        that it shows, in half sides.
        """
        # In float32, because the rounding error of bfloat16 is half a pixel.
        with torch.autocast(faces.device.type, enabled=False):
            landmarks = self.aligner(fitted(faces.float()))
            turn, _ = self.view.similarity(landmarks)
            per_au = (self.share * self.displacements)[which]
            moved_by = torch.einsum("nk,kpc->npc", change.float(), per_au) @ turn.transpose(1, 2)
            height, width = (side // _FLOW_STRIDE for side in faces.shape[2:])
            flow = _interpolated(landmarks + moved_by, -moved_by, height, width)
            return F.interpolate(
                flow, scale_factor=_FLOW_STRIDE, mode="bilinear", align_corners=False
            )

    @torch.no_grad()
    def learn(self, faces: "Faces") -> None:
        """Copy the aligner of the shipped estimator, and estimate the displacements.

        The displacements are the slopes of a ridge regression of the aligned landmarks on the AUs
        of annotated faces. Each face also counts mirrored, so that they are symmetric. Of more than
        20,000 faces an evenly spaced part is used.
        """
        estimator = load_estimator()
        self.aligner.load_state_dict(estimator.aligner.state_dict())
        self.view.load_state_dict(estimator.view.state_dict())
        moments = Moments(len(NUMBERS), POINTS * 2)
        flipped = torch.tensor([-1.0, 1.0])
        step = -(-len(faces) // _MAX_FACES)
        chosen = range(0, len(faces), step)
        for start in range(0, len(chosen), _BATCH):
            batch = list(chosen[start : start + _BATCH])
            shapes = self.view.straighten(self.aligner(fitted(to_model(faces.images[batch]))))
            for each in (shapes, shapes[:, list(MIRRORED)] * flipped):
                moments.add(faces.aus[batch], each.flatten(1), torch.ones(len(batch)))
        slopes, _ = moments.ridge(_RIDGE)
        self.displacements.copy_(slopes.T.reshape(self.displacements.shape))

    @property
    def learned(self) -> bool:
        """Whether the displacements were estimated or loaded."""
        return bool(self.displacements.any())


def _interpolated(points: Tensor, vectors: Tensor, height: int, width: int) -> Tensor:
    """Interpolate vectors by regularised Gaussian radial basis functions.

    Args:
        points: (n, p, 2), x and y in -1..1.
        vectors: (n, p, 2), the values at the points.

    Returns (n, 2, height, width): a field that is near the vectors at the points and falls to zero
    away from them.
    """
    scale = -1 / (2 * _RBF_WIDTH**2)
    down, across = (
        (torch.arange(side, device=points.device) * 2 + 1) / side - 1 for side in (height, width)
    )
    near_y = (scale * (down[None, :, None] - points[:, None, :, 1]).square()).exp()
    near_x = (scale * (across[None, :, None] - points[:, None, :, 0]).square()).exp()
    distances = (points[:, :, None] - points[:, None]).square().sum(-1)
    ridge = _RBF_RIDGE * torch.eye(points.shape[1], device=points.device)
    weights = torch.linalg.solve((scale * distances).exp() + ridge, vectors)
    return torch.einsum("nyp,nxp,npc->ncyx", near_y, near_x, weights)
