"""The losses of the estimator's third training stage, and their weighted sum."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import COUNT
from .data import Examples
from .network import Outputs


@dataclass(frozen=True)
class EstimatorWeights:
    """Weights of the losses, relative to the loss on OpenFace's AUs, whose weight is 1."""

    facs: float = 0.5
    """AUs of human coders, on the faces that they scored."""
    presumed: float = 0.1
    """AUs that coders would presumably score, on the other faces; see `presumed_codes`."""
    doubt: float = 0.1
    """The size of the error; see `doubt_loss`."""


def censored_loss(predicted: Tensor, target: Tensor, deviation: Tensor) -> Tensor:
    """Mean squared error in units of standard deviations, for targets that are censored at zero.

    OpenFace clips its intensities at 0. Where the target is 0, predictions below 0 therefore have
    no error (cf. Tobin 1958).

    Args:
        predicted: (n, 17), not clamped.
        target: (n, 17) in 0-1; NaN where it is unknown, which is then left out.
        deviation: (17,), the standard deviation of each AU.
    """
    error = torch.where(target > 0, predicted - target, predicted.clamp(min=0.0))
    known = ~target.isnan()
    squares = torch.where(known, error.nan_to_num() / deviation, 0.0).square()
    return squares.sum() / known.sum().clamp(min=1)


def doubt_loss(doubt: Tensor, error: Tensor, expected: Tensor) -> Tensor:
    """Negative log-likelihood of absolute errors under Laplace distributions.

    Args:
        doubt: (n,), one per face: the logarithm of the ratio of scale and expected error.
        error: (n, 17), absolute errors.
        expected: (n, 17), expected errors at the intensities of the AUs.
    """
    scale = expected.log() + doubt[:, None]
    return (error / scale.exp() + scale).mean()


class ExpectedError(nn.Module):
    """The expected error of each AU as an increasing linear function of its intensity.

    It is trained with the estimator. Errors grow with the intensity; without this term, doubt would
    depend on the expression and not only on the quality of the photograph.

    Input and output: (n, 17), intensities in 0-1 and errors on the same scale.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at_rest = nn.Parameter(torch.full((COUNT,), -3.0))
        self.growth = nn.Parameter(torch.full((COUNT,), -2.0))

    def forward(self, intensity: Tensor) -> Tensor:
        return F.softplus(self.at_rest) + F.softplus(self.growth) * intensity


class Objective(nn.Module):
    """The weighted losses of a batch.

    Args:
        examples: the training examples; batches refer to their positions.
        weights: the weights of the losses.
    """

    def __init__(self, examples: Examples, weights: EstimatorWeights) -> None:
        super().__init__()
        self._weights = weights
        self._aus, self._facs = examples.faces.aus, examples.facs
        # Presumed scores are used only where no coder's score is known.
        presumed = presumed_codes(examples)
        self._presumed = presumed.masked_fill(~self._facs.isnan(), torch.nan)
        self._deviation = self._aus.std(0).clamp(min=0.02)
        self._facs_deviation = _deviation_of_known(self._facs, self._deviation)
        self.expected_error = ExpectedError()

    def forward(self, outputs: Outputs, chosen: Tensor, readable: int) -> dict[str, Tensor]:
        """The losses by name, each a scalar that is multiplied by its weight.

        Args:
            outputs: the estimator's outputs for n crops.
            chosen: (n,), the positions of the examples.
            readable: the number of crops, from the first, that are not corrupted. The others have
                only the loss on doubt.
        """
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
    """Estimates (n, 17) in 0-1 of what human coders would score, from OpenFace's AUs.

    For each AU it is a least-squares line, fitted on the faces that coders scored. AUs that nobody
    scored keep OpenFace's value.
    """
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
    """Standard deviation of each column without its NaNs; `otherwise` if nothing is left."""
    deviation = otherwise.clone()
    for index in range(COUNT):
        known = values[~values[:, index].isnan(), index]
        if len(known) > 1:
            deviation[index] = known.std().clamp(min=0.02)
    return deviation
