"""The estimator: a network that reads 17 AUs from a crop of 128x128 px, trained on OpenFace's.

It follows OpenFace's method (Baltrusaitis et al. 2018), and is about ten times faster: it detects
68 landmarks, aligns the face, and predicts AUs linearly from histograms of oriented gradients; a
small convolutional network corrects the linear prediction. It annotates where there is no OpenFace,
gives `animate` the AUs of the photograph, and measures generators. train.py trains it.
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
from .reader import CODINGS, SHIPPED, Coding, FaceReadings

FEATURES = CHANNELS * (VIEW // CELL - 2) ** 2 + POINTS * 2
"""Number of features of the linear prediction: histograms and landmarks."""
_SHAPE_SCALE = 8.0  # gives landmarks about the variance of the histograms


class Outputs(NamedTuple):
    """The outputs of the network for n crops."""

    landmarks: Tensor
    """(n, 68, 2), x and y in -1..1 across the crop."""
    openface: Tensor
    """(n, 17), AUs as OpenFace reads them, on the 0-1 scale but not clamped."""
    facs: Tensor
    """(n, 17), AUs as human coders score them, on the 0-1 scale but not clamped."""
    doubt: Tensor
    """(n,), logarithm of the ratio of the error to that expected at these intensities."""


@dataclass(frozen=True)
class Readings:
    """AUs, confidences and landmarks of n crops."""

    aus: Tensor
    """(n, 17) in 0-1."""
    confidence: Tensor
    """(n,) in 0-1: about 0.95 for a clear photograph, 0.05 for a crop that cannot be read."""
    landmarks: Tensor
    """(n, 68, 2), x and y in -1..1 across the crop."""


class Estimator(nn.Module):
    """Crops (n, 3, size, size) in -1..1 to landmarks, AUs in two codings, and doubt.

    AUs are the sum of a linear function of histograms and landmarks, as in OpenFace, and of a
    correction by a small network over the histograms. They are not clamped, because OpenFace's
    intensities are censored at 0 (see `losses.censored_loss`).

    Args:
        widths: channels of the four convolutions of the correction.
        aligner_widths: channels of the aligner's stages.
    """

    half_doubt: Tensor
    """The doubt at which the confidence is 0.5. It is set at the end of training."""
    doubt_scale: Tensor
    """The scale of the logistic function from doubt to confidence, set at the same time."""

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
        # Detached: the loss on doubt trains the doubt alone, and not the features.
        return Outputs(landmarks, openface, facs, self.doubt(learned.detach()).squeeze(1))

    def features(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The features of crops (n, 3, size, size) in -1..1.

        Returns landmarks (n, 68, 2), histograms (n, 31, 12, 12), and both as the input of the
        linear prediction (n, FEATURES).
        """
        crops = fitted(crops)
        landmarks = self.aligner(crops)
        # Detached: the aligner is trained on landmarks alone, not on AUs.
        found = landmarks.detach()
        histograms = self.hog((self.view(crops, found) + 1) / 2)
        shape = (self.view.straighten(found) - self.view.mean_face) * _SHAPE_SCALE
        return landmarks, histograms, torch.cat([histograms.flatten(1), shape.flatten(1)], 1)

    def confidence(self, doubt: Tensor) -> Tensor:
        """Confidences (n,) in 0-1 from doubt (n,)."""
        return torch.sigmoid((self.half_doubt - doubt) / self.doubt_scale)

    @torch.inference_mode()
    def read(self, crops: Tensor, coding: Coding = "openface") -> Readings:
        """AUs, confidences and landmarks of crops (n, 3, size, size), uint8 or float in -1..1."""
        if crops.dtype == torch.uint8:
            crops = to_model(crops)
        outputs = self(crops)
        aus = outputs.openface if coding == "openface" else outputs.facs
        confidence = self.confidence(outputs.doubt.float())
        return Readings(aus.float().clamp(0.0, 1.0), confidence, outputs.landmarks)

    def read_pixels(self, crops: np.ndarray, coding: Coding) -> tuple[np.ndarray, np.ndarray]:
        """AUs (n, 17) in 0-1 and confidences (n,) in 0-1 of crops (n, size, size, 3), uint8 RGB."""
        readings = self.read(torch.from_numpy(crops).permute(0, 3, 1, 2), coding)
        return readings.aus.numpy(), readings.confidence.numpy()

    def read_faces(self, crops: np.ndarray) -> FaceReadings:
        """All that is read from crops (n, size, size, 3), uint8 RGB."""
        readings = self.read(torch.from_numpy(crops).permute(0, 3, 1, 2))
        return FaceReadings(
            readings.aus.numpy(), readings.confidence.numpy(), readings.landmarks.numpy()
        )

    @torch.inference_mode()
    def find_landmarks(self, crops: np.ndarray) -> np.ndarray:
        """The landmarks (n, 68, 2) alone, in -1..1, of crops (n, size, size, 3), uint8 RGB."""
        pixels = torch.from_numpy(crops).permute(0, 3, 1, 2)
        return self.aligner(fitted(to_model(pixels))).numpy()

    @property
    def mean_face(self) -> np.ndarray:
        """(68, 2): the landmarks of a mean face in the aligned view, -1..1."""
        return self.view.mean_face.double().numpy()

    @property
    def version(self) -> str:
        """The version of the weights."""
        return str(self.settings["version"])


@lru_cache(maxsize=2)
def load_estimator(path: Path = SHIPPED) -> Estimator:
    """Load an estimator in evaluation mode.

    The last two are cached, so callers must not change what is returned. Raises WrongUse if the
    file is missing or is not an estimator.
    """
    tensors, settings = load_weights(path, kind="estimator")
    estimator = build(lambda: Estimator(settings["widths"], settings["aligner_widths"]), path)
    fill(estimator, tensors, path)
    estimator.settings = settings
    return estimator.eval()
