"""The estimator: a small network that reads 17 AUs from a 128x128 crop, in OpenFace's stead.

It finds 68 landmarks, turns the face upright, and reads it there; as OpenFace does, and some ten
times faster. It annotates where no OpenFace is, gives `animate` the face's own AUs, and measures
generators. Train one on any shards that OpenFace annotated:

    python -m ganim.model.train_estimator --shards shards/ --out estimator.safetensors
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..pipeline.action_units import COUNT
from .alignment import POINTS, Aligner, UprightView, unit
from .checkpoint import fill, load_weights
from .data import to_model
from .readers import SHIPPED, SIZE, Coding


class Outputs(NamedTuple):
    """What the network says, raw, of n crops."""

    landmarks: Tensor
    """(n, 68, 2), x and y in -1..1 across the crop."""
    openface: Tensor
    """AUs (n, 17) on the 0-1 scale as OpenFace would give them, but not clamped."""
    facs: Tensor
    """AUs (n, 17) on the 0-1 scale as human coders would give them, not clamped."""
    doubt: Tensor
    """(n,) logarithm of the errors to expect, against those of an average training crop."""


@dataclass(frozen=True)
class Readings:
    """What the estimator reads in n crops."""

    aus: Tensor
    """(n, 17) in 0-1."""
    confidence: Tensor
    """(n,) in 0-1: about 0.95 for a clear photograph, 0.05 where there is no face to read."""


class _Block(nn.Module):
    """Two 3x3 convolutions with batch normalisation around a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = unit(inputs, outputs, 3, stride)
        self.second = unit(outputs, outputs, 3)[:2]
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = unit(inputs, outputs, 1, stride)[:2]

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class Estimator(nn.Module):
    """Crops (n, 3, size, size) in -1..1 to landmarks, AUs in two codings, and doubt.

    The last features keep their 4x4 positions, since an AU is tied to a place in the face. The
    AUs are linear in them: OpenFace clips its intensities at 0, and what it clipped may lie below.
    """

    half_doubt: Tensor
    """Doubt at which the confidence is a half."""
    doubt_scale: Tensor
    """How slowly it falls around there; both are set at the end of training."""

    def __init__(
        self,
        widths: Sequence[int] = (32, 48, 96, 160, 192),
        aligner_widths: Sequence[int] = (24, 48, 64, 96),
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "widths": list(widths),
            "aligner_widths": list(aligner_widths),
        }
        self.aligner = Aligner(aligner_widths)
        self.view = UprightView(torch.zeros(POINTS, 2))
        first, *others = widths
        blocks: list[nn.Module] = [unit(3, first, 5, 2)]
        for inputs, outputs in zip(widths, others, strict=False):
            blocks += [_Block(inputs, outputs, 2), _Block(outputs, outputs, 1)]
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(0.3)
        features = widths[-1] * 4 * 4 + POINTS * 2
        self.openface = nn.Linear(features, COUNT)
        self.facs = nn.Linear(features, COUNT)
        self.doubt = nn.Linear(features, 1)
        for head in (self.openface, self.facs, self.doubt):
            nn.init.zeros_(head.weight)
        self.register_buffer("half_doubt", torch.tensor(0.0))
        self.register_buffer("doubt_scale", torch.tensor(1.0))

    def forward(self, crops: Tensor) -> Outputs:
        if crops.shape[-1] != SIZE:
            crops = F.interpolate(crops, (SIZE, SIZE), mode="bicubic", align_corners=False)
        landmarks = self.aligner(crops)
        # The view is not to be bent towards better AUs: landmarks learn from landmarks alone.
        found = landmarks.detach()
        features = self.blocks(self.view(crops, found))
        # 7x7 positions become 4x4: the shape of the face joins them, as in OpenFace.
        shape = (self.view.straighten(found) - self.view.mean_face) * 8
        features = self.dropout(torch.cat([features.flatten(1), shape.flatten(1)], 1))
        return Outputs(
            landmarks,
            self.openface(features),
            self.facs(features),
            self.doubt(features.detach()).squeeze(1),
        )

    def confidence(self, doubt: Tensor) -> Tensor:
        """Doubt (n,) as a confidence in 0-1."""
        return torch.sigmoid((self.half_doubt - doubt) / self.doubt_scale)

    @torch.inference_mode()
    def read(self, crops: Tensor, coding: Coding = "openface") -> Readings:
        """AUs and confidence of crops (n, 3, size, size), uint8 or already in -1..1."""
        if crops.dtype == torch.uint8:
            crops = to_model(crops)
        outputs = self(crops)
        aus = outputs.openface if coding == "openface" else outputs.facs
        return Readings(aus.float().clamp(0.0, 1.0), self.confidence(outputs.doubt.float()))

    def read_pixels(self, crops: np.ndarray, coding: Coding) -> tuple[np.ndarray, np.ndarray]:
        """AUs (n, 17) in 0-1 and confidences (n,) of crops (n, size, size, 3) uint8 RGB."""
        readings = self.read(torch.from_numpy(crops).permute(0, 3, 1, 2), coding)
        return readings.aus.numpy(), readings.confidence.numpy()

    @property
    def version(self) -> str:
        """Of the weights."""
        return str(self.settings["version"])


@lru_cache(maxsize=2)
def load_estimator(path: Path = SHIPPED) -> Estimator:
    """An estimator in evaluation mode. Raises WrongUse if the file is not one."""
    tensors, settings = load_weights(path, kind="estimator")
    estimator = Estimator(settings["widths"], settings["aligner_widths"])
    fill(estimator, tensors, path)
    estimator.settings = settings
    return estimator.eval()
