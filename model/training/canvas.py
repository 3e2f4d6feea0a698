"""Draws in the coordinates of a face, with a mask of what is covered."""

from collections.abc import Sequence

import cv2
import numpy as np

_ENLARGED = 2
"""It is drawn so many times larger, for smooth edges."""
_BITS = 4
"""Of the fraction of coordinates in OpenCV's drawing."""
_EYES, _BROWS, _SIDES = (slice(36, 42), slice(42, 48)), slice(17, 27), [0, 16]

Points = np.ndarray | Sequence[Sequence[float]]
Point = np.ndarray | Sequence[float]
Colour = np.ndarray | Sequence[float] | float


class Canvas:
    """Draws objects in the coordinates of a face: x in distances between the eyes, from the middle
    between them to the right of the picture; y likewise down the face.

    shape: height and width of the picture in pixels. landmarks: (68, 2) in its pixels.

    Attributes: unit, the distance between the eyes in pixels; brows, y of the upper edge of the
    brows; sides, (2, 2), where the face ends left and right of the eyes.
    """

    def __init__(self, shape: Sequence[int], landmarks: np.ndarray) -> None:
        height, width = shape
        self._size = width, height
        first, second = (landmarks[eye].mean(0) for eye in _EYES)
        right = second - first
        self._origin, self._axes = (first + second) / 2, np.stack([right, right[::-1] * [-1, 1]])
        self.unit = float(np.linalg.norm(right))
        self.brows = float(self.place(landmarks[_BROWS])[:, 1].min())
        self.sides = self.place(landmarks[_SIDES])
        large = height * _ENLARGED, width * _ENLARGED
        self._colour: np.ndarray = np.zeros((*large, 3), np.float32)
        self._alpha, self._covered = np.zeros((2, *large), np.float32)

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) in pixels of the picture in the coordinates of the face."""
        return (points - self._origin) @ self._axes.T / self.unit**2

    def polygon(
        self, points: Points, colour: Colour, alpha: float = 1, covers: bool = True
    ) -> None:
        """A filled polygon. covers: whether it belongs to the mask."""
        pixels = self._pixels(points)
        drawn = np.zeros(self._alpha.shape, np.uint8)
        cv2.fillPoly(drawn, [pixels], 255, cv2.LINE_AA, _BITS)
        self._add(drawn, _box(pixels, 0), colour, alpha, covers)

    def line(
        self,
        points: Points,
        width: float,
        colour: Colour,
        alpha: float = 1,
        closed: bool = False,
    ) -> None:
        """A line; its width is in distances between the eyes."""
        pixels, wide = self._pixels(points), max(1, round(width * self.unit * _ENLARGED))
        drawn = np.zeros(self._alpha.shape, np.uint8)
        cv2.polylines(drawn, [pixels], closed, 255, wide, cv2.LINE_AA, _BITS)
        self._add(drawn, _box(pixels, wide), colour, alpha, True)

    def textured(self, texture: np.ndarray) -> None:
        """Give all that is drawn the colours of a picture (any, any, 3)."""
        self._colour = cv2.resize(texture.astype(np.float32), self._alpha.shape[::-1])

    def over(
        self, photograph: np.ndarray, shadow: float = 0, fall: Point = (0, 0.03)
    ) -> tuple[np.ndarray, np.ndarray]:
        """The photograph (height, width, 3) uint8 with what is drawn over it, and the share of each
        pixel (height, width) that it covers.

        shadow: how much darker the photograph is in the shadow of what covers it, 0-1. fall: where
        the shadow falls, right and down, in distances between the eyes.
        """
        colour, alpha, mask = (
            cv2.resize(each, self._size, interpolation=cv2.INTER_AREA)
            for each in (self._colour * self._alpha[..., None], self._alpha, self._covered)
        )
        below = photograph.astype(np.float32)
        if shadow:
            x, y = np.multiply(fall, self.unit)
            shade = cv2.warpAffine(mask, np.array([[1, 0, x], [0, 1, y]]), self._size)
            shade = cv2.GaussianBlur(shade, (0, 0), 0.03 * self.unit)
            below *= 1 - shadow * shade[..., None]
        blended = below * (1 - alpha[..., None]) + colour
        return blended.clip(0, 255).round().astype(np.uint8), mask

    def _pixels(self, points: Points) -> np.ndarray:
        pixels = (self._origin + np.asarray(points, float) @ self._axes + 0.5) * _ENLARGED - 0.5
        return (pixels * 2**_BITS).round().astype(np.int32)

    def _add(
        self,
        drawn: np.ndarray,
        box: tuple[slice, slice],
        colour: Colour,
        alpha: float,
        covers: bool,
    ) -> None:
        share, below = drawn[box] / np.float32(255), self._alpha[box]
        added = share * np.float32(alpha)
        self._alpha[box] = added + below * (1 - added)
        shares = np.stack([added, below * (1 - added)]) / np.maximum(self._alpha[box], 1e-6)
        first, second = shares[..., None]
        self._colour[box] = np.asarray(colour, np.float32) * first + self._colour[box] * second
        if covers:
            self._covered[box] = np.maximum(self._covered[box], share)


def _box(pixels: np.ndarray, width: int) -> tuple[slice, slice]:
    """Rows and columns of what is drawn by a line through pixels, or the polygon of them."""
    (left, top), (right, bottom) = (
        np.maximum(0, bound // 2**_BITS + more).tolist()
        for bound, more in ((pixels.min(0), -width - 2), (pixels.max(0), width + 3))
    )
    return slice(top, bottom), slice(left, right)


def ellipse(
    half_width: float, half_height: float, power: float = 2, centre: Point = (0, 0)
) -> np.ndarray:
    """Points (64, 2) of a superellipse: an ellipse for a power of 2, and more of a rectangle for
    larger ones."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    unit = np.stack([np.cos(angle), np.sin(angle)], 1)
    rounded = np.sign(unit) * np.abs(unit) ** (2 / power)
    return rounded * [half_width, half_height] + np.asarray(centre)
