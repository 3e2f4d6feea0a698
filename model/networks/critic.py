"""The critic: a PatchGAN that judges realism and reads AUs, without normalisation (WGAN-GP)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import COUNT
from ..config import CriticSettings

_LEAK = 0.01


class Verdict(NamedTuple):
    """What the critic says of a face."""

    realism: Tensor
    """(n, 1, h, w): a score for each overlapping patch; higher is more real."""
    aus: Tensor
    """(n, AUs): regressed on the 0-1 scale, not clamped."""


class Critic(nn.Module):
    """Faces (n, 3, size, size) in -1..1 to a Verdict; aus: how many AUs it reads."""

    def __init__(self, size: int, settings: CriticSettings | None = None, aus: int = COUNT) -> None:
        super().__init__()
        self.settings = settings = settings or CriticSettings()
        settings.check_size(size)
        layers: list[nn.Module] = []
        inputs, outputs = 3, settings.width
        for _ in range(settings.layers):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(_LEAK)]
            inputs, outputs = outputs, outputs * 2
        self.trunk = nn.Sequential(*layers)
        self.to_realism = nn.Conv2d(inputs, 1, 3, 1, 1, bias=False)
        self.to_aus = nn.Conv2d(inputs, aus, size // 2**settings.layers, bias=False)

    def forward(self, faces: Tensor) -> Verdict:
        features = self.trunk(faces)
        return Verdict(self.to_realism(features).float(), self.to_aus(features).flatten(1).float())

    def load_resized(self, state: dict[str, Tensor]) -> None:
        """Take over the weights of a critic for faces of another size. Its convolutions slide over
        any; the head that reads AUs covers the whole face, and is enlarged with it."""
        head = state["to_aus.weight"]
        enlarged = F.interpolate(head, self.to_aus.kernel_size, mode="bilinear")
        share = head[0, 0].numel() / enlarged[0, 0].numel()
        self.load_state_dict(state | {"to_aus.weight": enlarged * share})

    def slope(self, faces: Tensor) -> Tensor:
        """The gradient of each face's mean realism, (n, 3, size, size), for the gradient penalty.

        The critic is linear piece by piece: where the signs of its features are known, the
        gradient is a chain of transposed convolutions, and the weights alone bend it. Autograd
        arrives at the same, but keeps the graph of the way up and goes back through that, too,
        where it finds zeros alone: at nearly twice the cost.
        """
        convolutions = [layer for layer in self.trunk if isinstance(layer, nn.Conv2d)]
        widths, leaks = [], []
        with torch.no_grad():
            features = faces
            for convolution in convolutions:
                widths.append(features.shape[-1])
                features = convolution(features)
                leaks.append(torch.where(features > 0, 1.0, _LEAK))
                features = features * leaks[-1]
        patches = features[:, :1]
        gradient = torch.full_like(patches, 1 / patches[0].numel())
        gradient = F.conv_transpose2d(gradient, self.to_realism.weight, None, 1, 1)
        for convolution, leak, width in zip(
            reversed(convolutions), reversed(leaks), reversed(widths), strict=True
        ):
            odd = width - 2 * leak.shape[-1]  # an odd width lost a pixel on the way up
            gradient = F.conv_transpose2d(gradient * leak, convolution.weight, None, 2, 1, odd)
        return gradient
