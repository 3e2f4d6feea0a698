"""The estimator in ONNX Runtime, for machines without torch.

python -m ganim.model.estimator.export --out estimator.onnx         # on a machine with torch
ganim annotate shards/ --annotator estimator --estimator estimator.onnx
"""

from pathlib import Path

import numpy as np

from ...pipeline.errors import WrongUse
from ..onnx_session import open_session
from .reader import Coding, FaceReadings

VERSION_KEY = "ganim_estimator_version"
"""The key of the file's metadata that holds the version of the weights."""
MEAN_FACE_KEY = "ganim_mean_face"
"""The key that holds `Reader.mean_face`: x and y in turn."""


class OnnxEstimator:
    """A `reader.Reader` from an ONNX file that `export.export` wrote.

    Raises WrongUse if ONNX Runtime or the file is missing, or if the file is not an estimator.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise WrongUse(
                f"{path} does not exist. Write it on a machine with torch: python -m "
                f"ganim.model.estimator.export --out {path}"
            )
        self._session, self._known = open_session(path, "an estimator of ganim", VERSION_KEY)
        self.version = self._known[VERSION_KEY]
        self._path = path

    @property
    def mean_face(self) -> np.ndarray:
        if MEAN_FACE_KEY not in self._known:
            raise WrongUse(
                f"{self._path} is of an older version of ganim, and gives no landmarks: write it "
                f"anew with python -m ganim.model.estimator.export --out {self._path}"
            )
        return np.array(self._known[MEAN_FACE_KEY].split(), np.float64).reshape(-1, 2)

    def read_pixels(self, crops: np.ndarray, coding: Coding) -> tuple[np.ndarray, np.ndarray]:
        """AUs (n, 17) in 0-1 and confidences (n,) in 0-1 of crops (n, 128, 128, 3), uint8 RGB."""
        aus, confidence = self._session.run([coding, "confidence"], {"crops": crops})
        return aus, confidence

    def read_faces(self, crops: np.ndarray) -> FaceReadings:
        """All that is read from crops (n, 128, 128, 3), uint8 RGB."""
        names = ["openface", "confidence", "landmarks"]
        return FaceReadings(*self._session.run(names, {"crops": crops}))

    def find_landmarks(self, crops: np.ndarray) -> np.ndarray:
        """The landmarks (n, 68, 2) alone, in -1..1, of crops (n, 128, 128, 3), uint8 RGB."""
        return self.read_faces(crops).landmarks
