"""Any picture file to an upright 8-bit RGB array, or a reason why not."""

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

# The decoders of _FORMATS. Where one of them is not loaded, Pillow loads all of its fifty to open
# a file: of the 200 ms in which a decompression bomb is to be refused that would take 130.
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
MAX_PIXELS = 100_000_000
"""Pictures above this many pixels (300 MB decoded) are refused before they are decoded."""

# Whatever a file is called, Pillow must not try its other decoders: that for EPS runs Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF", *_HEIC_FORMATS)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")
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
_LYING = (5, 6, 7, 8)
"""The orientations that exchange width and height."""


class UnreadableImage(Exception):
    """The file gives no picture; the message is the reason, fit for a row of the shards."""


class TooLarge(UnreadableImage):
    """The picture has more than MAX_PIXELS pixels."""


@dataclass(frozen=True)
class Preview:
    """A picture decoded at full size, or a JPEG at a half, a quarter or an eighth of it."""

    picture: np.ndarray
    """(height, width, 3) uint8 RGB, upright."""
    halvings: int
    width: int
    """Of the picture at full size, upright."""
    height: int


def read_image(file: Path | bytes) -> np.ndarray:
    """Read a picture, upright, from its path or its bytes: (height, width, 3) uint8, RGB.

    EXIF rotation is applied, 16 bits become 8, transparency is laid over white, and of an
    animation the first frame is taken. Raises UnreadableImage or TooLarge.
    """
    return read_preview(file, None).picture.copy()  # Pillow's is not to be written to


def read_preview(file: Path | bytes, longest: int | None) -> Preview:
    """As `read_image`, but a JPEG is halved while its longer side stays at least `longest`.

    The decoder does so at a fraction of the cost of the whole. None: never.
    """
    try:
        with warnings.catch_warnings(), _no_half_pictures():
            # Pillow warns at its own, lower limit; ours is checked below, before decoding.
            warnings.simplefilter("ignore")
            with Image.open(_regular(file), formats=_FORMATS) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise TooLarge(_too_large(width, height))
                halvings = 0 if longest is None else _shrink_in_decoder(picture, longest)
                picture.load()
                orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
                if orientation in _LYING:
                    width, height = height, width
                return Preview(_to_rgb8(_turned(picture, orientation)), halvings, width, height)
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:
        raise TooLarge(f"more than {MAX_PIXELS / 1e6:g} megapixels") from error
    except UnidentifiedImageError as error:
        raise UnreadableImage(_unknown(file)) from error
    except FileNotFoundError as error:
        raise UnreadableImage("the file is not there") from error
    except MemoryError as error:
        raise UnreadableImage("not enough memory to decode it") from error
    except Exception as error:  # decoders raise nearly anything on damaged files
        if isinstance(error, OSError) and error.strerror:
            raise UnreadableImage(f"the file cannot be read: {error.strerror}") from error
        raise UnreadableImage(f"damaged or truncated: {str(error) or repr(error)}") from error


def _unknown(file: Path | bytes) -> str:
    if isinstance(file, bytes):
        start = file[:12]
    else:
        with file.open("rb") as opened:
            start = opened.read(12)
    if start[4:8] == b"ftyp" and start[8:] in _HEIC_BRANDS and not _HEIC_FORMATS:
        return "a HEIC picture: to read it, pip install ganim[heic]"
    return "not a picture in a known format"


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


def _regular(file: Path | bytes) -> Path | BinaryIO:
    """What Pillow opens. A named pipe would block, so only a regular file is opened."""
    if isinstance(file, bytes):
        size = len(file)
    else:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise UnreadableImage("it is no regular file")
        size = status.st_size
    if size == 0:
        raise UnreadableImage("the file is empty")
    return io.BytesIO(file) if isinstance(file, bytes) else file


def _shrink_in_decoder(picture: Image.Image, longest: int) -> int:
    """Have a JPEG decoded at a half, a quarter or an eighth; return how often it is halved."""
    halvings = 0
    while picture.format in ("JPEG", "MPO") and halvings < 3:
        if max(picture.size) < longest * 2 ** (halvings + 1):
            break
        halvings += 1
    if halvings:
        picture.draft(None, tuple(side // 2**halvings for side in picture.size))
    return halvings


def _turned(picture: Image.Image, orientation: int) -> Image.Image:
    """Turned as EXIF says. ImageOps.exif_transpose also writes the EXIF data anew, which fails on
    odd but harmless entries."""
    method = _UPRIGHT.get(orientation)
    return picture if method is None else picture.transpose(method)


def _to_rgb8(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I") or picture.mode == "F":
        return _grey_to_rgb8(np.asarray(picture, np.float32), picture.mode)
    if "A" in picture.getbands() or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        alpha = rgba.getchannel("A")
        if alpha.getextrema() != (255, 255):
            white = Image.new("RGB", rgba.size, (255, 255, 255))
            white.paste(rgba, mask=alpha)
            return np.asarray(white)
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


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
