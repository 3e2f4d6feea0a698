"""A critic that sees features of a frozen network (Sauer et al. 2021, Projected GANs Converge
Faster).

The frozen network knows what pictures consist of from a million of them, so that small heads, which
learn in hundreds of steps, tell what a photograph of a mouth has and a result has not.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

_WIDTH = 24
"""Channels of the random projection of a stage."""
_PIXELS = 2.0
"""Factor of the pixels, which are seen beside the features."""
_LEAK = 0.2
_HALVINGS = (2, 1, 0, 0, 2)
"""How often a head halves the resolution: of stages at 1/2 to 1/16, and of the pixels, at 1/2."""


class Features:
    """What the critic sees of pictures (n, 3, h, w) in -1..1: features of each stage of a frozen
    network, of mean 0 and deviation 1 in photographs, and the pixels themselves.

    stages: four, run one after the other, each of which halves the resolution. photographs:
    (n, 3, h, w), in which mean and deviation are measured.
    """

    def __init__(self, stages: nn.ModuleList, photographs: Tensor) -> None:
        self._stages = stages.eval().requires_grad_(False)
        with torch.no_grad():
            found = self._raw(photographs)
        self._means = [each.mean((0, 2, 3), keepdim=True) for each in found]
        self._deviations = [each.std((0, 2, 3), keepdim=True) + 1e-3 for each in found]
        self.channels = [each.shape[1] for each in found] + [12]

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        found = zip(self._raw(pictures), self._means, self._deviations, strict=True)
        features = [(each - mean) / deviation for each, mean, deviation in found]
        return [*features, F.pixel_unshuffle(pictures, 2) * _PIXELS]

    def _raw(self, pictures: Tensor) -> list[Tensor]:
        found = []
        for stage in self._stages:
            pictures = stage(pictures)
            found.append(pictures)
        return found


class ProjectedCritic(nn.Module):
    """Scores of pictures, one map (n, 1, h', w') for each of their features; higher is more real.

    channels: of the features, as `Features.channels`. aus: how many AUs it is told.
    """

    def __init__(self, channels: Sequence[int], aus: int) -> None:
        super().__init__()
        pairs = zip(channels, _HALVINGS, strict=True)
        self.heads = nn.ModuleList(_Head(count, halvings, aus) for count, halvings in pairs)

    def forward(self, features: Sequence[Tensor], aus: Tensor) -> list[Tensor]:
        return [head(each, aus) for head, each in zip(self.heads, features, strict=True)]


class _Head(nn.Module):
    """Two convolutions and a score, on a random projection of the features.

    While the critic learns, batch normalisation is over photographs and results together: apart,
    they would lose what differs in their means. The AUs enter by projection (Miyato & Koyama 2018).
    """

    projection: Tensor

    def __init__(self, channels: int, halvings: int, aus: int) -> None:
        super().__init__()
        self.register_buffer("projection", torch.randn(_WIDTH, channels, 1, 1) / channels**0.5)
        inner = 2 * _WIDTH
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for number, inputs in enumerate((_WIDTH, inner)):
            kernel, stride = (4, 2) if number < halvings else (3, 1)
            self.convolutions.append(spectral_norm(nn.Conv2d(inputs, inner, kernel, stride, 1)))
            self.norms.append(nn.BatchNorm2d(inner))
        self.to_score = spectral_norm(nn.Conv2d(inner, 1, 3, 1, 1))
        self.from_aus = nn.Linear(aus, inner, bias=False)

    def forward(self, features: Tensor, aus: Tensor) -> Tensor:
        x = F.conv2d(features, self.projection)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.leaky_relu(norm(convolution(x)), _LEAK)
        return self.to_score(x) + (x * self.from_aus(aus)[:, :, None, None]).mean(1, keepdim=True)


def critic_loss(real: Sequence[Tensor], fake: Sequence[Tensor], weight: Tensor) -> Tensor:
    """Hinge loss: scores of photographs above 1, of results below -1; the mean over features.

    weight: (n, 1, h, w), how much each place of the pictures counts.
    """
    losses = [
        weighted_mean(F.relu(1 - one), weight) + weighted_mean(F.relu(1 + other), weight)
        for one, other in zip(real, fake, strict=True)
    ]
    return torch.stack(losses).mean()


def mean_score(scores: Sequence[Tensor], weight: Tensor) -> Tensor:
    """The mean score over features. weight: as of `critic_loss`."""
    return torch.stack([weighted_mean(each, weight) for each in scores]).mean()


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """The mean over pictures of the weighted means of values (n, any, h', w').

    weight: (n, 1, h, w), how much each place counts.
    """
    weight = F.interpolate(weight, values.shape[2:], mode="area")
    return ((values * weight).mean((1, 2, 3)) / weight.mean((1, 2, 3))).mean()
