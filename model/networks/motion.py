"""Where a face moves with its AUs: mean displacements of 68 landmarks, spread out to a flow.

A network that paints can only put a second brow above the first. So the face is moved before it
is painted, as in warp-guided GANs (Geng et al. 2018, Warp-guided GANs for single-photo facial
animation); there a driving video says where the landmarks go, here the AUs do.
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

if TYPE_CHECKING:  # data.py imports pyarrow
    from ..data import Faces

# How much of the way a face is moved. Who someone is shows in the shape of the face, too: from 0.7
# to all of it the shipped generator's r rises from 0.787 to 0.794, and the distance of the
# descriptors from 0.392 to 0.406 (160 faces).
_PART = 0.85
# The aligner is slow to follow brows: of a picture whose brows were moved by 4.6 px it reads 2.6.
# So in photographs, too, AU1, 2 and 4 move them further than it says.
_BROWS, _BROW_AUS, _BROWS_PART = slice(17, 27), (1, 2, 4), 1.5
_SPREAD = 0.2  # standard deviation of a landmark's pull, in half sides: 13 px of 128
_EASE = 0.4  # how far landmarks that pull against each other may fall short
_COARSE = 4  # pixels to one of the flow's, which is smooth
_RIDGE = 1e-3  # added to the variance of each AU, which is 0.02 in the mean
_ENOUGH = 20_000  # faces to learn from
_BATCH = 64


class Motion(nn.Module):
    """Faces (n, 3, h, w) in -1..1, and by how much some of their AUs are to change (n, k), to a
    flow (n, 2, h, w): how far right and down of its place each pixel is to be fetched from, in
    half sides.

    The landmarks are those that the estimator's aligner finds; nothing here is trained by descent.
    """

    displacements: Tensor
    """(17, 68, 2): where an AU that rises from 0 to 1 takes each landmark of the upright view."""
    part: Tensor
    """(17, 68, 1): how much of that way it is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.aligner = Aligner()
        self.view = UprightView(torch.zeros(POINTS, 2))
        self.register_buffer("displacements", torch.zeros(len(NUMBERS), POINTS, 2))
        part = torch.full((len(NUMBERS), POINTS, 1), _PART)
        part[positions(_BROW_AUS), _BROWS] = _BROWS_PART
        self.register_buffer("part", part, persistent=False)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "Motion":
        """Stays as it is: the aligner's batch norms are done with learning."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, faces: Tensor, change: Tensor, which: Tensor) -> Tensor:
        """which: (k,), the places among the 17 of the AUs that change."""
        # In full precision: eight bits are half a pixel.
        with torch.autocast(faces.device.type, enabled=False):
            landmarks = self.aligner(fitted(faces.float()))
            turn, _ = self.view.similarity(landmarks)
            ways = (self.part * self.displacements)[which]
            by = torch.einsum("nk,kpc->npc", change.float(), ways) @ turn.transpose(1, 2)
            height, width = (side // _COARSE for side in faces.shape[2:])
            flow = _spread(landmarks + by, -by, height, width)
            return F.interpolate(flow, scale_factor=_COARSE, mode="bilinear", align_corners=False)

    @torch.no_grad()
    def learn(self, faces: "Faces") -> None:
        """Take the shipped estimator's aligner, and learn the displacements by ridge regression
        on annotated faces, each also seen in the mirror: no AU moves a face to one side."""
        estimator = load_estimator()
        self.aligner.load_state_dict(estimator.aligner.state_dict())
        self.view.load_state_dict(estimator.view.state_dict())
        moments = Moments(len(NUMBERS), POINTS * 2)
        flipped = torch.tensor([-1.0, 1.0])
        step = -(-len(faces) // _ENOUGH)
        chosen = range(0, len(faces), step)
        for start in range(0, len(chosen), _BATCH):
            some = list(chosen[start : start + _BATCH])
            shapes = self.view.straighten(self.aligner(fitted(to_model(faces.images[some]))))
            for each in (shapes, shapes[:, list(MIRRORED)] * flipped):
                moments.add(faces.aus[some], each.flatten(1), torch.ones(len(some)))
        slopes, _ = moments.ridge(_RIDGE)
        self.displacements.copy_(slopes.T.reshape(self.displacements.shape))

    @property
    def learned(self) -> bool:
        """Whether anything moves."""
        return bool(self.displacements.any())


def _spread(points: Tensor, vectors: Tensor, height: int, width: int) -> Tensor:
    """Vectors (n, p, 2) at points (n, p, 2) in -1..1 to a field (n, 2, height, width) that has them
    there, nearly, and fades out around: by Gaussian radial basis functions, with a ridge."""
    scale = -1 / (2 * _SPREAD**2)
    down, across = (
        (torch.arange(side, device=points.device) * 2 + 1) / side - 1 for side in (height, width)
    )
    near_y = (scale * (down[None, :, None] - points[:, None, :, 1]).square()).exp()
    near_x = (scale * (across[None, :, None] - points[:, None, :, 0]).square()).exp()
    apart = (points[:, :, None] - points[:, None]).square().sum(-1)
    ridge = _EASE * torch.eye(points.shape[1], device=points.device)
    pulls = torch.linalg.solve((scale * apart).exp() + ridge, vectors)
    return torch.einsum("nyp,nxp,npc->ncyx", near_y, near_x, pulls)
