"""Synthetic training images for the face proposal network of pipeline/faces/proposals.py."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ..pipeline.faces.proposals import STRIDE

SIDE = 128
"""Side of a training image in px of the network's input."""
SIZES = (20.0, 28.3, 40.0)
"""Bounds of the two ranges of face widths, one for each output channel, in the same unit."""


@dataclass(frozen=True)
class Photograph:
    """A photograph in grey at two resolutions, and the position of its face."""

    half: np.ndarray
    """The image at half of its size, (h, w) uint8."""
    quarter: np.ndarray
    """The image at a quarter of its size."""
    x: float
    """Centre of the face in px of `half`, as is `y`."""
    y: float
    width: float
    """Width of the face's box in px of `half`."""


class Scenes:
    """Synthetic training images with their targets.

    Args:
        photographs: the sources of faces and backgrounds.
        seed: the seed of all random numbers.
    """

    def __init__(self, photographs: list[Photograph], seed: int):
        self._photographs = photographs
        self._rng = np.random.default_rng(seed)

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """A batch of `count` images.

        Returns images (count, 1, SIDE, SIDE) in -0.5..0.5, and targets and weights
        (count, 2, s, s), where s = SIDE / STRIDE.
        """
        made = [self._scene() for _ in range(count)]
        images, targets, weights = (
            torch.from_numpy(np.stack(part)) for part in zip(*made, strict=True)
        )
        return images[:, None] / 255 - 0.5, targets, weights

    def _scene(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = self._rng
        canvas = self._background()
        placed: list[tuple[float, float, float]] = []
        for _ in range(rng.integers(0, 5)):
            width = float(np.exp(rng.uniform(np.log(14), np.log(56))))
            for _ in range(6):
                x, y = rng.uniform(-4, SIDE + 4, 2)
                if all(max(abs(x - u), abs(y - v)) > width + w for u, v, w in placed):
                    self._paste(canvas, x, y, width)
                    placed.append((x, y, width))
                    break
        return (self._degrade(canvas), *_targets(placed))

    def _background(self) -> np.ndarray:
        rng = self._rng
        canvas = np.full((SIDE, SIDE), rng.uniform(0, 255), np.float32)
        kind = rng.random()
        if kind < 0.15:
            canvas += np.linspace(-1, 1, SIDE, dtype=np.float32)[:, None] * rng.uniform(-80, 80)
        elif kind < 0.65:  # texture: parts of photographs, enlarged beyond the range of faces
            for _ in range(2):
                x, y = rng.uniform(-60, SIDE + 60, 2)
                self._paste(canvas, x, y, rng.uniform(90, 400), 9.0)
        else:  # many faces below the range of sizes
            for _ in range(30):
                x, y = rng.uniform(0, SIDE, 2)
                self._paste(canvas, x, y, rng.uniform(5, 13), 9.0)
        return canvas

    def _paste(
        self, canvas: np.ndarray, x: float, y: float, width: float, reach: float | None = None
    ) -> None:
        """Paste a random face of `width` px, centred at x and y, into the canvas.

        reach: the canvas is unchanged beyond this distance from the centre, in widths; if None,
        often a random one.
        """
        rng = self._rng
        chosen = self._photographs[rng.integers(len(self._photographs))]
        source, shrunk = (chosen.half, 1.0) if width > 26 else (chosen.quarter, 0.5)
        scale = width / (chosen.width * shrunk)
        angle = np.radians(rng.normal(0, 9))
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        narrow = rng.uniform(0.66, 1.06)
        turn = turn @ np.array([[narrow * rng.choice([-1, 1]), 0], [rng.normal(0, 0.06), 1]])
        centre = turn @ (np.array([chosen.x, chosen.y]) * shrunk)
        matrix = np.column_stack([turn, np.array([x, y]) - centre])
        warped = cv2.warpAffine(source, matrix, (SIDE, SIDE)).astype(np.float32)
        inside = cv2.warpAffine(np.ones_like(source), matrix, (SIDE, SIDE)).astype(np.float32)
        if reach is None and rng.random() < 0.6:
            reach = rng.uniform(0.6, 1.1)
            rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
            distance = np.hypot(columns - x, (rows - y - 0.1 * width) * 0.85) / width
            inside *= np.clip((reach - distance) / 0.1, 0, 1)
        if rng.random() < 0.3:  # light from one side
            across = (np.arange(SIDE, dtype=np.float32) - x) / width
            warped = warped * np.exp(rng.uniform(-1, 1) * np.clip(across, -1, 1))
        if rng.random() < 0.3:  # an occlusion, as by a hat, a hand or dark glasses
            left, top = x + width * rng.uniform(-0.6, 0.2), y + width * rng.uniform(-0.7, 0.4)
            right, bottom = (
                left + width * rng.uniform(0.2, 1.0),
                top + width * rng.uniform(0.1, 0.4),
            )
            rows = slice(max(0, round(top)), max(0, round(bottom)))
            warped[rows, max(0, round(left)) : max(0, round(right))] = rng.uniform(0, 255)
        canvas += inside * (warped - canvas)

    def _degrade(self, canvas: np.ndarray) -> np.ndarray:
        """Random gamma, contrast, blur and noise."""
        rng = self._rng
        canvas = 255 * (np.clip(canvas, 0, 255) / 255) ** np.exp(rng.uniform(-0.7, 0.9))
        canvas = canvas * rng.uniform(0.25, 1.1) + rng.uniform(0, 60)
        if rng.random() < 0.3:
            canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 1.0))
        canvas = canvas + rng.normal(0, rng.uniform(0, 8), canvas.shape)
        return np.clip(canvas, 0, 255).astype(np.float32)


def _targets(placed: list[tuple[float, float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Targets and weights (2, s, s) of faces (x, y, width).

    The target of a cell is 1 if a face of the channel's size is centred there. The weight is 0 near
    faces whose position or size is at the limit, 3 in cells with target 1, and 1 elsewhere.
    """
    cells = SIDE // STRIDE
    targets, weights = np.zeros((2, 2, cells, cells), np.float32)
    weights[:] = 1
    centres = (np.arange(cells) + 0.5) * STRIDE
    for x, y, width in placed:
        near = np.maximum(abs(centres[:, None] - y), abs(centres[None] - x))
        for channel in (0, 1):
            low, high = SIZES[channel], SIZES[channel + 1]
            if not 0.7 * low < width < 1.4 * high:
                continue
            weights[channel][near < 1.5 * STRIDE] = 0
            if 0.93 * low <= width < 1.07 * high:
                here = near <= 0.55 * STRIDE
                targets[channel][here], weights[channel][here] = 1, 3
    return targets, weights
