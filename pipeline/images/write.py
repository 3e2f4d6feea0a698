"""Encode pictures as PNG, JPEG, WebP, TIFF or AVIF files: what the format can hold is kept."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from ..errors import WrongUse
from .embed_xmp import png_chunk, with_chunks, xmp_chunk
from .metadata import Metadata
from .palette import paletted
from .picture import Picture

QUALITY = 95
"""Of JPEG, WebP and AVIF, from 1 to 100, if none is asked for."""
_FULL_COLOUR_FROM = 90
"""From this quality on, JPEG and AVIF keep colours at full resolution."""
_JPEG_SEGMENT = 65533  # bytes, with two of length
_XMP_TAG, _ICC_TAG = 700, 34675
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"


@dataclass(frozen=True)
class Format:
    """A format of files, and what it can hold."""

    name: str
    """Pillow's name."""
    modes: frozenset[str]
    deep: bool = False
    """Whether it holds 16 bits a channel."""
    palette: bool = False
    most_side: int | None = None
    """The most pixels of a side, as the encoder, or for AVIF the decoder, says."""


_ALL = frozenset(("L", "LA", "RGB", "RGBA"))
FORMATS = {
    ".png": Format("PNG", _ALL, deep=True, palette=True),
    ".jpg": Format("JPEG", frozenset(("L", "RGB", "CMYK")), most_side=65_500),
    ".jpeg": Format("JPEG", frozenset(("L", "RGB", "CMYK")), most_side=65_500),
    ".webp": Format("WebP", frozenset(("RGB", "RGBA")), most_side=16_383),
    ".tif": Format("TIFF", _ALL | {"CMYK"}, deep=True, palette=True),
    ".tiff": Format("TIFF", _ALL | {"CMYK"}, deep=True, palette=True),
    ".avif": Format("AVIF", frozenset(("RGB", "RGBA")), most_side=32_768),
}
"""By the ending of a file's name, in lower case."""


def encode(picture: Picture, suffix: str, quality: int | None = None) -> tuple[bytes, list[str]]:
    """Encode a picture in the format of a file name's ending, one of FORMATS.

    quality: 1-100, of JPEG, WebP and AVIF; WebP of 100 is lossless, as PNG and TIFF always are.

    Returns the file, and a sentence about each thing that the format cannot hold. Raises WrongUse
    if it cannot hold the picture's size.
    """
    kind = FORMATS[suffix]
    height, width = picture.pixels.shape[:2]
    if kind.most_side is not None and max(height, width) > kind.most_side:
        raise WrongUse(
            f"{kind.name} holds no picture of {width} x {height} pixels, only up to "
            f"{kind.most_side} a side: name the output .png."
        )
    picture, notes = fitted(picture, kind)
    metadata = picture.metadata
    if kind.name == "JPEG":
        metadata, more = _fitted_to_segments(metadata)
        notes += more
    if picture.depth == 16 and picture.mode != "L":
        if kind.name == "TIFF":
            content, more = _deep_tiff(picture)
            return content, notes + more
        return _deep_png(picture), notes
    image = _to_image(picture)
    file = io.BytesIO()
    options = _OPTIONS[kind.name](metadata, QUALITY if quality is None else quality)
    shared = {"icc_profile": metadata.icc, "exif": metadata.exif, "dpi": metadata.dpi}
    if metadata.exif is None and metadata.dpi and kind.name in ("WebP", "AVIF"):
        shared["exif"] = _resolution_exif(metadata.dpi)
    options |= {name: value for name, value in shared.items() if value}
    image.save(file, kind.name, **options)
    return file.getvalue(), notes


