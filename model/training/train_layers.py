"""Train a network that finds the layers of a part of a face (editing/layer_network.py): lips, by
train_mouth.py, and brows and eyes, by train_upper_face.py.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ..editing.layer_network import LayerNetwork, layer_ends
from ..pixels import to_model

LEARNING_RATE = 2e-3
_WARM_UP = 50
_LIGHT, _TINT, _NOISE = 0.2, 0.12, 0.06
"""Standard deviations of the logarithms of the light and of each colour's, and the largest of what
is added to pixels."""
_BESIDE = 0.25
"""How much columns count that have the first layer and the last alone, beside 1 for others."""
_ENDS = 0.12
"""Weight of the error of the ends of layers, in px, beside that of the layer of each pixel."""


def train_layers(
    network: LayerNetwork,
    pixels: Tensor,
    ends: Tensor,
    steps: int,
    batch: int,
    often: Tensor | None = None,
) -> Iterator[float]:
    """Train a network, and yield the mean error of each step in px: of where layers end in the
    columns that have all of them.

    Random numbers are drawn from torch's own generator.

    pixels: (n, 3, h, w) uint8. ends: (n, layers - 1, w), as of `layer_ends`; all are one where a
    column has the first layer and the last alone. often: (n,), how often each is drawn, beside
    others; None draws all alike.
    """
    often = torch.ones(len(pixels)) if often is None else often
    adam = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        adam,
        lambda step: min((step + 1) / _WARM_UP, 1) * (1 + math.cos(math.pi * step / steps)) / 2,
    )
    rows = torch.arange(pixels.shape[2])[:, None] + 0.5
    for _ in range(steps):
        some = torch.multinomial(often, batch, replacement=True)
        logits, known = network(coloured(to_model(pixels[some]))), ends[some]
        layers = (rows > known[:, :, None]).sum(1)
        has_all = (known[:, -1] > known[:, 0]).float()
        weight = _BESIDE + (1 - _BESIDE) * has_all[:, None]
        unlike = (weight * F.cross_entropy(logits, layers, reduction="none")).mean()
        distance = (layer_ends(logits) - known).abs().mean(1)
        error = (distance * has_all).sum() / has_all.sum().clamp(min=1)
        adam.zero_grad(set_to_none=True)
        (unlike + _ENDS * error).backward()
        adam.step()
        schedule.step()
        yield float(error.detach())


def coloured(pixels: Tensor) -> Tensor:
    """Pixels (n, 3, h, w) in -1..1 in another light, of other colours, and with noise."""
    one = len(pixels), 1, 1, 1
    light = torch.randn(one) * _LIGHT + torch.randn(len(pixels), 3, 1, 1) * _TINT
    lit = ((pixels + 1) * light.exp() - 1).clamp(-1, 1)
    return lit + torch.rand(one) * _NOISE * torch.randn_like(pixels)
