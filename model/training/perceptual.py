"""The distance of two faces in the features of a network, for the term `perceptual`."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..estimator.network import load_estimator
from ..landmarks.points import SIZE

_STAGES = 4
"""How many convolutions of the estimator's aligner are used, from the first on. Features of later
ones depend on the positions of landmarks more than on the identity of the face."""


class Perceptual(nn.Module):
    """A perceptual loss (Johnson et al. 2016) on frozen layers of the shipped aligner."""

    def __init__(self) -> None:
        super().__init__()
        layers = deepcopy(load_estimator().aligner.layers)
        self.stages = layers[:_STAGES].eval().requires_grad_(False)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """The mean distance of two batches of faces, each (n, 3, h, w) in -1..1.

        A distance is the squared difference of features of unit length (Zhang et al. 2018), from 0
        to 4, averaged over stages and positions.
        """
        both = torch.cat([one, other])
        if both.shape[-1] != SIZE:
            both = F.interpolate(both, (SIZE, SIZE), mode="bilinear", align_corners=False)
        both = F.avg_pool2d(both, 2)  # the resolution of the aligner
        distances = []
        for stage in self.stages:
            both = stage(both)
            first, second = F.normalize(both.float(), dim=1).chunk(2)
            distances.append((first - second).square().sum(1).mean())
        return torch.stack(distances).mean()
