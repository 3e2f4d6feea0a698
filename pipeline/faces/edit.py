"""Apply a change that a network made in sRGB to a picture in its own colours and depth."""

from dataclasses import replace

import numpy as np

from ..images.colour import from_srgb
from ..images.picture import Picture
from .frame import Region
from .paste import Change, added, with_part

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R 601, as Pillow converts colours to grey."""
_DARKEST = 0.1
"""Least share of light that black ink is taken to leave, where a change is made in other inks."""


def edit_picture(picture: Picture, region: Region, change: Change) -> Picture:
    """Return the picture with a change that was computed for a region of `picture.rgb`.

    Pixels outside the region and below it, and those that the change leaves, keep their values to
    the bit.
    """
    if picture.is_srgb:
        native = change._replace(difference=_in_channels(change.difference, picture))
        part, pixels = region.changed(picture.pixels, native)
        return replace(picture, pixels=with_part(picture.pixels, part, pixels))
    still = change._replace(difference=np.zeros_like(change.difference))
    part, after = region.changed(picture.rgb, change)
    _, before = region.changed(picture.rgb, still)
    empty = change._replace(difference=np.zeros((*change.difference.shape[:2], _count(picture))))
    _, moved = region.changed(picture.pixels, empty)
    if not moved.size:
        return picture
    difference = _native_difference(picture, moved, before, after)
    pixels = added(moved.astype(np.float32), difference, moved.dtype)
    return replace(picture, pixels=with_part(picture.pixels, part, pixels))


def _count(picture: Picture) -> int:
    return picture.pixels.shape[2]


def _in_channels(difference: np.ndarray, picture: Picture) -> np.ndarray:
    """A difference (h, w, 3) of sRGB levels of 8 bits in the channels and levels of a picture."""
    native = difference
    if picture.mode in ("L", "LA"):
        native = (difference @ _LUMA)[:, :, None]
    if picture.alpha is not None:
        native = np.pad(native, [(0, 0), (0, 0), (0, 1)])
    return native * (np.iinfo(picture.pixels.dtype).max / 255)


def _native_difference(
    picture: Picture, moved: np.ndarray, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    """The difference of two parts (h, w, 3) uint8 sRGB, in the colours of a picture with a profile
    or in CMYK.

    moved: the same part of the picture, in its own colours.
    """
    mode, icc = picture.mode.removesuffix("A"), picture.metadata.icc
    if icc is not None:
        colours = [from_srgb(rgb, mode, icc) for rgb in (before, after)]
        if colours[0] is not None and colours[1] is not None:
            native = colours[1].astype(np.float32) - colours[0]
            if picture.alpha is not None:
                native = np.pad(native, [(0, 0), (0, 0), (0, 1)])
            return native * (np.iinfo(moved.dtype).max / 255)
    difference = after.astype(np.float32) - before
    if mode != "CMYK":
        return _in_channels(difference, picture)
    # Without a profile: R = (255 - C) (255 - K) / 255, as Pillow converts.
    light = np.maximum(1 - moved[:, :, 3:].astype(np.float32) / 255, _DARKEST)
    return np.pad(-difference / light, [(0, 0), (0, 0), (0, 1)])
