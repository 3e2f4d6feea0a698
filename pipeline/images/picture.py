"""A picture as its file holds it: in its own colours and depth, with its metadata."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image

from .colour import is_srgb, to_srgb
from .decode import UnreadableImage, opened
from .metadata import Metadata, read_metadata
from .rgb import make_upright, to_rgb8

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}
"""The modes of pictures, by Pillow's names, and their numbers of channels."""
_EQUIVALENT = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}
"""Modes that hold no more than another one."""


@dataclass(frozen=True)
class Palette:
    """The colours of a picture that has at most 256, and where they are."""

    indices: np.ndarray
    """(h, w) uint8."""
    colours: np.ndarray
    """(n, 3) uint8 RGB, 1 to 256 colours."""
    alphas: np.ndarray | None = None
    """(n,) uint8; None: all are opaque."""


@dataclass(frozen=True)
class Picture:
    """A picture, upright, in the colours and the depth of its file. Its arrays are not changed."""

    pixels: np.ndarray
    """(h, w, channels) uint8 or uint16; transparency, the last of two or four, is not
    premultiplied."""
    mode: str
    """What the channels are: L (grey), LA, RGB, RGBA or CMYK."""
    metadata: Metadata = field(default_factory=Metadata)
    palette: Palette | None = None
    """Of a picture with a palette, whose `pixels` show its colours; kept when they change."""
    format: str | None = None
    """Of its file, by Pillow's name, such as `JPEG`."""
    notes: tuple[str, ...] = ()
    """Sentences about what of the file this does not hold."""

    @property
    def depth(self) -> int:
        """Bits of a channel, 8 or 16."""
        return self.pixels.dtype.itemsize * 8

    @property
    def alpha(self) -> np.ndarray | None:
        """(h, w), 0 where the picture is transparent; None if its mode has none."""
        return self.pixels[:, :, -1] if self.mode in ("LA", "RGBA") else None

    @property
    def is_srgb(self) -> bool:
        """Whether colours or grey need no conversion to be sRGB."""
        if self.mode == "CMYK":
            return False
        return self.metadata.icc is None or (
            self.mode.startswith("RGB") and is_srgb(self.metadata.icc)
        )

    @cached_property
    def rgb(self) -> np.ndarray:
        """(h, w, 3) uint8 sRGB, composited over white: what a network sees. Read-only."""
        if self.mode == "RGB" and self.depth == 8 and self.is_srgb:
            return self.pixels
        eight = self.in_8_bits()
        colours = eight.pixels if self.alpha is None else eight.pixels[:, :, :-1]
        if colours.shape[2] == 1:
            colours = colours[:, :, 0]
        mode = self.mode.removesuffix("A")
        image = Image.fromarray(np.ascontiguousarray(colours), mode)
        rgb = np.asarray(to_srgb(image, None if self.is_srgb else self.metadata.icc))
        alpha = eight.alpha
        if alpha is None or alpha.min(initial=255) == 255:
            return rgb
        share = alpha[:, :, None].astype(np.float32) / 255
        return np.rint(rgb * share + 255 * (1 - share)).astype(np.uint8)

    def in_8_bits(self) -> "Picture":
        """The picture with its values of 16 bits rounded to 8."""
        if self.depth == 8:
            return self
        return replace(self, pixels=np.rint(self.pixels / 257.0).astype(np.uint8))


def read_picture(file: Path | bytes) -> Picture:
    """Decode an image file, given as its path or its bytes. Of an animation, the first frame.

    Raises UnreadableImage or TooLarge.
    """
    with opened(file) as image:
        kind = image.format
        if _is_deep_colour(image):
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
            pixels, mode = _deep_colour(file, image.mode), image.mode
            image.load()  # reads also what stands after the pixels, such as XMP
            if kind != "TIFF":  # of which OpenCV applies the orientation
                channels = [Image.fromarray(pixels[:, :, n]) for n in range(pixels.shape[2])]
                pixels = np.dstack([np.asarray(make_upright(one, orientation)) for one in channels])
            return Picture(pixels, mode, read_metadata(image), format=kind)
        return picture_of_image(image)


