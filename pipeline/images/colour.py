"""Colours of a picture to sRGB, and back, by its ICC profile."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=8)
def is_srgb(icc: bytes | None) -> bool:
    """Whether colours of a profile are those of sRGB, up to rounding; so also without one."""
    if icc is None:
        return True
    levels = np.linspace(0, 255, 18).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 18, 3)
    transform = _transform(icc, "RGB", True)
    if transform is None:
        return False
    converted = ImageCms.applyTransform(Image.fromarray(grid), transform)
    return converted is not None and np.abs(np.asarray(converted) - grid.astype(int)).max() <= 1


def to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """An 8-bit picture of mode L, RGB or CMYK as sRGB.

    icc: its profile. One that cannot be used, or of another kind of colours, is ignored.
    """
    transform = None if icc is None else _transform(icc, image.mode, True)
    if transform is None:
        return image.convert("RGB")
    return ImageCms.applyTransform(image, transform) or image


def from_srgb(rgb: np.ndarray, mode: str, icc: bytes) -> np.ndarray | None:
    """Colours (h, w, 3) uint8 in sRGB as those of a profile, (h, w, channels) uint8.

    mode: L, RGB or CMYK. None if the profile only leads from its colours to others.
    """
    transform = _transform(icc, mode, False)
    if transform is None:
        return None
    converted = ImageCms.applyTransform(Image.fromarray(rgb), transform)
    return None if converted is None else np.asarray(converted).reshape(*rgb.shape[:2], -1)


@lru_cache(maxsize=8)
def _transform(icc: bytes, mode: str, to_rgb: bool) -> ImageCms.ImageCmsTransform | None:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if to_rgb:
            return ImageCms.buildTransform(profile, _SRGB, mode, "RGB")
        return ImageCms.buildTransform(_SRGB, profile, "RGB", mode)
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None
