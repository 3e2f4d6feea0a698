"""The interface of an estimator of action units, and where the shipped weights are.

Nothing here imports torch, so that the estimator in ONNX Runtime needs none.
"""

from pathlib import Path
from typing import Literal, NamedTuple, Protocol, get_args

import numpy as np

from ...pipeline.faces.crop import CROP_SIZE, Box
from ...pipeline.faces.frame import CropRegion

SHIPPED = Path(__file__).parents[1] / "weights" / "estimator.safetensors"
Coding = Literal["openface", "facs"]
CODINGS: tuple[Coding, ...] = get_args(Coding)
"""The scales of intensity: that of OpenFace, and that of human FACS coders, whose A to E are 1 to
5."""


class FaceReadings(NamedTuple):
    """What is read from n crops."""

    aus: np.ndarray
    """(n, 17) float32 in 0-1, as OpenFace reads them."""
    confidence: np.ndarray
    """(n,) in 0-1: about 0.95 for a clear photograph, 0.05 for a crop that cannot be read."""
    landmarks: np.ndarray
    """(n, 68, 2), x and y in -1..1 across the crop."""


class Reader(Protocol):
    """An estimator, whatever runtime it uses."""

    @property
    def version(self) -> str:
        """The version of the weights."""

    @property
    def mean_face(self) -> np.ndarray:
        """(68, 2): the landmarks of a mean face in the estimator's view, -1..1."""

    def read_pixels(self, crops: np.ndarray, coding: Coding) -> tuple[np.ndarray, np.ndarray]:
        """AUs (n, 17) in 0-1 and confidences (n,) in 0-1 of crops (n, 128, 128, 3), uint8 RGB."""

    def read_faces(self, crops: np.ndarray) -> FaceReadings:
        """All that is read from crops (n, 128, 128, 3), uint8 RGB."""

    def find_landmarks(self, crops: np.ndarray) -> np.ndarray:
        """The landmarks (n, 68, 2) alone, in -1..1, of crops (n, 128, 128, 3), uint8 RGB."""


def landmarks_in(reader: Reader, picture: np.ndarray, crop: Box) -> np.ndarray:
    """The landmarks (68, 2) of the face in a crop of a picture (h, w, 3) uint8 RGB.

    They are in pixels of the picture; the centre of its first pixel is at 0, 0.
    """
    region = CropRegion(crop)
    (found,) = reader.find_landmarks(region.cut(picture, CROP_SIZE)[None])
    return region.to_picture(found.astype(np.float64))
