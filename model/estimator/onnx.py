"""The estimator in ONNX Runtime, for machines without torch.

Where torch is, write the file once; elsewhere, read with it:

    python -m ganim.model.estimator.export --out estimator.onnx
    ganim annotate shards/ --annotator estimator --estimator estimator.onnx
"""

from pathlib import Path

import numpy as np

from ...pipeline.errors import WrongUse
from .annotator import Coding

VERSION_KEY = "ganim_estimator_version"
"""Where the file's metadata holds the version of the weights."""


class OnnxEstimator:
    """A reader (see readers.Reader) over a file that `export_estimator` wrote."""

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise WrongUse(
                f"{path} needs ONNX Runtime. Install it: pip install onnxruntime"
            ) from error
        if not path.exists():
            raise WrongUse(
                f"There is no {path}. Write it where torch is: python -m "
                f"ganim.model.estimator.export --out {path}"
            )
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=["CPUExecutionProvider"]
            )
            self.version = self._session.get_modelmeta().custom_metadata_map[VERSION_KEY]
        except Exception as error:  # a KeyError for a foreign file, the runtime's own for no model
            raise WrongUse(f"{path} is no estimator of ganim: {error}") from error

    def read_pixels(self, crops: np.ndarray, coding: Coding) -> tuple[np.ndarray, np.ndarray]:
        """AUs (n, 17) in 0-1 and confidences (n,) of crops (n, 128, 128, 3) uint8 RGB."""
        aus, confidence = self._session.run([coding, "confidence"], {"crops": crops})
        return aus, confidence
