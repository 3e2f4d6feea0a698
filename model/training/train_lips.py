"""Train the network that finds lips (networks/lips.py).

train_mouth.py does it before it trains the network that fills what is between them.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.lips import LipsNetwork, layer_ends
from ..pixels import to_model
from .mouth_examples import Mouths

LEARNING_RATE = 2e-3
_WARM_UP = 50
_LIGHT, _TINT, _NOISE = 0.2, 0.12, 0.06
"""Standard deviations of the logarithms of the light and of each colour's, and the largest of what
is added to pixels."""
_BESIDE = 0.25
"""How much columns beside the mouth count, which have no lips, beside 1 for others."""
_ENDS = 0.12
"""Weight of the error of the ends of layers, in px, beside that of the layer of each pixel."""


def train_lips(network: LipsNetwork, mouths: Mouths, steps: int, batch: int) -> Iterator[float]:
    """Train a network, and yield the mean error of each step in px: of where layers end in the
    columns of mouths.

    Random numbers are drawn from torch's own generator.
    """
    adam = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        adam,
        lambda step: min((step + 1) / _WARM_UP, 1) * (1 + math.cos(math.pi * step / steps)) / 2,
    )
    rows = torch.arange(mouths.pixels.shape[2])[:, None] + 0.5
    for _ in range(steps):
        some = mouths.where(torch.randint(len(mouths.aus), (batch,)))
        logits = network(_coloured(to_model(some.pixels)))
        layers = (rows > some.ends[:, :, None]).sum(1)
        in_mouth = (some.ends[:, 3] > some.ends[:, 0]).float()
        weight = _BESIDE + (1 - _BESIDE) * in_mouth[:, None]
        unlike = (weight * F.cross_entropy(logits, layers, reduction="none")).mean()
        distance = (layer_ends(logits) - some.ends).abs().mean(1)
        error = (distance * in_mouth).sum() / in_mouth.sum().clamp(min=1)
        adam.zero_grad(set_to_none=True)
        (unlike + _ENDS * error).backward()
        adam.step()
        schedule.step()
        yield float(error.detach())


def _coloured(pixels: Tensor) -> Tensor:
    """Pixels (n, 3, h, w) in -1..1 in another light, of other colours, and with noise."""
    one = len(pixels), 1, 1, 1
    light = torch.randn(one) * _LIGHT + torch.randn(len(pixels), 3, 1, 1) * _TINT
    lit = ((pixels + 1) * light.exp() - 1).clamp(-1, 1)
    return lit + torch.rand(one) * _NOISE * torch.randn_like(pixels)
