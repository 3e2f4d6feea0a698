"""The estimator as an annotator of shards, and as a function from crops to a table.

The runtime is imported when weights are loaded, so that an .onnx file needs no torch.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...pipeline.action_units import COLUMNS, to_intensity
from ...pipeline.annotator import Annotator, Crop, Reading
from ...pipeline.faces.crop import decode_crop
from ..landmarks.points import SIZE
from .reader import SHIPPED, Coding, Reader

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 64


@lru_cache(maxsize=2)
def load_reader(path: Path = SHIPPED) -> Reader:
    """Load an estimator: an .onnx file into ONNX Runtime, any other file into torch.

    Raises WrongUse if the file is missing or is not an estimator.
    """
    if path.suffix == ".onnx":
        from .onnx import OnnxEstimator

        return OnnxEstimator(path)
    from .network import load_estimator

    return load_estimator(path)


def read_table(
    crops: np.ndarray, path: Path = SHIPPED, coding: Coding = "openface"
) -> "pd.DataFrame":
    """Read the AUs of crops (n, 128, 128, 3), uint8 RGB.

    Args:
        path: weights, as `load_reader` takes them.
        coding: the scale of intensity.

    Returns one row per crop, with the columns `AU01_r` … `AU45_r` (0-5) and `au_confidence` (0-1).
    """
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
    """The estimator as an annotator for `pipeline.annotate`.

    Args:
        path: weights, as `load_reader` takes them.
        coding: the scale of intensity.
    """

    batch = _BATCH

    def __init__(self, path: Path = SHIPPED, coding: Coding = "openface") -> None:
        self._path, self._reader, self._coding = path, load_reader(path), coding
        self.name = f"ganim estimator {self._reader.version}"
        if coding == "facs":
            self.name += ", FACS coding"

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled as its arguments: a worker loads the weights once, not with every batch.
        return EstimatorAnnotator, (self._path, self._coding)

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """One reading per crop, in order: AUs in 0-5 and a confidence in 0-1."""
        pixels = np.stack([decode_crop(crop.image, SIZE) for crop in crops])
        aus, confidence = self._reader.read_pixels(pixels, self._coding)
        return [
            Reading(to_intensity(units), float(sure))
            for units, sure in zip(aus, confidence, strict=True)
        ]
