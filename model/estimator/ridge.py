"""Ridge regression in closed form, over more samples than memory holds at once."""

import torch
from torch import Tensor


class Moments:
    """Sums over weighted samples from which a ridge regression is solved."""

    def __init__(self, features: int, targets: int) -> None:
        # A column of ones beside the features carries the means.
        self._xx = torch.zeros(features + 1, features + 1, dtype=torch.float64)
        self._xy = torch.zeros(features + 1, targets, dtype=torch.float64)

    def add(self, x: Tensor, y: Tensor, weight: Tensor) -> None:
        """Samples x (n, features), y (n, targets) that count `weight` (n,) each."""
        x = torch.cat([x, torch.ones(len(x), 1)], 1)
        weighted = (x * weight[:, None]).T
        self._xx += weighted @ x
        self._xy += weighted @ y

    def ridge(self, share: float) -> tuple[Tensor, Tensor]:
        """Weights (targets, features) and bias (targets,) that minimise the squared error plus
        `share` times the number of samples times the squared weights; the bias is free."""
        count = self._xx[-1, -1]
        mean_x, mean_y = self._xx[-1, :-1] / count, self._xy[-1] / count
        xx = self._xx[:-1, :-1] - count * torch.outer(mean_x, mean_x)
        xy = self._xy[:-1] - count * torch.outer(mean_x, mean_y)
        xx.diagonal().add_(share * count)
        weights = torch.linalg.solve(xx, xy)
        return weights.T.float(), (mean_y - mean_x @ weights).float()
