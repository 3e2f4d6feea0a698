"""dlib's frontal face detector: histograms of oriented gradients (HOG) and a linear classifier.

The detector finds faces of about 80 px and more. It is the one that `face_recognition` uses; it
is called directly because importing face_recognition loads three models that are not needed.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .crop import Box


@dataclass(frozen=True)
class Face:
    """A detected face."""

    box: Box
    """The HOG box, in pixels of the image that was searched."""
    score: float
    """The detector's score: higher is more certain, and 0 is dlib's own threshold."""


def detect(image: np.ndarray, threshold: float) -> list[Face]:
    """Return the faces with a score of at least `threshold`.

    image: (height, width, 3) uint8 RGB, or (height, width) uint8 grey.
    """
    boxes, scores, _ = _detector().run(np.ascontiguousarray(image), 0, threshold)
    return [
        Face(Box(box.left(), box.top(), box.right() + 1, box.bottom() + 1), float(score))
        for box, score in zip(boxes, scores, strict=True)
    ]


@lru_cache(maxsize=1)
def _detector() -> Any:
    import dlib  # here, so that the command line starts without it

    # `dlib.get_frontal_face_detector()`, which takes a quarter of a second to unpack itself, as its
    # `save` writes it; the file is read in 1 ms. Both find the same (tests/test_faces.py).
    return dlib.fhog_object_detector(str(Path(__file__).with_name("frontal_faces.svm")))
