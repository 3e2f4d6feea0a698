"""Inception v3 from a file the user names, for the Fréchet Inception Distance and the score."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.errors import WrongUse
from ..pixels import to_model

_SIDE = 299


class Seen(NamedTuple):
    """What Inception v3 makes of n pictures."""

    features: np.ndarray
    """(n, 2048), after the last pooling."""
    classes: np.ndarray
    """(n, 1000), probabilities of ImageNet's classes."""


class Inception:
    """torchvision's Inception v3 with its ImageNet weights.

    The distance and score that others publish mostly come from an older, converted network, on
    50,000 pictures: compare them with these figures' like only.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        from torchvision.models import inception_v3

        network = inception_v3(weights=None, init_weights=False, transform_input=False)
        try:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except Exception as error:  # torch raises nearly anything on other files
            raise WrongUse(
                f"--inception {weights}: these are not torchvision's weights of inception_v3. The "
                "file is called inception_v3_google-0cc3c7bd.pth."
            ) from error
        self._classes, network.fc = network.fc, nn.Identity()
        self._network, self._device = network.eval().to(device), device
        self._classes.to(device)

    @torch.inference_mode()
    def see(self, pictures: np.ndarray) -> Seen:
        """Pictures (n, h, w, 3) uint8."""
        images: Tensor = to_model(torch.from_numpy(pictures).permute(0, 3, 1, 2)).to(self._device)
        images = F.interpolate(images, (_SIDE, _SIDE), mode="bilinear", antialias=True)
        features = self._network(images)
        classes = self._classes(features).softmax(1)
        return Seen(features.cpu().numpy(), classes.cpu().numpy())


def inception_score(classes: np.ndarray) -> float:
    """exp of the mean KL divergence of each picture's classes (n, c) from those of all
    (Salimans et al. 2016), over one lot."""
    classes = classes.astype(np.float64)
    divergence = classes * (np.log(classes + 1e-12) - np.log(classes.mean(0) + 1e-12))
    return float(np.exp(divergence.sum(1).mean()))
