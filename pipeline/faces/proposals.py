"""A small convolutional network that proposes regions where faces of 80-160 px may be.

dlib's detector finds faces from 80 px, so small faces have to be searched for at full size. The
network reads a grey image at a quarter of the scale, with a sixteenth of the pixels, and proposes
the few regions that the detector then searches. It never decides that something is a face.
`model/train_proposals.py` trains it, and numpy alone runs it. docs/proposals.md has its metrics.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import load_file

WEIGHTS = Path(__file__).with_name("proposals.safetensors")
SCALE = 4
"""The network's input is this many times smaller than the level that is searched."""
STRIDE = 8
"""Side in input pixels of the square for which the network returns one pair of logits."""
LAYERS = ((6, 2), (3, 2), (3, 2), (3, 1), (3, 1), (1, 1))
"""Kernel side and stride of each convolution."""

# Each pair below holds one value for small faces (80-112 px) and one for large faces (112-160 px).
_THRESHOLDS = (-1.0, -2.0)
"""Logits above which a square is proposed. The threshold for large faces is lower because more of
them are dark or turned, and because the detector searches their regions at a smaller scale."""
_REACH = (64, 88)
"""Pixels around the centre of a face that the detector needs: half of the largest face, and the
detector's own margin."""
_THRESHOLD_IN_FACE = 3.0
"""The logit above which a square in the middle of a face that was found is proposed all the
same: noses and eyes give high logits there."""
_SHRINK = 0.75
"""Scale at which the detector searches regions of large faces: they are still above 80 px."""
_CELL = 8
"""Side in pixels of the detector's HOG cells. Regions start at multiples of it, so that the
detector computes the same histograms as in the whole image."""


@dataclass(frozen=True)
class Region:
    """A rectangle, in pixels of the level that is searched, in which a face may be."""

    left: int
    top: int
    right: int
    bottom: int
    shrink: float
    """Scale at which the detector is to search the region, 0.75 or 1."""
    logit: float
    """The highest logit in the region. Negative infinity if the network was not used."""


def propose_regions(
    grey: np.ndarray, found: list[list[float]], width: int, height: int
) -> list[Region]:
    """Propose regions of a level.

    grey: (height / 4, width / 4) uint8, the level at a quarter of its scale.
    found: [left, top, right, bottom] of the middles of faces that were found, in pixels of the
        level. There a higher threshold applies.
    width, height: of the level. If the regions are larger in sum than the level, one region is
        returned: the whole level.
    """
    logits = compute_logits(grey)
    above: np.ndarray = logits > np.asarray(_THRESHOLDS)
    square = SCALE * STRIDE
    for box in found:
        left, top, right, bottom = (max(0, round(side / square)) for side in box)
        above[top:bottom, left:right] &= logits[top:bottom, left:right] > _THRESHOLD_IN_FACE
    count, labels = cv2.connectedComponents(np.asarray(above.any(axis=2), np.uint8))
    regions = [_region(above, logits, labels == label, width, height) for label in range(1, count)]
    area = sum((r.right - r.left) * (r.bottom - r.top) for r in regions)
    return regions if area < width * height else [Region(0, 0, width, height, 1.0, -np.inf)]


def _region(
    above: np.ndarray, logits: np.ndarray, group: np.ndarray, width: int, height: int
) -> Region:
    """The region that the detector has to search for a group of adjacent squares.

    above: (rows, columns, 2) bool, logits above their thresholds.
    group: (rows, columns) bool, the squares of the group.
    """
    small, large = above[group].any(axis=0)
    rows, columns = np.nonzero(group)
    across = float(columns.min()), float(columns.max())
    down = float(rows.min()), float(rows.max())
    highest = logits[group].max(axis=1)
    if across[1] - across[0] < 2 and down[1] - down[0] < 2:
        # A single face: its position is the mean of the squares, weighted by their probability.
        weights = np.exp(highest - highest.max())
        across = (float(np.average(columns, weights=weights)),) * 2
        down = (float(np.average(rows, weights=weights)),) * 2
    square, reach = SCALE * STRIDE, _REACH[int(large)]
    return Region(
        max(0, int(across[0] * square - reach)) // _CELL * _CELL,
        max(0, int(down[0] * square - reach)) // _CELL * _CELL,
        min(width, int((across[1] + 1) * square + reach)),
        min(height, int((down[1] + 1) * square + reach)),
        1.0 if small else _SHRINK,
        float(highest.max()),
    )


def compute_logits(grey: np.ndarray) -> np.ndarray:
    """Run the network: is a face centred in each square of STRIDE x STRIDE input pixels?

    grey: (height, width) uint8. Returns (ceil(height / 8), ceil(width / 8), 2) float32 logits:
    of a face 20-28 px wide, and of one 28-40 px wide, in input pixels.
    """
    padded = [-(-side // STRIDE) * STRIDE for side in grey.shape]
    grey = np.pad(grey, [(0, p - s) for p, s in zip(padded, grey.shape, strict=True)], mode="edge")
    features = (grey.astype(np.float32) / 255 - 0.5)[:, :, None]
    weights = _weights()
    for index, (_, stride) in enumerate(LAYERS):
        if index:
            features = np.maximum(features, 0)  # ReLU
        features = _convolve(features, weights[f"{index}.weight"], weights[f"{index}.bias"], stride)
    return features


def _convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """Convolve with zero padding.

    x: (h, w, in); kernel: (k, k, in, out). Returns (ceil(h / stride), ceil(w / stride), out).
    """
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
