"""The objective of paired training: a person's other photograph is the answer.

A pair is two photographs of a series, source and target, with AUs and landmarks of both known. The
generator is asked for the target's AUs, and its result is compared with the target itself:

    generator   reconstruction + moved + landmarks + matching + adversarial + result_adversarial
                + attention + fields + rest
    critics     hinge losses of `PairCritic` (targets against results) and of `ResultCritic`
                (photographs against edits without an answer)

Each term is a mean over faces and pixels, as in losses.py; `PairWeights` has a weight of the same
name. Reconstruction at several scales and feature matching follow Wang et al. 2018 (pix2pixHD).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_SCALES = 3


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
    (n, p, 2) in -1..1; those outside the crop in either photograph are left out.
    """
    found = F.grid_sample(flow, target[:, :, None], align_corners=False)[..., 0].transpose(1, 2)
    inside = (target.abs() < 1).all(2) & (source.abs() < 1).all(2)
    return ((found - (source - target)).abs() * inside[..., None]).mean()


def feature_matching(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Sum over a critic's layers of the mean absolute difference of features."""
    return torch.stack(
        [(one.float() - other.float()).abs().mean() for one, other in zip(fake, real, strict=True)]
    ).sum()


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss of a critic: scores of photographs above 1, of results below -1."""
    return F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()
