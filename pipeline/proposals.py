"""Where in a picture small faces may be: a small network at a quarter of the detector's scale.

dlib's detector sees faces from 80 px, so it must scan a photograph at full size to find them. The
network sees faces of 80 to 160 px in a grey picture a quarter as wide, a sixteenth of the pixels,
and names the few places that are worth the detector's look. It decides nothing: what is no face
for the detector is none. `model/train_proposals.py` trains it; numpy alone runs it.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import load_file

WEIGHTS = Path(__file__).with_name("weights") / "proposals.safetensors"
SCALE = 4
"""The network's input is so many times smaller than the picture in which faces have 80-160 px."""
STRIDE = 8
"""Pixels of the input, in each direction, that one answer stands for."""
LAYERS = ((6, 2), (3, 2), (3, 2), (3, 1), (3, 1), (1, 1))
"""Kernel side and stride of each convolution."""

_THRESHOLD = -1.0
# Half of the largest face of each range, and what the detector wants to see around it.
_REACH = (64, 88)
# The detector's cells: a place that begins at a multiple of them looks as in the whole picture.
_CELL = 8


@dataclass(frozen=True)
class Place:
    """Where to look: a rectangle in a picture whose faces have 80-160 px."""

    left: int
    top: int
    right: int
    bottom: int


def places(grey: np.ndarray, known: list[list[float]], width: int, height: int) -> list[Place]:
    """The places worth a look in a picture of width x height, from its grey fourth.

    known: left, top, right, bottom of rectangles in which no place is to be centred.
    """
    likely: np.ndarray = propose(grey) > _THRESHOLD
    square = SCALE * STRIDE
    for box in known:
        left, top, right, bottom = (max(0, round(side / square)) for side in box)
        likely[top:bottom, left:right] = False
    either = np.asarray(likely.any(axis=2), np.uint8)
    _, labels, groups, _ = cv2.connectedComponentsWithStats(either)
    found = []
    for label, (left, top, across, down, _) in enumerate(groups[1:].tolist(), 1):
        reach = _REACH[int(likely[:, :, 1][labels == label].any())]
        found.append(
            Place(
                max(0, left * square - reach) // _CELL * _CELL,
                max(0, top * square - reach) // _CELL * _CELL,
                min(width, (left + across) * square + reach),
                min(height, (top + down) * square + reach),
            )
        )
    area = sum((place.right - place.left) * (place.bottom - place.top) for place in found)
    return found if area < width * height else [Place(0, 0, width, height)]


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
