"""The exponential moving average of a network's weights."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(network: nn.Module, decay: float, warm: bool = True) -> AveragedModel:
    """An exponential moving average of a network's parameters and buffers.

    Call `update_parameters(network)` after each step; `module` is the averaged network. Buffers
    that are not floating point are copied.

    Args:
        network: the network, whose weights are the first value of the average.
        decay: the decay per step, in 0-1.
        warm: use a decay of min(decay, (1 + n) / (10 + n)) in step n, so that random initial
            weights have little influence. Set it to False to start from trained weights.
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
    # The first update of AveragedModel copies the weights instead of averaging them.
    model.update_parameters(network)
    return model
