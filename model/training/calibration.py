"""The gains of a flow generator: how much of an AU to ask for, so that as much is read.

A generator that was trained on pairs shows less of a single AU than it is asked for, because AUs
come in company in its photographs. Its flow goes on beyond the range of training, so asking for
more helps. The gain of each AU is fitted after the training on faces that were not trained on, by
the estimator, and stored in the weights.
"""

from bisect import bisect_left
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from ...pipeline.action_units import COUNT, positions
from ..data import Faces
from ..estimator.network import load_estimator
from ..networks.flow_generator import NUISANCE, FlowGenerator
from ..pixels import to_model
from .pair_sampler import MAX_GAINS

ASKED, ENOUGH = 0.6, 0.4
"""The change of an AU that is asked for, and the mean change that must be read for it."""
_STEP = 0.1
_LITTLE = 0.2
"""Faces that show more than this of an AU are not asked for it."""
_FACES = 16
"""Faces for each AU at most, the first ones. Each is encoded once for each AU, and rendered for
some of its gains."""


@torch.inference_mode()
def calibrated_gains(generator: FlowGenerator, faces: Faces) -> Tensor:
    """The gain of each AU (17,), in 1 to its one of MAX_GAINS.

    It is the smallest at which ASKED more of the AU is read as ENOUGH more, in the mean over faces
    that show little of it; if none is enough, that of the best reading. AUs that the generator does
    not know, or that all faces show, have a gain of 1.

    Args:
        generator: of any gains, which are not used.
        faces: in the frame of the generator.
    """
    images = to_model(faces.images)
    own = torch.cat([load_estimator().read(some).aus for some in images.split(_FACES)])
    gains = torch.ones(COUNT)
    for au in positions(generator.settings.aus):
        chosen = (own[:, au] < _LITTLE).nonzero()[:_FACES, 0]
        if len(chosen):
            rise = _rises(generator, images[chosen], own[chosen], au)
            gains[au] += _STEP * lowest_enough(rise, round((MAX_GAINS[au] - 1) / _STEP))
    return gains


def lowest_enough(rise: Callable[[int], float], most: int) -> int:
    """The lowest of the steps from 0 to `most` at which `rise` is ENOUGH; if it is at none, that at
    which it is highest.

    A reading rises with the gain, and falls again only where a face is pulled too far. So a few of
    the steps tell. rise: of such a curve, at a step.
    """
    best = most
    while best > 0 and rise(best) < ENOUGH and rise(best - 1) >= rise(best):
        best -= 1
    if rise(best) < ENOUGH:
        return best
    return bisect_left(range(best + 1), ENOUGH, key=rise)


def _rises(generator: FlowGenerator, faces: Tensor, own: Tensor, au: int) -> Callable[[int], float]:
    """How much more of an AU is read at each step of its gain, in the mean over faces.

    faces: (n, 3, size, size) in -1..1. own: (n, 17), their AUs. au: its column.
    """
    device = next(generator.parameters()).device
    features = generator.encode(faces.to(device))

    @cache
    def rise(step: int) -> float:
        change = torch.zeros(len(faces), COUNT)
        change[:, au] = ASKED * (1 + _STEP * step)
        numbers = (own + change).clamp(0, 1), change, torch.zeros(len(faces), NUISANCE)
        edited = generator.render(features, *(each.to(device) for each in numbers)).masks.blend()
        return float((load_estimator().read(edited.cpu()).aus - own)[:, au].mean())

    return rise
