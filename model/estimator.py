"""The estimator: a small residual network that reads 17 AUs from a 128x128 crop.

It annotates where no OpenFace is, gives `animate` the face's own AUs, and measures generators.
Train one on any shards that OpenFace annotated:

    python -m ganim.model.train_estimator --shards shards/ --out estimator.safetensors
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..pipeline.action_units import COUNT, to_intensity
from ..pipeline.annotate import Crop, Reading
from .checkpoint import WEIGHTS, fill, load_weights
from .data import decode_crop, to_model

SIZE = 128
SHIPPED = WEIGHTS / "estimator.safetensors"


class _Block(nn.Module):
    """Two 3x3 convolutions with batch normalisation around a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Estimator(nn.Module):
    """Crops (n, 3, size, size) in -1..1 to AUs (n, 17), on the 0-1 scale but not clamped.

    The last features keep their 4x4 positions, since an AU is tied to a place in the face. The
    output is linear: OpenFace clips its intensities at 0, and what it clipped may lie below.
    """

    def __init__(self, widths: Sequence[int] = (32, 64, 128, 192)) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {"widths": list(widths)}
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 5, 2, 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        for inputs, outputs in zip([widths[0], *widths], widths, strict=False):
            blocks += [_Block(inputs, outputs, 2), _Block(outputs, outputs, 1)]
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(widths[-1] * 4 * 4, COUNT)
        nn.init.zeros_(self.head.weight)

    def forward(self, crops: Tensor) -> Tensor:
        if crops.shape[-1] != SIZE:
            crops = F.interpolate(crops, (SIZE, SIZE), mode="bicubic", align_corners=False)
        features = self.blocks(self.stem(crops))
        return self.head(self.dropout(features.flatten(1)))

    @torch.inference_mode()
    def read(self, crops: Tensor) -> Tensor:
        """AUs (n, 17) in 0-1 of crops (n, 3, size, size) uint8 or already in -1..1."""
        if crops.dtype == torch.uint8:
            crops = to_model(crops)
        return self(crops).float().clamp(0.0, 1.0)


@lru_cache(maxsize=2)
def load_estimator(path: Path = SHIPPED) -> Estimator:
    """An estimator in evaluation mode. Raises WrongUse if the file is not one."""
    tensors, settings = load_weights(path, kind="estimator")
    estimator = Estimator(settings["widths"])
    fill(estimator, tensors, path)
    estimator.settings = settings
    return estimator.eval()


class EstimatorAnnotator:
    """The estimator as an annotator for `pipeline.annotate`."""

    batch = 64

    def __init__(self, path: Path = SHIPPED) -> None:
        self._estimator = load_estimator(path)
        self.name = f"ganim estimator {self._estimator.settings['version']}"

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """One reading a crop. It gives no confidence yet."""
        pictures = torch.stack(
            [torch.from_numpy(decode_crop(crop.image, SIZE)).permute(2, 0, 1) for crop in crops]
        )
        return [Reading(to_intensity(aus.numpy())) for aus in self._estimator.read(pictures)]
