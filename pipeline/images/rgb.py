"""Convert decoded Pillow images of any mode and orientation into upright 8-bit RGB arrays."""

import numpy as np
from PIL import Image

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that makes an image upright, by EXIF orientation (1 is upright already)."""
TRANSPOSED = (5, 6, 7, 8)
"""The EXIF orientations that exchange width and height."""


def make_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return the image rotated and mirrored as its EXIF orientation (1-8) says.

    Unknown orientations change nothing. `ImageOps.exif_transpose` is not used because it also
    rewrites the EXIF data, which fails on malformed but harmless entries.
    """
    method = _TRANSPOSE.get(orientation)
    return image if method is None else image.transpose(method)


def to_rgb8(image: Image.Image) -> np.ndarray:
    """Return the image as (height, width, 3) uint8 RGB, composited over white if transparent."""
    if image.mode.startswith("I") or image.mode == "F":
        return _grey_to_rgb8(np.asarray(image, np.float32), image.mode)
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        alpha = rgba.getchannel("A")
        if alpha.getextrema() != (255, 255):
            white = Image.new("RGB", rgba.size, (255, 255, 255))
            white.paste(rgba, mask=alpha)
            return np.asarray(white)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _grey_to_rgb8(values: np.ndarray, mode: str) -> np.ndarray:
    """Convert grey values of 16 or 32 bits, or floats in 0-1, 0-255 or 0-65535."""
    values = np.nan_to_num(values)
    top = values.max(initial=0.0)
    if mode.startswith("I;16"):
        white = 65535.0
    elif mode == "F" and top <= 1.0:
        white = 1.0
    else:  # 32 bits or floats: the file does not state its range, so the brightest pixel decides
        white = 255.0 if top <= 255.0 else max(top, 65535.0)
    grey = np.clip(values * (255.0 / white), 0, 255).round().astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
