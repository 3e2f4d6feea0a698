"""The interface of an estimator of action units, and where the shipped weights are.

Nothing here imports torch, so that the estimator in ONNX Runtime needs none.
"""

from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np

SHIPPED = Path(__file__).parents[1] / "weights" / "estimator.safetensors"
Coding = Literal["openface", "facs"]
CODINGS: tuple[Coding, ...] = get_args(Coding)
"""The scales of intensity: that of OpenFace, and that of human FACS coders, whose A to E are 1 to
5."""


class Reader(Protocol):
    """An estimator, whatever runtime it uses."""

    @property
    def version(self) -> str:
        """The version of the weights."""

    def read_pixels(self, crops: np.ndarray, coding: Coding) -> tuple[np.ndarray, np.ndarray]:
        """AUs (n, 17) in 0-1 and confidences (n,) in 0-1 of crops (n, 128, 128, 3), uint8 RGB."""
