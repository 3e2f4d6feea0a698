"""What the estimator is trained to do: each loss a small function, and their sum."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import COUNT
from .data import Examples
from .network import Outputs


@dataclass(frozen=True)
class EstimatorWeights:
    """How much each loss counts beside the AUs of OpenFace, which count 1."""

    facs: float = 0.5
    """The AUs of human coders, on the faces they scored."""
    presumed: float = 0.1
    """What coders would presumably say of the other faces."""
    doubt: float = 0.1


def censored_loss(predicted: Tensor, target: Tensor, deviation: Tensor) -> Tensor:
    """Mean squared error in units of each AU's standard deviation, one-sided at zero; NaN targets
    are left out.

    OpenFace clips at 0: where it says 0, any prediction below is as right (Tobin 1958).
    """
    error = torch.where(target > 0, predicted - target, predicted.clamp(min=0.0))
    known = ~target.isnan()
    squares = torch.where(known, error.nan_to_num() / deviation, 0.0).square()
    return squares.sum() / known.sum().clamp(min=1)


def doubt_loss(doubt: Tensor, error: Tensor, expected: Tensor) -> Tensor:
    """Negative log-likelihood of absolute errors (n, 17) under Laplace distributions whose scale
    is the error expected at that intensity times exp(doubt), one doubt (n,) a face."""
    scale = expected.log() + doubt[:, None]
    return (error / scale.exp() + scale).mean()


class ExpectedError(nn.Module):
    """The error to expect of each AU at its intensity: stronger AUs are misread by more.

    Learned beside the estimator, so that its doubt is about the photograph, not the expression.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at_rest = nn.Parameter(torch.full((COUNT,), -3.0))
        self.growth = nn.Parameter(torch.full((COUNT,), -2.0))

    def forward(self, intensity: Tensor) -> Tensor:
        return F.softplus(self.at_rest) + F.softplus(self.growth) * intensity


class Objective(nn.Module):
    """The losses of a batch of examples, weighted, by name."""

    def __init__(self, examples: Examples, weights: EstimatorWeights) -> None:
        super().__init__()
        self._weights = weights
        self._aus, self._facs = examples.faces.aus, examples.facs
        # Where a coder's score is known, it is not to be presumed.
        presumed = presumed_codes(examples)
        self._presumed = presumed.masked_fill(~self._facs.isnan(), torch.nan)
        self._deviation = self._aus.std(0).clamp(min=0.02)
        self._facs_deviation = _deviation_of_known(self._facs, self._deviation)
        self.expected_error = ExpectedError()

    def forward(self, outputs: Outputs, chosen: Tensor, readable: int) -> dict[str, Tensor]:
        """outputs: of the examples at the positions `chosen` (n,). The crops after the first
        `readable` were spoilt, and count for the doubt alone."""
        aus = self._aus[chosen]
        read, clear = Outputs(*(value[:readable] for value in outputs)), chosen[:readable]
        error = (outputs.openface.clamp(0.0, 1.0) - aus).abs().detach()
        facs = censored_loss(read.facs, self._facs[clear], self._facs_deviation)
        presumed = censored_loss(read.facs, self._presumed[clear], self._facs_deviation)
        return {
            "AUs": censored_loss(read.openface, aus[:readable], self._deviation),
            "coded": self._weights.facs * facs,
            "presumed": self._weights.presumed * presumed,
            "doubt": self._weights.doubt
            * doubt_loss(outputs.doubt, error, self.expected_error(aus)),
        }


def presumed_codes(examples: Examples) -> Tensor:
    """What human coders would score, as far as OpenFace's answer (n, 17) tells: per AU the
    straight line fitted where both are known, OpenFace's own value for AUs nobody scored."""
    presumed = examples.faces.aus.clone()
    for index in range(COUNT):
        both = ~examples.facs[:, index].isnan()
        if both.any():
            x, y = examples.faces.aus[both, index], examples.facs[both, index]
            covariance = ((x - x.mean()) * (y - y.mean())).mean()
            slope = covariance / x.var(correction=0).clamp(min=1e-6)
            presumed[:, index] = (presumed[:, index] - x.mean()) * slope + y.mean()
    return presumed.clamp(0.0, 1.0)


def _deviation_of_known(values: Tensor, otherwise: Tensor) -> Tensor:
    """Standard deviation of each column over what is no NaN; `otherwise` where all of it is."""
    deviation = otherwise.clone()
    for index in range(COUNT):
        known = values[~values[:, index].isnan(), index]
        if len(known) > 1:
            deviation[index] = known.std().clamp(min=0.02)
    return deviation
