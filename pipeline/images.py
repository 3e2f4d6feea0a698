"""Any picture file to an upright 8-bit RGB array, or a reason why not."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp"),
        *("tif", "tiff", "gif", "ppm", "pgm", "avif"),
    )
)
MAX_PIXELS = 100_000_000
"""Pictures above this many pixels (300 MB decoded) are refused before they are decoded."""

# Whatever a file is called, Pillow must not try its other decoders: that for EPS runs Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What to do for each EXIF orientation but 1, which is upright."""


class UnreadableImage(Exception):
    """The file gives no picture; the message is the reason, fit for a row of the shards."""


class TooLarge(UnreadableImage):
    """The picture has more than MAX_PIXELS pixels."""


def read_image(file: Path | bytes) -> np.ndarray:
    """Read a picture, upright, from its path or its bytes: (height, width, 3) uint8, RGB.

    EXIF rotation is applied, 16 bits become 8, transparency is laid over white, and of an
    animation the first frame is taken. Raises UnreadableImage or TooLarge.
    """
    try:
        content = io.BytesIO(file) if isinstance(file, bytes) else file
        if (len(file) if isinstance(file, bytes) else file.stat().st_size) == 0:
            raise UnreadableImage("the file is empty")
        with warnings.catch_warnings(), _no_half_pictures():
            # Pillow warns at its own, lower limit; ours is checked below, before decoding.
            warnings.simplefilter("ignore")
            with Image.open(content, formats=_FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise TooLarge(_too_large(picture.width, picture.height))
                picture.load()
                return _to_rgb8(_upright(picture))
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
        if isinstance(error, OSError) and error.strerror:
            raise UnreadableImage(f"the file cannot be read: {error.strerror}") from error
        raise UnreadableImage(f"damaged or truncated: {str(error) or repr(error)}") from error


def _too_large(width: int, height: int) -> str:
    return f"{width}x{height} is more than {MAX_PIXELS / 1e6:g} megapixels"


@contextmanager
def _no_half_pictures() -> Iterator[None]:
    """Refuse truncated files even where face_recognition, once imported, has Pillow fill them up
    with grey, in the whole process."""
    earlier, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = earlier


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as EXIF says. ImageOps.exif_transpose also writes the EXIF data anew, which fails on
    odd but harmless entries."""
    method = _UPRIGHT.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    return picture if method is None else picture.transpose(method)


def _to_rgb8(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I") or picture.mode == "F":
        return _grey_to_rgb8(np.asarray(picture, np.float64), picture.mode)
    if "A" in picture.getbands() or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, rgba)
    return np.asarray(picture.convert("RGB"), np.uint8).copy()


def _grey_to_rgb8(values: np.ndarray, mode: str) -> np.ndarray:
    """Grey levels of 16 or 32 bits, or floats in 0-1, 0-255 or 0-65535, to 8-bit RGB."""
    values = np.nan_to_num(values)
    top = values.max(initial=0.0)
    if mode.startswith("I;16"):
        white = 65535.0
    elif mode == "F" and top <= 1.0:
        white = 1.0
    else:  # 32 bits or floats: the file does not say, the brightest pixel suggests
        white = 255.0 if top <= 255.0 else max(top, 65535.0)
    grey = np.clip(values * (255.0 / white), 0, 255).round().astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
