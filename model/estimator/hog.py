"""Histograms of oriented gradients in torch (Felzenszwalb et al. 2010, section 6), from which
OpenFace reads action units (Baltrusaitis et al. 2018, section 4.4)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL = 8
"""Side of a cell in px."""
ORIENTATIONS = 9
"""Number of contrast-insensitive orientations; there are twice as many contrast-sensitive ones."""
CHANNELS = 3 * ORIENTATIONS + 4
"""Features per cell: 18 contrast-sensitive and 9 contrast-insensitive orientations, 4 energies."""
_CLIP = 0.2
_TEXTURE = 0.2357  # 1 / sqrt(18), the factor of the energies in Felzenszwalb's code


class Hog(nn.Module):
    """Images (n, 3, h, w) in 0-1 to histograms (n, 31, h/8 - 2, w/8 - 2).

    The features of a cell are normalised by the energy of each of the four 2x2 blocks that it
    belongs to, clipped, and summed with a factor of 1/2. The cells at the border are left out, as
    their blocks are not complete.

    It differs from Felzenszwalb's code in two details, which halve the time and leave the accuracy
    of AUs unchanged: gradients are those of the mean of the colour channels, not of the strongest,
    and the bilinear weights of pixels are constant over 4 px.
    """

    cos: Tensor
    sin: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        angles = torch.arange(ORIENTATIONS) * (math.pi / ORIENTATIONS)
        self.register_buffer("cos", angles.cos()[:, None, None], persistent=False)
        self.register_buffer("sin", angles.sin()[:, None, None], persistent=False)
        # Bilinear weights of a cell for the 4x4 half cells around its centre.
        near = torch.tensor([0.25, 0.75, 0.75, 0.25]) * 4
        spread = (near[:, None] * near).expand(2 * ORIENTATIONS, 1, 4, 4)
        self.register_buffer("spread", spread.contiguous(), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        edges = self._edges(pictures.mean(1, keepdim=True))
        lines = edges[:, :ORIENTATIONS] + edges[:, ORIENTATIONS:]
        power = F.pad(lines.square().sum(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        scale = (F.avg_pool2d(power, 2, 1) * 4 + 1e-4).rsqrt()
        rows, columns = edges.shape[2:]
        parts = []
        for down in (0, 1):
            for right in (0, 1):
                block = scale[:, :, down : down + rows, right : right + columns]
                parts.append(
                    [(edges * block).clamp(max=_CLIP), (lines * block).clamp(max=_CLIP)],
                )
        clipped_edges = torch.stack([edge for edge, _ in parts]).sum(0) / 2
        clipped_lines = torch.stack([line for _, line in parts]).sum(0) / 2
        texture = [edge.sum(1, keepdim=True) * _TEXTURE for edge, _ in parts]
        return torch.cat([clipped_edges, clipped_lines, *texture], 1)[:, :, 1:-1, 1:-1]

    def _edges(self, grey: Tensor) -> Tensor:
        """Magnitude of the gradients by contrast-sensitive orientation (n, 18, h/8, w/8)."""
        across = F.pad(grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2], (1, 1, 1, 1))
        down = F.pad(grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1], (1, 1, 1, 1))
        power = across.square() + down.square()
        # The root has no finite gradient at 0.
        strength = torch.where(power > 0, power.clamp(min=1e-12).sqrt(), 0.0)
        along = across * self.cos + down * self.sin
        strongest = along.abs().amax(1, keepdim=True)
        nothing = torch.zeros_like(strength)
        either_way = (torch.where(side >= strongest, strength, nothing) for side in (along, -along))
        pooled = torch.cat([F.avg_pool2d(edges, CELL // 2) for edges in either_way], 1)
        return F.conv2d(pooled, self.spread, stride=2, padding=1, groups=2 * ORIENTATIONS)
