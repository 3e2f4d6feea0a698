"""A picture at full size, half, quarter and so on: detection looks at the coarse levels first."""

from collections.abc import Callable

import cv2
import numpy as np


class Levels:
    """An RGB picture and its halvings, each (height, width, 3) uint8, made when first asked for.

    Level 0 is the picture at full size, level 1 is half as wide and high; -1 is twice enlarged.
    """

    def __init__(
        self,
        width: int,
        height: int,
        full: Callable[[], np.ndarray],
        known: np.ndarray | None = None,
        known_level: int = 0,
    ):
        """width, height: at full size. `full` decodes the picture, if it is needed at all: where a
        coarser level is known already, it and those below are had without."""
        self.width, self.height = width, height
        self.known_level = known_level
        self._full = full
        self._made: dict[int, np.ndarray] = {} if known is None else {known_level: known}

    @classmethod
    def of(cls, picture: np.ndarray) -> "Levels":
        """Of an RGB picture (height, width, 3) uint8."""
        height, width = picture.shape[:2]
        return cls(width, height, lambda: picture, picture)

    def __getitem__(self, level: int) -> np.ndarray:
        if level not in self._made:
            if level == 0:
                self._made[0] = self._full()
            elif level < 0:
                self._made[level] = resize(self[0], *self.size(level))
            else:
                self._made[level] = _halved(self[level - 1])
        return self._made[level]

    def size(self, level: int) -> tuple[int, int]:
        """Width and height of a level, without making it."""
        return max(1, int(self.width / 2.0**level)), max(1, int(self.height / 2.0**level))


def resize(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """By the mean of what becomes one pixel where it shrinks, cubic where it grows."""
    if picture.shape[1] == width and picture.shape[0] == height:
        return picture.copy()
    shrinking = width < picture.shape[1]
    return cv2.resize(
        picture, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    )


def _halved(picture: np.ndarray) -> np.ndarray:
    """Half as wide and high; an odd last row or column is left out, so that the scale is exact."""
    height, width = (max(1, side // 2) for side in picture.shape[:2])
    return resize(picture[: height * 2, : width * 2], width, height)
