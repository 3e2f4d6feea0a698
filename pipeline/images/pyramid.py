"""Image pyramid: an image at its full size, a half, a quarter and so on."""

from collections.abc import Callable

import cv2
import numpy as np


class Pyramid:
    """The levels of an image pyramid, each (height, width, 3) uint8 RGB, made at first access.

    Level 0 is the image at full size and each further level is half as wide and high. Level -1 is
    the image enlarged to twice its size.
    """

    def __init__(
        self,
        width: int,
        height: int,
        decode: Callable[[], np.ndarray],
        decoded: np.ndarray | None = None,
        decoded_level: int = 0,
    ):
        """width, height: of level 0, in pixels.

        decode: returns level 0. It is called only if a level below `decoded_level` is accessed.
        decoded: a level that is decoded already, and `decoded_level` its number.
        """
        self.width, self.height = width, height
        self.decoded_level = decoded_level
        self._decode = decode
        self._levels: dict[int, np.ndarray] = {} if decoded is None else {decoded_level: decoded}

    @classmethod
    def from_image(cls, image: np.ndarray) -> "Pyramid":
        """The pyramid of an image (height, width, 3) uint8 RGB."""
        height, width = image.shape[:2]
        return cls(width, height, lambda: image, image)

    def __getitem__(self, level: int) -> np.ndarray:
        if level not in self._levels:
            if level == 0:
                self._levels[0] = self._decode()
            elif level < 0:
                self._levels[level] = resize(self[0], *self.size(level))
            else:
                self._levels[level] = _halve(self[level - 1])
        return self._levels[level]

    def size(self, level: int) -> tuple[int, int]:
        """Width and height of a level in pixels. Does not make the level."""
        return max(1, int(self.width / 2.0**level)), max(1, int(self.height / 2.0**level))


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize an image: area average if its width shrinks, bicubic if it grows."""
    if image.shape[1] == width and image.shape[0] == height:
        return image.copy()
    interpolation = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=interpolation)


def _halve(image: np.ndarray) -> np.ndarray:
    """Halve width and height. An odd last row or column is cropped to keep the scale exact."""
    height, width = (max(1, side // 2) for side in image.shape[:2])
    return resize(image[: height * 2, : width * 2], width, height)
