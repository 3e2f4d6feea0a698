"""Features of Inception v3 for the FID and the Inception Score."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.errors import WrongUse
from ..pixels import to_model

_SIZE = 299  # px, the input of Inception v3


class Inception:
    """torchvision's Inception v3 with ImageNet weights from a file.

    Published results use the network of the original implementation, converted from TensorFlow,
    on 50,000 pictures. Metrics with these features are comparable with each other only.

    Args:
        weights: torchvision's file `inception_v3_google-0cc3c7bd.pth`. Raises WrongUse for any
            other file.
        device: where the network computes.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        from torchvision.models import inception_v3

        network = inception_v3(weights=None, init_weights=False, transform_input=False)
        try:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except Exception as error:  # torch raises exceptions of many classes for other files
            raise WrongUse(
                f"--inception {weights}: these are not torchvision's weights of inception_v3. The "
                "file is called inception_v3_google-0cc3c7bd.pth."
            ) from error
        self._classifier, network.fc = network.fc, nn.Identity()
        self._network, self._device = network.eval().to(device), device
        self._classifier.to(device)

    @torch.inference_mode()
    def extract(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (n, 2048) of the last pooling layer, and class logits (n, 1000).

        pictures: (n, h, w, 3) uint8 RGB.
        """
        images: Tensor = to_model(torch.from_numpy(pictures).permute(0, 3, 1, 2)).to(self._device)
        images = F.interpolate(images, (_SIZE, _SIZE), mode="bilinear", antialias=True)
        features = self._network(images)
        return features.cpu().numpy(), self._classifier(features).cpu().numpy()