def picture_of_image(image: Image.Image) -> Picture:
    """The picture that Pillow has opened, upright."""
    image.load()
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    depth = image.info.get("bit_depth", 8)
    picture = _of_upright(make_upright(image, orientation), read_metadata(image))
    notes = (f"Its {depth} bits a channel are read as 8.",) if depth > 8 else ()
    # MPO is a JPEG with further pictures after it, as phones write them.
    kind = "JPEG" if image.format == "MPO" else image.format
    return replace(picture, format=kind, notes=picture.notes + notes)


def picture_of_array(pixels: np.ndarray) -> Picture:
    """The picture of an array (h, w) grey, (h, w, 3) RGB or (h, w, 4) with transparency.

    Raises ValueError if it is not such an array of uint8 or uint16.
    """
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}.get(pixels.shape[-1] if pixels.ndim == 3 else 0)
    if mode is None or pixels.dtype not in (np.uint8, np.uint16) or not pixels.size:
        raise ValueError(
            f"an array {pixels.shape} of {pixels.dtype} is no picture: give (h, w), (h, w, 3) or "
            "(h, w, 4) of uint8 or uint16"
        )
    return Picture(np.ascontiguousarray(pixels), mode)


def _of_upright(image: Image.Image, metadata: Metadata) -> Picture:
    if image.mode == "P":
        return _with_palette(image, metadata)
    if image.mode.startswith("I;16"):
        return Picture(np.asarray(image, np.uint16)[:, :, None], "L", metadata)
    if "transparency" in image.info and image.mode in ("L", "RGB"):
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    elif image.mode in _EQUIVALENT:
        image = image.convert(_EQUIVALENT[image.mode])
    if image.mode in CHANNELS:
        return Picture(_channels(image), image.mode, metadata)
    note = f"Its pixels of type {image.mode} are read as RGB in 8 bits."
    return Picture(to_rgb8(image), "RGB", replace(metadata, icc=None), notes=(note,))


def _channels(image: Image.Image) -> np.ndarray:
    """(h, w, channels) uint8."""
    return np.asarray(image).reshape(image.height, image.width, -1)


def _with_palette(image: Image.Image, metadata: Metadata) -> Picture:
    transparency = image.info.get("transparency")
    colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    indices = np.asarray(image)
    colours = np.pad(colours, [(0, max(0, int(indices.max(initial=0)) + 1 - len(colours))), (0, 0)])
    alphas = None
    if transparency is not None:
        alphas = np.full(len(colours), 255, np.uint8)
        if isinstance(transparency, bytes):
            some = np.frombuffer(transparency, np.uint8)[: len(colours)]
            alphas[: len(some)] = some
        elif transparency < len(colours):
            alphas[transparency] = 0
    pixels = colours[indices]
    if alphas is not None:
        pixels = np.dstack([pixels, alphas[indices]])
    mode = "RGB" if alphas is None else "RGBA"
    return Picture(pixels, mode, metadata, Palette(indices, colours, alphas))


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether a file has 16 bits a channel in colour or with transparency, which Pillow would
    reduce to 8."""
    if image.format not in ("PNG", "TIFF") or image.mode not in ("LA", "RGB", "RGBA"):
        return False
    tiles = getattr(image, "tile", None)  # how a file of pixels is decoded
    arguments = tiles[0].args if tiles else ""
    raw_mode = arguments[0] if isinstance(arguments, tuple) else arguments
    return isinstance(raw_mode, str) and ";16" in raw_mode


def _deep_colour(file: Path | bytes, mode: str) -> np.ndarray:
    """Decode a PNG or TIFF of 16 bits: (h, w, channels) uint16."""
    content = file if isinstance(file, bytes) else file.read_bytes()
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    wanted = {"LA": [0, 3], "RGB": [2, 1, 0], "RGBA": [2, 1, 0, 3]}[mode]
    if decoded is None or decoded.ndim != 3 or decoded.shape[2] <= max(wanted):
        raise UnreadableImage("damaged, or of a kind of 16 bits that OpenCV does not read")
    return np.ascontiguousarray(decoded[:, :, wanted].astype(np.uint16))
