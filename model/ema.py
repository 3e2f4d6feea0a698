"""The exponential moving average of a network's weights, which is what ships."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(network: nn.Module, decay: float, warm: bool = True) -> AveragedModel:
    """An average of a network's weights and buffers; call `update_parameters` after each step.

    warm: follow closely at first, with decay (1 + n) / (10 + n) up to `decay`, so that the random
    start is soon forgotten. Without, the average leaves trained weights only slowly.
    """

    @torch.no_grad()
    def update(average: Any, current: Any, count: Tensor | int) -> None:
        n = int(count)
        weight = 1 - (min(decay, (1 + n) / (10 + n)) if warm else decay)
        for mean, value in zip(average, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, weight)
            else:
                mean.copy_(value)

    model = AveragedModel(network, multi_avg_fn=update, use_buffers=True)
    # The first update copies the weights as they stand: do it now, before any step.
    model.update_parameters(network)
    return model
