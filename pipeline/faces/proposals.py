"""Where in a picture small faces may be: a small network at a quarter of the detector's scale.

dlib's detector sees faces from 80 px, so it must scan a photograph at full size to find them. The
network sees faces of 80 to 160 px in a grey picture a quarter as wide, a sixteenth of the pixels,
and names the few places that are worth the detector's look. What is no face for the detector is
none. `model/train_proposals.py` trains it; numpy alone runs it.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import load_file

WEIGHTS = Path(__file__).with_name("proposals.safetensors")
SCALE = 4
"""The network's input is so many times smaller than the picture in which faces have 80-160 px."""
STRIDE = 8
"""Pixels of the input, in each direction, that one answer stands for."""
LAYERS = ((6, 2), (3, 2), (3, 2), (3, 1), (3, 1), (1, 1))
"""Kernel side and stride of each convolution."""

# For each range, the logit above which a place is looked at. For the larger faces it is lower: more
# of them are dark or turned, and their places cost less. docs/proposals.md has the figures.
_THRESHOLDS = (-1.0, -2.0)
# The same in the middle of a face that is known, where noses and eyes are.
_IN_A_FACE = 3.0
# Half of the largest face of each range, and what the detector wants to see around it.
_REACH = (64, 88)
# Faces of the larger range are large enough for the detector if made so much smaller.
_SHRINK = 0.75
# The detector's cells: a place that begins at a multiple of them looks as in the whole picture.
_CELL = 8


@dataclass(frozen=True)
class Place:
    """Where to look: a rectangle in a picture whose faces have 80-160 px."""

    left: int
    top: int
    right: int
    bottom: int
    shrink: float
    """So much smaller the detector may see it: its faces are large enough."""
    logit: float
    """How likely a face is there."""


def places(grey: np.ndarray, known: list[list[float]], width: int, height: int) -> list[Place]:
    """The places worth a look in a picture of width x height, from its grey fourth.

    known: left, top, right, bottom of rectangles, the middles of known faces, in which a place
    is centred only if it is likely by far.
    """
    logits = propose(grey)
    likely: np.ndarray = logits > np.asarray(_THRESHOLDS)
    square = SCALE * STRIDE
    for box in known:
        left, top, right, bottom = (max(0, round(side / square)) for side in box)
        likely[top:bottom, left:right] &= logits[top:bottom, left:right] > _IN_A_FACE
    count, labels = cv2.connectedComponents(np.asarray(likely.any(axis=2), np.uint8))
    found = [_place(likely, logits, labels == label, width, height) for label in range(1, count)]
    area = sum((place.right - place.left) * (place.bottom - place.top) for place in found)
    return found if area < width * height else [Place(0, 0, width, height, 1.0, -np.inf)]


def _place(
    likely: np.ndarray, logits: np.ndarray, group: np.ndarray, width: int, height: int
) -> Place:
    """What the detector must see for a group of neighbouring squares, a mask of them all."""
    small, large = likely[group].any(axis=0)
    rows, columns = np.nonzero(group)
    across = float(columns.min()), float(columns.max())
    down = float(rows.min()), float(rows.max())
    surest = logits[group].max(axis=1)
    if across[1] - across[0] < 2 and down[1] - down[0] < 2:  # one face: its centre of gravity
        weights = np.exp(surest - surest.max())
        across = (float(np.average(columns, weights=weights)),) * 2
        down = (float(np.average(rows, weights=weights)),) * 2
    square, reach = SCALE * STRIDE, _REACH[int(large)]
    return Place(
        max(0, int(across[0] * square - reach)) // _CELL * _CELL,
        max(0, int(down[0] * square - reach)) // _CELL * _CELL,
        min(width, int((across[1] + 1) * square + reach)),
        min(height, int((down[1] + 1) * square + reach)),
        1.0 if small else _SHRINK,
        float(surest.max()),
    )


def propose(grey: np.ndarray) -> np.ndarray:
    """How likely a face is centred in each square of STRIDE x STRIDE input pixels.

    grey: (height, width) uint8. Returns logits (ceil(height / 8), ceil(width / 8), 2) float32:
    for a face 20-28 px wide and for one of 28-40 px.
    """
    padded = [-(-side // STRIDE) * STRIDE for side in grey.shape]
    grey = np.pad(grey, [(0, p - s) for p, s in zip(padded, grey.shape, strict=True)], mode="edge")
    features = (grey.astype(np.float32) / 255 - 0.5)[:, :, None]
    weights = _weights()
    for index, (_, stride) in enumerate(LAYERS):
        if index:
            features = np.maximum(features, 0)
        features = _convolve(features, weights[f"{index}.weight"], weights[f"{index}.bias"], stride)
    return features


def _convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """x: (h, w, in); kernel: (k, k, in, out). Returns (ceil(h / stride), ceil(w / stride), out)."""
    side = kernel.shape[0]
    before = (side - stride + 1) // 2
    height, width, channels = x.shape
    padded = np.zeros((height + side - stride, width + side - stride, channels), np.float32)
    padded[before : before + height, before : before + width] = x
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (0, 1))
    windows = windows[::stride, ::stride].transpose(0, 1, 3, 4, 2)
    h, w = windows.shape[:2]
    flat = windows.reshape(h * w, -1) @ kernel.reshape(-1, kernel.shape[3])
    return (flat + bias).reshape(h, w, -1)


@lru_cache(maxsize=1)
def _weights() -> dict[str, np.ndarray]:
    return load_file(WEIGHTS)
