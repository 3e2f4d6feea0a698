"""Ridge regression in closed form, over samples that are added in batches."""

import torch
from torch import Tensor


class Moments:
    """Second moments of weighted samples, from which a ridge regression is solved.

    Args:
        features, targets: numbers of columns of x and y.
    """

    def __init__(self, features: int, targets: int) -> None:
        # The last feature is a constant 1, whose moments are the sums of x, of y and of weights.
        self._xx = torch.zeros(features + 1, features + 1, dtype=torch.float64)
        self._xy = torch.zeros(features + 1, targets, dtype=torch.float64)

    def add(self, x: Tensor, y: Tensor, weight: Tensor) -> None:
        """Add samples x (n, features) and y (n, targets) with weights (n,)."""
        x = torch.cat([x, torch.ones(len(x), 1)], 1)
        weighted = (x * weight[:, None]).T
        self._xx += weighted @ x
        self._xy += weighted @ y

    def ridge(self, share: float) -> tuple[Tensor, Tensor]:
        """Solve the regression (Hoerl & Kennard 1970).

        Minimises the weighted sum of squared errors plus `share` times the sum of sample weights
        times the squared norm of the coefficients. The bias is not penalised.

        Returns coefficients (targets, features) and bias (targets,), float32.
        """
        count = self._xx[-1, -1]
        mean_x, mean_y = self._xx[-1, :-1] / count, self._xy[-1] / count
        xx = self._xx[:-1, :-1] - count * torch.outer(mean_x, mean_x)
        xy = self._xy[:-1] - count * torch.outer(mean_x, mean_y)
        xx.diagonal().add_(share * count)
        weights = torch.linalg.solve(xx, xy)
        return weights.T.float(), (mean_y - mean_x @ weights).float()
