"""The critic: a PatchGAN without normalisation that scores realism and regresses AUs."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import COUNT
from ..config import CriticSettings

_NEGATIVE_SLOPE = 0.01  # of the leaky ReLUs


class CriticOutput(NamedTuple):
    """What the critic computes of a batch of faces."""

    scores: Tensor
    """(n, 1, h, w): D_I of the paper for each of h x w overlapping patches; higher is more real."""
    aus: Tensor
    """(n, AUs): D_y of the paper, regressed on the 0-1 scale, not clamped."""


class Critic(nn.Module):
    """The critic of GANimation (Pumarola et al., ECCV 2018, section 4.1).

    It has no normalisation, as the gradient penalty is defined for each face separately (Gulrajani
    et al. 2017). size: of the faces, in pixels. aus: the number of AUs that it regresses.
    """

    def __init__(self, size: int, settings: CriticSettings | None = None, aus: int = COUNT) -> None:
        super().__init__()
        self.settings = settings = settings or CriticSettings()
        settings.check_size(size)
        layers: list[nn.Module] = []
        inputs, outputs = 3, settings.width
        for _ in range(settings.layers):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(_NEGATIVE_SLOPE)]
            inputs, outputs = outputs, outputs * 2
        self.trunk = nn.Sequential(*layers)
        self.to_realism = nn.Conv2d(inputs, 1, 3, 1, 1, bias=False)
        self.to_aus = nn.Conv2d(inputs, aus, size // 2**settings.layers, bias=False)

    def forward(self, faces: Tensor) -> CriticOutput:
        """faces: (n, 3, size, size) in -1..1."""
        features = self.trunk(faces)
        scores = self.to_realism(features).float()
        return CriticOutput(scores, self.to_aus(features).flatten(1).float())

    def load_resized(self, state: dict[str, Tensor]) -> None:
        """Load the weights of a critic for faces of another size.

        Its convolutions apply to any size. The AU head has a weight for each position of the
        features; these are interpolated, and scaled so that the sums stay the same.
        """
        head = state["to_aus.weight"]
        enlarged = F.interpolate(head, self.to_aus.kernel_size, mode="bilinear")
        scale = head[0, 0].numel() / enlarged[0, 0].numel()
        self.load_state_dict(state | {"to_aus.weight": enlarged * scale})

    def slope(self, faces: Tensor) -> Tensor:
        """The gradient of each face's mean score with respect to that face, (n, 3, size, size).

        It is differentiable with respect to the weights, for the gradient penalty. Autograd with
        `create_graph=True` gives the same result at nearly twice the cost.

        The score is a composition of convolutions and leaky ReLUs. The derivative of a leaky ReLU
        is 1 where its input is positive and 0.01 elsewhere, so it is a constant factor for each
        feature. The derivative of a convolution is the transposed convolution with the same
        weights. By the chain rule the gradient is therefore computed in two steps: a forward pass
        without a graph gives the factors; then, from the last layer to the first, the gradient is
        multiplied by the factors of each layer and passed through its transposed convolution.
        Biases do not occur in it, and the factors do not depend on the weights except at the
        kinks, so the weights of the transposed convolutions are all there is to differentiate.
        """
        convolutions = [layer for layer in self.trunk if isinstance(layer, nn.Conv2d)]
        widths, factors = [], []
        with torch.no_grad():
            features = faces
            for convolution in convolutions:
                widths.append(features.shape[-1])
                features = convolution(features)
                factors.append(torch.where(features > 0, 1.0, _NEGATIVE_SLOPE))
                features = features * factors[-1]
        # The score of a face is the mean of its patches: the gradient for each is 1 / patches.
        scores = features[:, :1]
        gradient = torch.full_like(scores, 1 / scores[0].numel())
        gradient = F.conv_transpose2d(gradient, self.to_realism.weight, None, 1, 1)
        for convolution, factor, width in zip(
            reversed(convolutions), reversed(factors), reversed(widths), strict=True
        ):
            # A convolution of stride 2 ignores the last column of an odd width.
            odd = width - 2 * factor.shape[-1]
            gradient = F.conv_transpose2d(gradient * factor, convolution.weight, None, 2, 1, odd)
        return gradient
