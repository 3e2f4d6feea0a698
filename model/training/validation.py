"""The validation error: how well a generator shows target AUs on faces it is not trained on."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor

from ...pipeline.action_units import NUMBERS, positions
from ..data import Faces
from ..estimator.network import load_estimator
from ..networks.load import AnyGenerator
from ..pixels import to_model
from .losses import au_loss

MAX_FACES = 256
"""The number of test faces that validation uses at most, to limit its time."""
_BATCH = 32


class Validation:
    """Measures AU errors on held-out faces, by the shipped estimator.

    The target of each face are the AUs of the face before it, the same at every call. The critic is
    not used to measure, because the generator is trained against it; the estimator is independent
    of both.

    Args:
        faces: held-out faces, at least one.
        device: where to compute.
        aus: numbers of the AUs that are counted: those that the generator is trained on.
    """

    def __init__(self, faces: Faces, device: torch.device, aus: Sequence[int] = NUMBERS) -> None:
        self.faces, self._device = faces, device
        self._estimator = deepcopy(load_estimator()).to(device)
        self.targets = faces.aus.roll(1, 0)
        """(faces, 17) in 0-1."""
        self._counted = positions(aus)
        self.copy_error = self._error([self._read(images) for images in self._images()])
        """The error of the unchanged photographs, which is that of a generator that copies."""

    @torch.inference_mode()
    def error(self, generator: AnyGenerator) -> float:
        """Mean squared difference of target AUs and AUs read in generated faces, in 0-1."""
        targets, own = self.targets.split(_BATCH), self.faces.aus.split(_BATCH)
        read = []
        for images, target, before in zip(self._images(), targets, own, strict=True):
            masks = generator(images, target.to(self._device), before.to(self._device))
            read.append(self._read(masks.blend()))
        return self._error(read)

    def _images(self) -> list[Tensor]:
        return [to_model(images.to(self._device)) for images in self.faces.images.split(_BATCH)]

    def _read(self, images: Tensor) -> Tensor:
        return self._estimator.read(images).aus.cpu()

    def _error(self, read: list[Tensor]) -> float:
        return float(au_loss(torch.cat(read)[:, self._counted], self.targets[:, self._counted]))
