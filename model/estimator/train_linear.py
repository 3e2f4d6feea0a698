"""Second stage of the training of the estimator: the linear reading of AUs, in closed form."""

from typing import cast

import torch
from torch import nn

from ...pipeline.action_units import COUNT
from .augment import augment
from .data import Examples
from .losses import presumed_codes
from .network import FEATURES, Estimator
from .reader import CODINGS
from .ridge import Moments
from .settings import READING, EstimatorSettings


@torch.inference_mode()
def train_linear(estimator: Estimator, examples: Examples, settings: EstimatorSettings) -> None:
    """Fit the linear weights of both codings by ridge regression on histograms and shape.

    The closed form also finds directions of low variance, in which gradient descent converges
    slowly. For the FACS coding, scores by human coders have weight 1, and presumed scores, on faces
    that nobody coded, the weight that they have in the third stage.
    """
    estimator.eval()
    scored = ~examples.facs.isnan()
    targets = {
        "openface": examples.faces.aus,
        "facs": torch.where(scored, examples.facs, presumed_codes(examples)),
    }
    weight_of = {
        "openface": torch.ones(len(examples)),
        "facs": torch.where(scored.any(1), 1.0, settings.weights.presumed),
    }
    sums = {coding: Moments(FEATURES, COUNT) for coding in CODINGS}
    generator = torch.Generator().manual_seed(settings.seed)
    for number in range(settings.ridge_passes):
        for chosen in torch.arange(len(examples)).split(settings.batch):
            crops = examples.faces.images[chosen].float() / 255
            if number:
                images, landmarks = examples.faces.images[chosen], examples.landmarks[chosen]
                crops, _ = augment(images, landmarks, generator, READING)
            features = estimator.features(crops * 2 - 1)[2]
            for coding, moments in sums.items():
                moments.add(features, targets[coding][chosen], weight_of[coding][chosen])
    for coding, moments in sums.items():
        linear = cast(nn.Linear, estimator.linear[coding])
        weight, bias = moments.ridge(settings.ridge)
        linear.weight.copy_(weight)
        linear.bias.copy_(bias)
