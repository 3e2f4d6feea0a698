"""A generator as `animate` applies it, over batches of crops."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ...pipeline.faces.crop import CROP_SIZE, Box, cut_crop
from ...pipeline.faces.paste import paste_change
from ..networks.generator import load_generator
from ..pixels import to_model

_WHOLE = Box(0, 0, CROP_SIZE, CROP_SIZE)


class Animated(NamedTuple):
    """What became of n crops."""

    pictures: np.ndarray
    """(n, 128, 128, 3) uint8."""
    attention: np.ndarray
    """(n, size, size) float32 in 0-1, at the generator's size; 1 keeps the photograph."""


class CropAnimator:
    """Crops of 128 px and AUs to crops of 128 px.

    As in `animate`, a generator of another size sees the crop at its own, and the *change* it
    makes is brought back to 128 px, faded out at the edge, and made there.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        self.name = weights.name
        self.generator, self.size = load_generator(weights)
        self.generator.to(device)
        self.fingerprint = hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
        self._device = device

    @torch.inference_mode()
    def animate(self, crops: np.ndarray, aus: np.ndarray, own: np.ndarray) -> Animated:
        """Crops (n, 128, 128, 3) uint8, which show the AUs `own`, with `aus`; (n, 17) in 0-1."""
        seen = np.stack([cut_crop(crop, _WHOLE, self.size) for crop in crops])
        images = to_model(torch.from_numpy(seen).permute(0, 3, 1, 2)).to(self._device)
        targets, shown = (
            torch.from_numpy(values.astype(np.float32)).to(self._device) for values in (aus, own)
        )
        masks = self.generator(images, targets, shown)
        changes = masks.changes()
        pictures = np.stack(
            [paste_change(crop, _WHOLE, one) for crop, one in zip(crops, changes, strict=True)]
        )
        return Animated(pictures, masks.attention.squeeze(1).float().cpu().numpy())
