"""The estimator in ONNX Runtime, for machines without torch.

python -m ganim.model.estimator.export --out estimator.onnx         # on a machine with torch
ganim annotate shards/ --annotator estimator --estimator estimator.onnx
"""

from pathlib import Path

import numpy as np

from ...pipeline.errors import WrongUse
from .reader import Coding

VERSION_KEY = "ganim_estimator_version"
"""The key of the file's metadata that holds the version of the weights."""


class OnnxEstimator:
    """A `reader.Reader` from an ONNX file that `export.export` wrote.

    Raises WrongUse if ONNX Runtime or the file is missing, or if the file is not an estimator.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise WrongUse(
                f"{path} needs ONNX Runtime. Install it: pip install 'ganim[onnx]'"
            ) from error
        if not path.exists():
            raise WrongUse(
                f"{path} does not exist. Write it on a machine with torch: python -m "
                f"ganim.model.estimator.export --out {path}"
            )
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=["CPUExecutionProvider"]
            )
            self.version = self._session.get_modelmeta().custom_metadata_map[VERSION_KEY]
        except Exception as error:  # KeyError for another network, the runtime's own errors else
            raise WrongUse(f"{path} is not an estimator of ganim: {error}") from error

    def read_pixels(self, crops: np.ndarray, coding: Coding) -> tuple[np.ndarray, np.ndarray]:
        """AUs (n, 17) in 0-1 and confidences (n,) in 0-1 of crops (n, 128, 128, 3), uint8 RGB."""
        aus, confidence = self._session.run([coding, "confidence"], {"crops": crops})
        return aus, confidence
