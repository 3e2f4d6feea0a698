"""Decode an image file into an upright 8-bit RGB array, or raise the reason why not."""

import io
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

# The decoders of _FORMATS. If one of them is not loaded, Pillow loads all of its fifty to open a
# file. That takes 130 ms, and a decompression bomb is to be refused within 200 ms.
from PIL import (  # noqa: F401  isort: skip
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from .rgb import TRANSPOSED, make_upright, to_rgb8

try:  # optional: `pip install ganim[heic]`
    from pillow_heif import register_heif_opener
except ImportError:
    _HEIC_FORMATS: tuple[str, ...] = ()
else:
    register_heif_opener(thumbnails=False)
    _HEIC_FORMATS = ("HEIF",)

SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp"),
        *("tif", "tiff", "gif", "ppm", "pgm", "avif", "heic", "heif"),
    )
)
"""The endings, in lower case, of files that are read as photographs."""
MAX_PIXELS = 100_000_000
"""Images with more pixels (300 MB decoded) are refused before they are decoded."""

# Pillow must try no other decoder, whatever a file is called: that for EPS runs Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF", *_HEIC_FORMATS)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")
_MAX_HALVINGS = 3
"""libjpeg decodes at 1/2, 1/4 and 1/8 of the size."""


class UnreadableImage(Exception):
    """The file cannot be decoded. The message is the reason, as written to a row of a shard."""


class TooLarge(UnreadableImage):
    """The image has more than MAX_PIXELS pixels."""


@dataclass(frozen=True)
class Preview:
    """An image decoded at its full size, or a JPEG decoded at 1/2, 1/4 or 1/8 of it."""

    pixels: np.ndarray
    """(height, width, 3) uint8 RGB, upright, at the decoded size. Read-only."""
    halvings: int
    """How often width and height were halved, 0-3."""
    width: int
    """Width at full size, upright, in pixels; likewise `height`."""
    height: int


def read_image(file: Path | bytes) -> np.ndarray:
    """Decode an image file, given as its path or its bytes: (height, width, 3) uint8 RGB.

    The EXIF orientation is applied, 16 bits are reduced to 8, transparent images are composited
    over white, and of an animation the first frame is returned. Raises UnreadableImage or TooLarge.
    """
    return read_preview(file, None).pixels.copy()  # a copy, as Pillow's array is read-only


def read_preview(file: Path | bytes, min_side: int | None) -> Preview:
    """Decode like `read_image`, but halve a JPEG while its longer side stays >= `min_side` px.

    The JPEG decoder does this at a fraction of the cost of decoding in full. None: never halve.
    """
    with opened(file) as image:
        width, height = image.size
        halvings = 0 if min_side is None else _halve_in_decoder(image, min_side)
        image.load()
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if orientation in TRANSPOSED:
            width, height = height, width
        return Preview(to_rgb8(make_upright(image, orientation)), halvings, width, height)


@contextmanager
def opened(file: Path | bytes) -> Iterator[Image.Image]:
    """Open an image file, given as its path or its bytes, of one of the formats known here.

    Whatever goes wrong inside, in Pillow or in its decoders, is raised as UnreadableImage or
    TooLarge.
    """
    try:
        with warnings.catch_warnings(), _refusing_truncated():
            # Pillow warns at a lower limit than MAX_PIXELS, which is checked before decoding.
            warnings.simplefilter("ignore")
            with Image.open(_regular(file), formats=_FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise TooLarge(f"{width}x{height} is more than {MAX_PIXELS / 1e6:g} megapixels")
                yield image
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:
        raise TooLarge(f"more than {MAX_PIXELS / 1e6:g} megapixels") from error
    except UnidentifiedImageError as error:
        raise UnreadableImage(_unidentified(file)) from error
    except FileNotFoundError as error:
        raise UnreadableImage("the file does not exist") from error
    except MemoryError as error:
        raise UnreadableImage("not enough memory to decode it") from error
    except Exception as error:  # decoders raise nearly any exception on damaged files
        if isinstance(error, OSError) and error.strerror:
            raise UnreadableImage(f"the file cannot be read: {error.strerror}") from error
        raise UnreadableImage(f"damaged or truncated: {str(error) or repr(error)}") from error


def _unidentified(file: Path | bytes) -> str:
    """The reason for a file that no decoder accepts."""
    if isinstance(file, bytes):
        start = file[:12]
    else:
        with file.open("rb") as opened:
            start = opened.read(12)
    if start[4:8] == b"ftyp" and start[8:] in _HEIC_BRANDS and not _HEIC_FORMATS:
        return "a HEIC picture: to read it, pip install ganim[heic]"
    return "not a picture in a known format"


@contextmanager
def _refusing_truncated() -> Iterator[None]:
    """Make Pillow refuse truncated files.

    Importing face_recognition makes Pillow fill them with grey, in the whole process.
    """
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _regular(file: Path | bytes) -> Path | BinaryIO:
    """Return what Pillow is to open, if it is a regular file: opening a named pipe would block."""
    if isinstance(file, bytes):
        size = len(file)
    else:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise UnreadableImage("not a regular file")
        size = status.st_size
    if size == 0:
        raise UnreadableImage("the file is empty")
    return io.BytesIO(file) if isinstance(file, bytes) else file


def _halve_in_decoder(image: Image.Image, min_side: int) -> int:
    """Set up a JPEG to be decoded at a half, a quarter or an eighth; return the halvings."""
    halvings = 0
    while image.format in ("JPEG", "MPO") and halvings < _MAX_HALVINGS:
        if max(image.size) < min_side * 2 ** (halvings + 1):
            break
        halvings += 1
    if halvings:
        image.draft(None, tuple(side // 2**halvings for side in image.size))
    return halvings
