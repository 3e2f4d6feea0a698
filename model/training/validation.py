"""How well a generator obeys, on faces that training never sees, as a reader of AUs sees it."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor

from ...pipeline.action_units import NUMBERS, positions
from ..data import Faces
from ..estimator.network import load_estimator
from ..networks.generator import Generator
from ..pixels import to_model
from .losses import au_loss

MOST = 256
"""Held-out faces that are measured on; more would cost more time than they add certainty."""
_BATCH = 32


class HeldOut:
    """Held-out faces and the AUs that are asked of each: those of another, always the same one.

    aus: those that count, as the generator knows no others. The judge is the estimator that ships,
    and not the critic's AU head: the critic knows the generator it trains with and has been fooled
    by it, the estimator has never met it.
    """

    def __init__(self, faces: Faces, device: torch.device, aus: Sequence[int] = NUMBERS) -> None:
        self.faces, self._device = faces, device
        self._estimator = deepcopy(load_estimator()).to(device)
        self.asked = faces.aus.roll(1, 0)
        self._counted = positions(aus)
        self.copy_error = self._error([self._read(images) for images in self._images()])
        """The error of the photographs as they are: what a generator that copies has."""

    @torch.inference_mode()
    def error(self, generator: Generator) -> float:
        """Mean squared difference of asked and read AUs, on the 0-1 scale."""
        asked, own = self.asked.split(_BATCH), self.faces.aus.split(_BATCH)
        read = []
        for images, target, before in zip(self._images(), asked, own, strict=True):
            masks = generator(images, target.to(self._device), before.to(self._device))
            read.append(self._read(masks.blend()))
        return self._error(read)

    def _images(self) -> list[Tensor]:
        return [to_model(images.to(self._device)) for images in self.faces.images.split(_BATCH)]

    def _read(self, images: Tensor) -> Tensor:
        return self._estimator.read(images).aus.cpu()

    def _error(self, read: list[Tensor]) -> float:
        return float(au_loss(torch.cat(read)[:, self._counted], self.asked[:, self._counted]))
