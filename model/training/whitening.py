"""The matrix by which the changes that pairs tell vary alike in all directions."""

from collections.abc import Sequence

import torch
from torch import Tensor

_SCALE = 0.3
"""Of changes after whitening, near that of AU changes before: they keep the pace of learning."""
_LEAST = 0.04
"""Directions that vary by a smaller standard deviation, noise, are taken to vary by this."""


def whitening(told: Tensor, series: Sequence[Tensor]) -> Tensor:
    """The symmetric matrix (k, k) W, so that told @ W varies alike in all directions.

    told: (faces, k), AUs and nuisance of each; NaN is taken as the mean of the series. series: the
    positions of the faces of each. Pairs are of one series, so what varies is the difference of
    two of its faces.
    """
    residuals = within_series(told, series).nan_to_num(nan=0.0)
    covariance = 2 * (residuals.T @ residuals).double() / len(residuals)
    variances, directions = torch.linalg.eigh(covariance)
    deviations = variances.clamp(min=_LEAST**2).sqrt()
    return (_SCALE * (directions / deviations) @ directions.T).float()


def within_series(values: Tensor, series: Sequence[Tensor]) -> Tensor:
    """(faces of series, k): values (faces, k) less the mean of their series, series by series; NaN
    is left out of means and stays."""
    return torch.cat([values[one] - values[one].nanmean(0) for one in series])
