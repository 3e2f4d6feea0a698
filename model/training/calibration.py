"""The gains of a flow generator: how much of an AU to ask for, so that as much is read.

A generator that was trained on pairs shows less of a single AU than it is asked for, because AUs
come in company in its photographs. Its flow goes on beyond the range of training, so asking for
more helps. The gain of each AU is fitted after the training on faces that were not trained on, by
the estimator, and stored in the weights.
"""

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
"""Faces for each AU at most, the first ones. Each is rendered up to 16 times for each AU."""


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
    device = next(generator.parameters()).device
    estimator = load_estimator()
    images = to_model(faces.images)
    own = torch.cat([estimator.read(some).aus for some in images.split(_FACES)])
    gains = torch.ones(COUNT)
    for au in positions(generator.settings.aus):
        chosen = (own[:, au] < _LITTLE).nonzero()[:_FACES, 0]
        if not len(chosen):
            continue
        best = float("-inf")
        for gain in torch.arange(1.0, MAX_GAINS[au] + _STEP / 2, _STEP).tolist():
            change = torch.zeros(len(chosen), COUNT)
            change[:, au] = ASKED * gain
            rise = _read(generator, images[chosen], own[chosen], change, device)[:, au].mean()
            if rise > best:
                best, gains[au] = float(rise), gain
            if rise >= ENOUGH:
                break
    return gains


def _read(
    generator: FlowGenerator, images: Tensor, own: Tensor, change: Tensor, device: torch.device
) -> Tensor:
    """How much more of each AU (n, 17) is read in faces (n, 3, size, size) after a change."""
    aus = (own + change).clamp(0, 1)
    equal = torch.zeros(len(images), NUISANCE)
    inputs = (each.to(device) for each in (images, aus, change, equal))
    edited = generator.outputs(*inputs).masks.blend()
    return load_estimator().read(edited.cpu()).aus - own
