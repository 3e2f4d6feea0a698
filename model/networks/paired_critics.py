"""The two critics of paired training: one of pairs, one of results alone.

`PairCritic` sees a source and a result side by side and the AUs that were asked for, so it can tell
whether *this* face would look so. `ResultCritic` sees a result and the AUs alone: it judges edits
for which no photograph exists. Both use the hinge loss (Lim & Ye 2017; Miyato et al. 2018), and the
AUs enter both by projection (Miyato & Koyama 2018).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ...pipeline.action_units import COUNT

_LEAK = 0.2


class PairCritic(nn.Module):
    """Sources and results (n, 3, h, w) in -1..1 and AUs (n, 17) in 0-1 to scores and features.

    Spectral normalisation (Miyato et al. 2018). h and w: multiples of 16.
    """

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        channels = [24, width, width * 2, width * 4, width * 6]  # 24: 2x2 pixels of two pictures
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(inputs, outputs, 4, stride, 1))
            for inputs, outputs, stride in zip(channels, channels[1:], (2, 2, 2, 1), strict=False)
        )
        self.to_score = spectral_norm(nn.Conv2d(channels[-1], 1, 3, 1, 1))
        self.from_aus = nn.Linear(COUNT, channels[-1], bias=False)

    def forward(self, sources: Tensor, results: Tensor, aus: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores (n, 1, h', w') of overlapping patches, higher is more real; and the features of
        each layer, for feature matching."""
        x, features = F.pixel_unshuffle(torch.cat([sources, results], 1), 2), []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), _LEAK)
            features.append(x)
        return self.to_score(x) + _projected(x, self.from_aus(aus)), features


class ResultCritic(nn.Module):
    """Results (n, 3, h, w) in -1..1 and AUs (n, 17) in 0-1 to scores (n, 1, h', w') of overlapping
    patches.

    Instance normalisation and no spectral normalisation: with spectral normalisation throughout it
    learned nothing in 1,100 iterations (hinge loss 2.0; with instance normalisation 1.87).
    """

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        channels = [12, width, width * 2, width * 4, width * 4]
        self.layers = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 4, stride, 1)
            for inputs, outputs, stride in zip(channels, channels[1:], (2, 2, 2, 1), strict=False)
        )
        self.to_score = nn.Conv2d(channels[-1], 1, 3, 1, 1)
        self.from_aus = nn.Linear(COUNT, channels[-1], bias=False)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Critics of earlier versions were not told the AUs."""
        name = "from_aus.weight"
        state_dict.setdefault(prefix + name, torch.zeros_like(self.get_parameter(name)))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, results: Tensor, aus: Tensor) -> Tensor:
        x = F.pixel_unshuffle(results, 2)
        for number, layer in enumerate(self.layers):
            x = layer(x)
            x = F.leaky_relu(F.instance_norm(x) if number else x, _LEAK)
        return self.to_score(x) + _projected(x, self.from_aus(aus))


def _projected(features: Tensor, aus: Tensor) -> Tensor:
    """(n, 1, h, w): the product of features (n, channels, h, w) and AUs (n, channels)."""
    return (features * aus[:, :, None, None]).mean(1, keepdim=True) / 4