def fitted(picture: Picture, kind: Format) -> tuple[Picture, list[str]]:
    """The picture as a format can hold it, and a sentence about each thing that is lost."""
    notes = []
    transparent = picture.palette is not None and picture.palette.alphas is not None
    if picture.palette is not None and (not kind.palette or (transparent and kind.name == "TIFF")):
        picture = replace(picture, palette=None)
        what = "transparent palette" if transparent else "palette"
        notes.append(f"{kind.name} holds no {what}: written in full colour.")
    if picture.depth == 16 and not kind.deep:
        picture = picture.in_8_bits()
        notes.append(f"{kind.name} holds 8 bits a channel: the photograph's 16 were reduced.")
    if picture.mode == "LA" and picture.depth == 16:  # which neither Pillow nor OpenCV writes
        picture = _grey_as_rgb(picture if picture.metadata.icc is None else picture.in_8_bits())
        notes.append("16 bits with transparency, and grey: written with equal red, green and blue.")
    if picture.mode in kind.modes:
        return picture, notes
    if picture.mode == "CMYK":
        notes.append(f"{kind.name} holds no CMYK: written as sRGB.")
        return _as_srgb(picture), notes
    if picture.alpha is not None and "RGBA" not in kind.modes:
        notes.append(f"{kind.name} holds no transparency: written over white.")
        picture = _over_white(picture)
    if picture.mode not in kind.modes:  # grey
        notes.append(f"{kind.name} holds no grey pictures: written with equal red, green and blue.")
        picture = _grey_as_rgb(picture)
    return picture, notes


def _as_srgb(picture: Picture) -> Picture:
    return replace(
        picture, pixels=picture.rgb, mode="RGB", metadata=replace(picture.metadata, icc=None)
    )


def _over_white(picture: Picture) -> Picture:
    """In the picture's own colours, of which white is the highest level of each."""
    assert picture.alpha is not None
    share = picture.alpha[:, :, None].astype(np.float32) / 255
    colours = np.rint(picture.pixels[:, :, :-1] * share + 255 * (1 - share)).astype(np.uint8)
    return replace(picture, pixels=colours, mode=picture.mode.removesuffix("A"))


def _grey_as_rgb(picture: Picture) -> Picture:
    """A profile of grey is of no use for RGB: its colours are converted."""
    rgb = np.repeat(picture.pixels[:, :, :1], 3, axis=2)
    metadata = picture.metadata
    if metadata.icc is not None:
        opaque = replace(picture, pixels=picture.pixels[:, :, :1], mode="L")
        rgb, metadata = opaque.rgb, replace(metadata, icc=None)
    if picture.alpha is None:
        return replace(picture, pixels=rgb, mode="RGB", metadata=metadata)
    return replace(picture, pixels=np.dstack([rgb, picture.alpha]), mode="RGBA", metadata=metadata)


def _to_image(picture: Picture) -> Image.Image:
    """A picture of 8 bits, or grey of 16, as Pillow's, with its palette if it has one."""
    if picture.palette is not None and picture.mode in ("RGB", "RGBA"):
        return paletted(picture.pixels, picture.palette)
    pixels = picture.pixels[:, :, 0] if picture.mode == "L" else picture.pixels
    if picture.depth == 16:
        return Image.fromarray(np.ascontiguousarray(pixels))
    size = pixels.shape[1], pixels.shape[0]
    return Image.frombytes(picture.mode, size, np.ascontiguousarray(pixels).tobytes())


def _fitted_to_segments(metadata: Metadata) -> tuple[Metadata, list[str]]:
    """Metadata without blocks that are too long for a JPEG file."""
    notes = []
    if metadata.exif is not None and len(metadata.exif) > _JPEG_SEGMENT:
        metadata = replace(metadata, exif=None)
        notes.append("The photograph's EXIF block is too long for JPEG and is left out.")
    if metadata.xmp is not None and len(metadata.xmp) + len(_XMP_HEADER) > _JPEG_SEGMENT:
        metadata = replace(metadata, xmp=None)
        notes.append("The photograph's XMP is too long for JPEG and is left out.")
    return metadata, notes


