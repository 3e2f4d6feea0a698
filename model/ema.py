"""The exponential moving average of a network's weights."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage(AveragedModel):
    """An exponential moving average of a network's parameters and buffers.

    Call `update_parameters(network)` after each step; `module` is the averaged network. Buffers
    that are not floating point are copied. The state is that of `AveragedModel`, whose own update
    waits for the GPU in each step.

    Args:
        network: the network, whose weights are the first value of the average.
        decay: the decay per step, in 0-1.
        warm: use a decay of min(decay, (1 + n) / (10 + n)) in step n, so that random initial
            weights have little influence. Set it to False to start from trained weights.
    """

    def __init__(self, network: nn.Module, decay: float, warm: bool = True) -> None:
        super().__init__(network, use_buffers=True)
        self._decay, self._warm = decay, warm
        self.n_averaged += 1  # the weights of the network now

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the weights of a network into the average."""
        n = int(self.n_averaged)
        decay = min(self._decay, (1 + n) / (10 + n)) if self._warm else self._decay
        means, values = [], []
        mine = [*self.module.parameters(), *self.module.buffers()]
        for mean, value in zip(mine, [*model.parameters(), *model.buffers()], strict=True):
            if mean.is_floating_point():
                means.append(mean)
                values.append(value.detach())
            else:
                mean.copy_(value)
        torch._foreach_lerp_(means, values, 1 - decay)
        self.n_averaged += 1
