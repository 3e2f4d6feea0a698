"""The estimator: a small network that reads 17 AUs from a 128x128 crop, in OpenFace's stead.

It reads as OpenFace does, and some ten times faster: it finds 68 landmarks, turns the face upright,
and reads histograms of oriented gradients there, linearly, with a small network to correct that.
It annotates where no OpenFace is, gives `animate` the face's own AUs, and measures
generators. Train one on any shards that OpenFace annotated:

    python -m ganim.model.estimator.train --shards shards/ --out estimator.safetensors
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from ...pipeline.action_units import COUNT
from ..checkpoint import build, fill, load_weights
from ..landmarks.alignment import VIEW, Aligner, UprightView, fitted, unit
from ..landmarks.points import POINTS
from ..pixels import to_model
from .hog import CELL, CHANNELS, Hog
from .reader import CODINGS, SHIPPED, Coding

FEATURES = CHANNELS * (VIEW // CELL - 2) ** 2 + POINTS * 2
"""Numbers that are read linearly."""
_SHAPE_SCALE = 8.0  # brings landmarks to the spread of the histograms


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


class Estimator(nn.Module):
    """Crops (n, 3, size, size) in -1..1 to landmarks, AUs in two codings, and doubt.

    The AUs are linear in the histograms and the shape of the face, as in OpenFace, plus what a
    small network over the histograms corrects. They are not clamped: OpenFace clips its intensities
    at 0, and what it clipped may lie below.
    """

    half_doubt: Tensor
    """Doubt at which the confidence is a half."""
    doubt_scale: Tensor
    """How slowly it falls around there; both are set at the end of training."""

    def __init__(
        self,
        widths: Sequence[int] = (64, 96, 128, 160),
        aligner_widths: Sequence[int] = (24, 48, 64, 96),
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "widths": list(widths),
            "aligner_widths": list(aligner_widths),
        }
        self.aligner = Aligner(aligner_widths)
        self.view = UprightView(torch.zeros(POINTS, 2))
        self.hog = Hog()
        self.linear = nn.ModuleDict({coding: nn.Linear(FEATURES, COUNT) for coding in CODINGS})
        first, second, third, fourth = widths
        self.network = nn.Sequential(
            nn.BatchNorm2d(CHANNELS, affine=False),
            unit(CHANNELS, first, 3),
            unit(first, second, 3, 2),
            unit(second, third, 3),
            unit(third, fourth, 3, 2),
            nn.Flatten(),
            nn.Dropout(0.5),
        )
        learned = fourth * 3 * 3
        self.correction = nn.ModuleDict({coding: nn.Linear(learned, COUNT) for coding in CODINGS})
        self.doubt = nn.Linear(learned, 1)
        for head in (*self.linear.values(), *self.correction.values(), self.doubt):
            nn.init.zeros_(cast(nn.Linear, head).weight)
            nn.init.zeros_(cast(nn.Linear, head).bias)
        self.register_buffer("half_doubt", torch.tensor(0.0))
        self.register_buffer("doubt_scale", torch.tensor(1.0))

    def forward(self, crops: Tensor) -> Outputs:
        landmarks, histograms, features = self.features(crops)
        learned = self.network(histograms)
        openface, facs = (
            self.linear[coding](features) + self.correction[coding](learned) for coding in CODINGS
        )
        # Doubt looks on: what cannot be read is not to shape how the rest is.
        return Outputs(landmarks, openface, facs, self.doubt(learned.detach()).squeeze(1))

    def features(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Landmarks (n, 68, 2), histograms (n, 31, 12, 12), and all that is read linearly,
        (n, FEATURES): the histograms and the shape of the face."""
        crops = fitted(crops)
        landmarks = self.aligner(crops)
        # Landmarks learn from landmarks alone; the view is not to be bent towards better AUs.
        found = landmarks.detach()
        histograms = self.hog((self.view(crops, found) + 1) / 2)
        shape = (self.view.straighten(found) - self.view.mean_face) * _SHAPE_SCALE
        return landmarks, histograms, torch.cat([histograms.flatten(1), shape.flatten(1)], 1)

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
    estimator = build(lambda: Estimator(settings["widths"], settings["aligner_widths"]), path)
    fill(estimator, tensors, path)
    estimator.settings = settings
    return estimator.eval()