def _resolution_exif(dpi: tuple[float, float]) -> bytes:
    """An EXIF block that states the dots per inch, for formats that have no other place."""
    exif = Image.Exif()
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = dpi
    exif[ExifTags.Base.ResolutionUnit] = 2
    exif[ExifTags.Base.Orientation] = 1
    return exif.tobytes()


def _png_options(metadata: Metadata, quality: int) -> dict[str, Any]:
    info = PngInfo()
    if metadata.xmp is not None:
        info.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode(errors="replace"))
    return {"pnginfo": info}


def _lossy_options(metadata: Metadata, quality: int) -> dict[str, Any]:
    """Of JPEG and AVIF."""
    options: dict[str, Any] = {"quality": quality}
    if quality >= _FULL_COLOUR_FROM:
        options["subsampling"] = "4:4:4"
    return options | ({"xmp": metadata.xmp} if metadata.xmp else {})


def _webp_options(metadata: Metadata, quality: int) -> dict[str, Any]:
    # Exact: also the colours of transparent pixels are kept.
    options = {"quality": quality, "lossless": quality == 100, "exact": True}
    return options | ({"xmp": metadata.xmp} if metadata.xmp else {})


def _tiff_options(metadata: Metadata, quality: int) -> dict[str, Any]:
    tags = Image.Exif()
    if metadata.xmp is not None:
        tags[_XMP_TAG] = metadata.xmp
    if metadata.exif is not None:
        tags.load(metadata.exif)
        # libtiff, which compresses for Pillow, writes no EXIF.
        return {"tiffinfo": tags}
    return {"compression": "tiff_adobe_deflate", "tiffinfo": tags}


_OPTIONS: dict[str, Callable[[Metadata, int], dict[str, Any]]] = {
    "PNG": _png_options,
    "JPEG": _lossy_options,
    "WebP": _webp_options,
    "AVIF": _lossy_options,
    "TIFF": _tiff_options,
}
"""Arguments of Pillow's `save`."""


def _deep_png(picture: Picture) -> bytes:
    """A PNG of 16 bits in colour, which Pillow cannot write, by OpenCV; metadata go in before the
    first chunk of pixels."""
    pixels, metadata = picture.pixels, picture.metadata
    order = [2, 1, 0, 3][: pixels.shape[2]]
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, order]))
    assert done, "OpenCV could not encode the picture"
    content = encoded.tobytes()
    chunks = b""
    if metadata.icc:
        chunks += png_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc))
    if metadata.dpi:
        per_metre = (round(value / 0.0254) for value in metadata.dpi)
        chunks += png_chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if metadata.exif:
        chunks += png_chunk(b"eXIf", metadata.exif.removeprefix(b"Exif\0\0"))
    if metadata.xmp:
        chunks += xmp_chunk(metadata.xmp)
    return with_chunks(content, chunks)


def _deep_tiff(picture: Picture) -> tuple[bytes, list[str]]:
    """A TIFF of 16 bits in colour, which Pillow cannot write."""
    import tifffile

    metadata, file, tags = picture.metadata, io.BytesIO(), []
    if metadata.icc:
        tags.append((_ICC_TAG, "B", len(metadata.icc), metadata.icc, True))
    if metadata.xmp:
        tags.append((_XMP_TAG, "B", len(metadata.xmp), metadata.xmp, True))
    options: dict[str, Any] = {}
    if metadata.dpi:
        options = {"resolution": metadata.dpi, "resolutionunit": "INCH"}
    if picture.alpha is not None:
        options["extrasamples"] = ["unassalpha"]
    tifffile.imwrite(
        file,
        picture.pixels,
        photometric="rgb",
        planarconfig="contig",
        compression="zlib",
        software=False,
        metadata=None,
        extratags=tags,
        **options,
    )
    notes = ["The EXIF block is left out of a TIFF of 16 bits in colour."] if metadata.exif else []
    return file.getvalue(), notes
