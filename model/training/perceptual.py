"""How alike two faces look to a network that reads faces: a distance of features, not of pixels."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..estimator.network import load_estimator
from ..landmarks.points import SIZE

_STAGES = 4
"""Convolutions of the estimator's aligner whose features count, from the first on; later ones know
where the face is, but hardly whose."""


class Perceptual(nn.Module):
    """The first features of the aligner that ships, frozen (after Johnson et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        layers = deepcopy(load_estimator().aligner.layers)
        self.stages = layers[:_STAGES].eval().requires_grad_(False)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """The mean distance of faces (n, 3, h, w) in -1..1: over stages and places, the squared
        difference of features of unit length (Zhang et al. 2018), 0 to 4."""
        both = torch.cat([one, other])
        if both.shape[-1] != SIZE:
            both = F.interpolate(both, (SIZE, SIZE), mode="bilinear", align_corners=False)
        both = F.avg_pool2d(both, 2)  # what the aligner looks at
        distances = []
        for stage in self.stages:
            both = stage(both)
            first, second = F.normalize(both.float(), dim=1).chunk(2)
            distances.append((first - second).square().sum(1).mean())
        return torch.stack(distances).mean()
