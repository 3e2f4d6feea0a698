"""The objective of paired training: a person's other photograph is the answer.

A pair is two photographs of a series, source and target, with AUs and landmarks of both known. The
generator is asked for the target's AUs, and its result is compared with the target itself. It
minimises the sum of weight x term over `generator_terms`, the critics that over `critic_terms`:

    term                 what it is                                              of
    reconstruction       distance of result and target at three scales           pairs
    moved                the same of the face that is moved and not yet painted  pairs
    landmarks            error of the flow where landmarks are known             pairs
    matching             distance of the pair critic's features                  pairs
    adversarial          negative score of results by the pair critic            pairs
    result_adversarial   negative score of results by the result critic          all faces
    attention            mean share of the face that is painted                  pairs
    fields               mean size of the flow fields of AUs and nuisance        all faces
    aus                  error of the AUs that are read (au_reading.py)          unpaired faces
    rest                 mean size of the flow that is not linear                all faces
    folds                how far strong changes of AUs fold the face             all faces
    critic_pairs         hinge loss of the pair critic, weight 1                 pairs
    critic_results       hinge loss of the result critic, weight 1               all faces

Each term is a mean over faces and pixels, as in losses.py; `PairWeights` has a weight of the same
name. Reconstruction at several scales and feature matching follow Wang et al. 2018 (pix2pixHD).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.flow_generator import FlowOutputs
from .losses import Terms
from .pair_sampler import PairBatch

_SCALES = 3
_LEAST_AREA = 0.2
_RAMPS = {"matching": 1000, "adversarial": 3000}
"""Iterations over which the weight of a term rises from 0: critics learn first."""
_RESULT_RAMP = 300
"""The same for `result_adversarial`, from the first iteration with unpaired faces."""


class Judged(NamedTuple):
    """What the critics give for the results of a generator."""

    scores: Tensor
    """Of the pair critic for results, (n, 1, h', w')."""
    features: list[Tensor]
    """Of the pair critic, layer by layer, for results."""
    target_features: list[Tensor]
    """The same for targets; constants."""
    scores_alone: Tensor | None
    """Of the result critic for results of pairs and unpaired faces; None if there are no unpaired
    faces yet."""


def generator_terms(
    batch: PairBatch, outputs: FlowOutputs, results: Tensor, judged: Judged
) -> Terms:
    """What the generator minimises.

    outputs: for the sources, followed by the unpaired faces. results: what was blended of them for
    the sources, (n, 3, size, size).
    """
    count = len(batch.sources)
    masks = outputs.masks
    assert masks.flow is not None
    terms = {
        "reconstruction": reconstruction(results, batch.targets),
        "moved": reconstruction(masks.face[:count], batch.targets),
        "landmarks": landmark_error(
            masks.flow[:count], batch.source_landmarks, batch.target_landmarks
        ),
        "matching": feature_matching(judged.features, judged.target_features),
        "adversarial": -judged.scores.float().mean(),
        "attention": (1 - masks.attention[:count]).mean(),
        "fields": outputs.fields.abs().mean(),
        "rest": outputs.rest.abs().mean(),
    }
    if judged.scores_alone is not None:
        terms["result_adversarial"] = -judged.scores_alone.float().mean()
    return terms


def ramped(terms: Terms, iteration: int, free_iterations: int) -> Terms:
    """The terms, with those of the critics multiplied by 0 to 1 at the beginning.

    iteration: from 0. free_iterations: those with unpaired faces until now, this one included.
    """
    factors = {name: min(1.0, iteration / length) for name, length in _RAMPS.items()}
    factors["result_adversarial"] = min(1.0, free_iterations / _RESULT_RAMP)
    return {name: factors.get(name, 1.0) * term for name, term in terms.items()}


def reconstruction(results: Tensor, targets: Tensor) -> Tensor:
    """Sum over three scales (1, 1/2, 1/4) of the mean absolute difference."""
    total = results.new_zeros(())
    for _ in range(_SCALES):
        total = total + (results - targets).abs().mean()
        results, targets = F.avg_pool2d(results, 2), F.avg_pool2d(targets, 2)
    return total


def landmark_error(flow: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of the flow at the target's landmarks, in half sides.

    flow: (n, 2, h, w), from where each pixel of the result is fetched. source, target: landmarks
    (n, p, 2) in -1..1; those outside the crop in either photograph count as no error, and so do
    those that are not known, for which both lie outside.
    """
    found = F.grid_sample(flow, target[:, :, None], align_corners=False)[..., 0].transpose(1, 2)
    inside = (target.abs() < 1).all(2) & (source.abs() < 1).all(2)
    return ((found - (source - target)).abs() * inside[..., None]).mean()


def folds(fields: Tensor, change: Tensor) -> Tensor:
    """How far the flow of changes of AUs folds the face: there, parts of it are seen twice.

    The mean over pixels of how much the determinant of the Jacobian, the area that is fetched for a
    unit of area, is below _LEAST_AREA (compare Mok & Chung 2020, section 3.3.2, for registration).

    fields: (n, AUs, 2, h, w) in half sides. change: (n, AUs).
    """
    flow = (fields * change[:, :, None, None, None]).sum(1)
    height, width = flow.shape[2:]
    right = (flow[..., :-1, 1:] - flow[..., :-1, :-1]) * (width / 2)
    down = (flow[..., 1:, :-1] - flow[..., :-1, :-1]) * (height / 2)
    area = (1 + right[:, 0]) * (1 + down[:, 1]) - right[:, 1] * down[:, 0]
    return F.relu(_LEAST_AREA - area).mean()


def feature_matching(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Sum over a critic's layers of the mean absolute difference of features."""
    return torch.stack(
        [(one.float() - other.float()).abs().mean() for one, other in zip(fake, real, strict=True)]
    ).sum()


def hinge(real: Tensor, *fakes: Tensor) -> Tensor:
    """Hinge loss of a critic: scores of photographs above 1, of each kind of fakes below -1."""
    below = torch.stack([F.relu(1 + fake.float()).mean() for fake in fakes]).mean()
    return F.relu(1 - real.float()).mean() + below
