"""Any picture file to an upright 8-bit RGB array, or a reason why not."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp"),
        *("tif", "tiff", "gif", "ppm", "pgm", "avif"),
    )
)
MAX_PIXELS = 100_000_000
"""Pictures above this many pixels (300 MB decoded) are refused before they are decoded."""


class UnreadableImage(Exception):
    """The file gives no picture; the message is the reason, fit for a row of the shards."""


class TooLarge(UnreadableImage):
    """The picture has more than MAX_PIXELS pixels."""


def read_image(path: Path) -> np.ndarray:
    """Read a picture file, upright: (height, width, 3) uint8, RGB.

    EXIF rotation is applied, 16 bits become 8, transparency is laid over white, and of an
    animation the first frame is taken. Raises UnreadableImage or TooLarge.
    """
    try:
        if path.stat().st_size == 0:
            raise UnreadableImage("the file is empty")
        with warnings.catch_warnings():
            # Pillow warns at its own, lower limit; ours is checked below, before decoding.
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise TooLarge(_too_large(picture.width, picture.height))
                picture.load()
                upright = ImageOps.exif_transpose(picture)
                return _to_rgb8(upright)
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:
        raise TooLarge(f"more than {MAX_PIXELS / 1e6:g} megapixels") from error
    except UnidentifiedImageError as error:
        raise UnreadableImage("not a picture in a known format") from error
    except FileNotFoundError as error:
        raise UnreadableImage("the file is not there") from error
    except MemoryError as error:
        raise UnreadableImage("not enough memory to decode it") from error
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise UnreadableImage(f"damaged or truncated: {str(error) or repr(error)}") from error


def _too_large(width: int, height: int) -> str:
    return f"{width}x{height} is more than {MAX_PIXELS / 1e6:g} megapixels"


def _to_rgb8(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I") or picture.mode == "F":
        return _grey_to_rgb8(np.asarray(picture, np.float64))
    if "A" in picture.getbands() or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, rgba)
    return np.asarray(picture.convert("RGB"), np.uint8).copy()


def _grey_to_rgb8(values: np.ndarray) -> np.ndarray:
    """Grey levels of 16 or 32 bits, or floats in 0-1, 0-255 or 0-65535, to 8-bit RGB."""
    values = np.nan_to_num(values)
    top = values.max(initial=0.0)
    scale = 255.0 if top <= 1.0 else 1.0 if top <= 255.0 else 255.0 / max(top, 65535.0)
    grey = np.clip(values * scale, 0, 255).round().astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
