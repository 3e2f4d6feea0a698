"""Train the network that finds what lies between lips (networks/inner_mouth.py).

train_mouth.py does it before it trains the network that fills this.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.inner_mouth import InnerMouthNetwork
from ..pixels import to_model
from .mouth_examples import Mouths

LEARNING_RATE = 2e-3
_WARM_UP = 50
_LIGHT, _TINT, _NOISE = 0.2, 0.12, 0.06
"""Standard deviations of the logarithms of the light and of each colour's, and the largest of what
is added to pixels: what the generator paints has other colours than photographs."""


def train_inner_mouth(
    network: InnerMouthNetwork, mouths: Mouths, steps: int, batch: int
) -> Iterator[float]:
    """Train a network, and yield the cross-entropy of each step.

    Random numbers are drawn from torch's own generator.
    """
    adam = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        adam,
        lambda step: min((step + 1) / _WARM_UP, 1) * (1 + math.cos(math.pi * step / steps)) / 2,
    )
    for _ in range(steps):
        some = mouths.where(torch.randint(len(mouths.aus), (batch,)))
        logits = network(_coloured(to_model(some.pixels)))
        loss = F.binary_cross_entropy_with_logits(logits, some.inside / 255)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        schedule.step()
        yield float(loss.detach())


def _coloured(pixels: Tensor) -> Tensor:
    """Pixels (n, 3, h, w) in -1..1 in another light, of other colours, and with noise."""
    one = len(pixels), 1, 1, 1
    light = torch.randn(one) * _LIGHT + torch.randn(len(pixels), 3, 1, 1) * _TINT
    lit = ((pixels + 1) * light.exp() - 1).clamp(-1, 1)
    return lit + torch.rand(one) * _NOISE * torch.randn_like(pixels)
