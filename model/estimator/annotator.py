"""Crops in, action units out: the estimator as an annotator and as a table, in torch or in ONNX
Runtime. Nothing here imports torch, so that an .onnx file serves machines without it."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np

from ...pipeline.action_units import COLUMNS, to_intensity
from ...pipeline.annotator import Annotator, Crop, Reading
from ...pipeline.faces.crop import decode_crop

if TYPE_CHECKING:
    import pandas as pd

SIZE = 128
"""Side of the crops the estimator reads, px."""
SHIPPED = Path(__file__).parents[1] / "weights" / "estimator.safetensors"
Coding = Literal["openface", "facs"]
CODINGS: tuple[Coding, ...] = get_args(Coding)
"""Whose intensities: OpenFace's, or those of trained human coders (FACS, A-E as 1-5)."""
_BATCH = 64


class Reader(Protocol):
    """An estimator, whatever it runs in."""

    @property
    def version(self) -> str:
        """Of the weights."""

    def read_pixels(self, crops: np.ndarray, coding: Coding) -> tuple[np.ndarray, np.ndarray]:
        """AUs (n, 17) in 0-1 and confidences (n,) of crops (n, 128, 128, 3) uint8 RGB."""


@lru_cache(maxsize=2)
def load_reader(path: Path = SHIPPED) -> Reader:
    """The estimator in a file: .onnx for ONNX Runtime, .safetensors for torch.

    Raises WrongUse if the file is not one.
    """
    if path.suffix == ".onnx":
        from .onnx import OnnxEstimator

        return OnnxEstimator(path)
    from .network import load_estimator

    return load_estimator(path)


def read_table(
    crops: np.ndarray, path: Path = SHIPPED, coding: Coding = "openface"
) -> "pd.DataFrame":
    """Crops (n, 128, 128, 3) uint8 RGB to a table, a row each: `AU01_r` … `AU45_r` (0-5), and
    `au_confidence` (0-1)."""
    import pandas as pd  # slow to import, and `ganim animate` does not need it

    reader = load_reader(path)
    parts = [
        reader.read_pixels(crops[start : start + _BATCH], coding)
        for start in range(0, len(crops), _BATCH)
    ]
    aus = np.concatenate([np.empty((0, len(COLUMNS)), np.float32), *(part[0] for part in parts)])
    table = pd.DataFrame(to_intensity(aus), columns=list(COLUMNS))
    confidences = [np.empty(0, np.float32), *(part[1] for part in parts)]
    return table.assign(au_confidence=np.concatenate(confidences))


class EstimatorAnnotator(Annotator):
    """The estimator as an annotator for `pipeline.annotate`."""

    batch = _BATCH

    def __init__(self, path: Path = SHIPPED, coding: Coding = "openface") -> None:
        self._path, self._reader, self._coding = path, load_reader(path), coding
        self.name = f"ganim estimator {self._reader.version}"
        if coding == "facs":
            self.name += ", FACS coding"

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process loads the weights itself, once, and not with every batch it is sent.
        return EstimatorAnnotator, (self._path, self._coding)

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """One reading a crop."""
        pixels = np.stack([decode_crop(crop.image, SIZE) for crop in crops])
        aus, confidence = self._reader.read_pixels(pixels, self._coding)
        return [
            Reading(to_intensity(units), float(sure))
            for units, sure in zip(aus, confidence, strict=True)
        ]
