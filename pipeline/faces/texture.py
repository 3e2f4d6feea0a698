"""Gives skin of eyes and forehead that an edit blurs the texture of the cheeks.

Lids below brows that are raised, and lids that close, are stretched from little that was seen of
them, and blurred, as stretched detail is streaks. Between skin with pores and grain they look
painted. The texture of skin is much the same all over a face.
"""

import cv2
import numpy as np

from .crop import Box

CHEEKS_BELOW = 0.45
"""How far below eyes and brows cheeks lie, in half sides of the frame."""
_LARGEST = 3.0
"""Largest texture, in standard deviations: edges are none."""
_OF_MEDIAN = 1.4826
"""Standard deviations in a median of absolute values."""


def with_texture_of_cheeks(
    pixels: np.ndarray,
    share: np.ndarray,
    picture: np.ndarray,
    part: Box,
    step: tuple[int, int],
    sigma: float,
) -> np.ndarray:
    """Pixels to which the detail of those that lie a step away is added.

    Args:
        pixels: (h, w, channels) float32, a part of a picture that was edited.
        share: (h, w) in 0-1, how much of the texture each of them gets.
        picture: (height, width, channels), as it was.
        part: where in the picture the pixels lie.
        step: how many pixels right and down the texture lies.
        sigma: standard deviation in pixels; detail is what a Gaussian blur with it removes.
    """
    left, top, width, height = cv2.boundingRect((share > 1 / 255).astype(np.uint8))
    if not width:
        return pixels
    margin = int(np.ceil(3 * sigma))
    first = np.array([left + part.left, top + part.top]) + step - margin
    columns, rows = (
        np.clip(np.arange(start, start + length + 2 * margin), 0, most - 1)
        for start, length, most in zip(first, (width, height), picture.shape[1::-1], strict=True)
    )
    there = picture[np.ix_(rows, columns)].astype(np.float32)
    smooth = cv2.GaussianBlur(there, (0, 0), sigma).reshape(there.shape)
    inner = np.s_[margin : margin + height, margin : margin + width]
    texture, smooth = (there - smooth)[inner], smooth[inner]
    limit = _LARGEST * _OF_MEDIAN * np.median(np.abs(texture), axis=(0, 1))
    result = pixels.copy()
    here = result[top : top + height, left : left + width]
    # What is darker has less contrast.
    darker = np.clip(here.mean(2, keepdims=True) / smooth.mean().clip(1), 0, 1)
    weight = share[top : top + height, left : left + width, None] * darker
    here += weight * np.clip(texture, -limit, limit)
    return result
