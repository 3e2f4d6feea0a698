"""What OpenFace is given of a crop, and which of the faces it finds there is the crop's own.

OpenFace needs a large face: a crop is padded by a quarter of its side all round and enlarged
twice (measured on 128 px crops: mean Pearson r 0.969 against the full photograph, 0.910 without).
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..annotator import Crop, Reading
from ..errors import WrongUse
from .output import FoundFace, pick_face, to_reading

_PADDING = 0.25
_ENLARGEMENT = 2
# A run's pictures, at most: 1,000 of the usual size. They are BMP, which costs nothing to write
# and read, where PNG costs a third of what OpenFace takes for the picture.
MOST_BYTES = 450_000_000


def divide_by_room(crops: Sequence[Crop]) -> list[list[int]]:
    """The crops, by index, in as many runs as their pictures need room for."""
    if not crops:
        return []
    picture = _enlarge(crops[0].image)
    most = len(crops) if picture is None else max(1, MOST_BYTES // picture.nbytes)
    return [list(range(len(crops)))[start : start + most] for start in range(0, len(crops), most)]


def write_pictures(inputs: Path, crops: dict[int, Crop]) -> dict[int, tuple[int, int]]:
    """Write what OpenFace is given; height and width of each, without what is no picture."""
    sizes = {}
    try:
        for index, crop in crops.items():
            picture = _enlarge(crop.image)
            if picture is not None:
                sizes[index] = picture.shape[:2]
                encoded = cv2.imencode(".bmp", picture)[1]
                (inputs / f"{index:05d}.bmp").write_bytes(encoded.tobytes())
    except OSError as error:
        raise WrongUse(
            f"The crops cannot be written to {inputs}: {error.strerror}. Make room there, or set "
            "TMPDIR to another folder."
        ) from error
    return sizes


def _enlarge(image: bytes) -> np.ndarray | None:
    """A crop's JPEG as the picture OpenFace is given (uint8, BGR); None if it is damaged."""
    crop = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR) if image else None
    if crop is None:
        return None
    down, across = (round(side * _PADDING) for side in crop.shape[:2])
    padded = cv2.copyMakeBorder(crop, down, down, across, across, cv2.BORDER_REPLICATE)
    size = padded.shape[1] * _ENLARGEMENT, padded.shape[0] * _ENLARGEMENT
    return cv2.resize(padded, size, interpolation=cv2.INTER_CUBIC)


def reading_of(faces: list[FoundFace], height: int, width: int, min_confidence: float) -> Reading:
    """The reading of the crop's own face among those that OpenFace found in its picture."""
    # The crop was cut around its face, so that face's centre is in the crop's middle half.
    near, far = (0.5 + sign * 0.25 / (1 + 2 * _PADDING) for sign in (-1, 1))
    face = pick_face(
        faces, (near * width, near * height, far * width, far * height), min_confidence
    )
    if face is None:
        return Reading(None, error="OpenFace found no face in the middle of the crop")
    return to_reading(face, min_confidence)
