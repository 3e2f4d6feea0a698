"""Extract what the metrics need from crops: AUs, face descriptors, spectra, Inception features."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ...pipeline.action_units import COUNT, to_unit
from ...pipeline.annotator import Annotator, Crop
from ..landmarks.dlib_models import descriptors
from .inception import Inception
from .metrics import radial_spectra

_BATCH = 32

Arrays = dict[str, np.ndarray]
"""Arrays by name, with one row for each face."""


@dataclass(frozen=True)
class FeatureExtractor:
    """The models that measure pictures of faces."""

    annotator: Annotator
    box: list[int]
    """The HOG box in crops of 128 px: left, top, right, bottom."""
    inception: Inception | None = None

    def aus(self, images: Sequence[bytes]) -> np.ndarray:
        """AUs (n, 17) in 0-1 of n crops as image files; NaN where the annotator reads none.

        The annotator receives batches of its own size, because each call of OpenFace has a high
        fixed cost.
        """
        left, top, right, bottom = self.box
        crops = [
            Crop(f"{number}", f"{number}", image, (left, top, right, bottom))
            for number, image in enumerate(images)
        ]
        aus = np.full((len(crops), COUNT), np.nan, np.float32)
        size = self.annotator.batch
        for start in range(0, len(crops), size):
            readings = self.annotator.read(crops[start : start + size])
            for index, reading in enumerate(readings, start):
                if reading.aus is not None:
                    aus[index] = to_unit(reading.aus)
        return aus

    def features(self, crops: np.ndarray) -> Arrays:
        """Features of crops (n, 128, 128, 3) uint8 RGB.

        `descriptors` (n, 128): dlib's face descriptors; `spectra` (n, frequencies): see
        `metrics.radial_spectra`; with Inception v3 also `inception` (n, 2048) and `logits`
        (n, 1000).
        """
        images = torch.from_numpy(crops).permute(0, 3, 1, 2)
        features = {
            "descriptors": descriptors(images, self.box),
            "spectra": radial_spectra(crops),
        }
        if self.inception is not None:
            features["inception"], features["logits"] = self.inception.extract(crops)
        return features


def batches(indices: np.ndarray) -> Iterator[np.ndarray]:
    """Yield indices in batches of at most 32, which limits the number of pictures in memory."""
    for start in range(0, len(indices), _BATCH):
        yield indices[start : start + _BATCH]


def concatenate(parts: Sequence[Arrays]) -> Arrays:
    """Concatenate the arrays of several batches by name."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def encode_png(pictures: Sequence[np.ndarray]) -> list[bytes]:
    """Encode pictures (h, w, 3) uint8 RGB as PNG files, without loss."""
    encoded = [cv2.imencode(".png", cv2.cvtColor(one, cv2.COLOR_RGB2BGR)) for one in pictures]
    assert all(done for done, _ in encoded), "OpenCV could not encode a picture"
    return [file.tobytes() for _, file in encoded]
