"""Pictures in their own colours and depth: read, written in each format, edited in a region."""

import io
import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from ganim.pipeline.errors import WrongUse
from ganim.pipeline.faces.edit import edit_picture
from ganim.pipeline.faces.frame import Frame
from ganim.pipeline.faces.paste import Change
from ganim.pipeline.images.decode import UnreadableImage
from ganim.pipeline.images.picture import Picture, read_picture
from ganim.pipeline.images.write import FORMATS, encode

SIZE = 96
FRAME = Frame(np.array([[20.0, 8.0], [-8.0, 20.0]]), np.array([50.0, 45.0]))
"""A tilted region in the middle of a picture of SIZE."""
SUFFIXES = [".png", ".tiff", ".jpg", ".webp", ".avif"]
LOSSLESS = {
    ".png": {"L", "LA", "RGB", "RGBA", "P", "PA", "L16", "RGB16", "RGBA16"},
    ".tiff": {"L", "LA", "RGB", "RGBA", "CMYK", "P", "L16", "RGB16", "RGBA16"},
    ".webp": {"RGB", "RGBA"},
}
"""Kinds of pictures that a format gives back to the bit, WebP at a quality of 100."""


@pytest.fixture(scope="module")
def colours(astronaut: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(astronaut[80 : 80 + SIZE, 180 : 180 + SIZE])


def picture_of(kind: str, colours: np.ndarray) -> Picture:
    """A picture, from a file of that kind where Pillow can write it."""
    if kind.endswith("16"):
        deep = colours.astype(np.uint16) * 257 - colours // 2
        alpha = (np.indices((SIZE, SIZE))[0] * 600).astype(np.uint16)[:, :, None]
        parts = {"L": [deep[:, :, :1]], "RGB": [deep]}
        parts |= {"LA": [*parts["L"], alpha], "RGBA": [deep, alpha]}
        mode = kind.removesuffix("16")
        return Picture(np.concatenate(parts[mode], 2), mode)
    image = Image.fromarray(colours)
    if kind == "PA":
        image = image.quantize(40)
        image.info["transparency"] = bytes([255] * 39 + [100])
    else:
        image = image.convert(kind)
    if kind in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(np.indices((SIZE, SIZE))[0].astype(np.uint8) * 2))
    file = io.BytesIO()
    image.save(file, "TIFF" if kind == "CMYK" else "PNG")
    return read_picture(file.getvalue())


def change(colour: tuple[float, float, float]) -> Change:
    flow = np.zeros((32, 32, 2), np.float32)
    flow[12:20, 12:20] = 0.08
    difference = np.zeros((32, 32, 3), np.float32)
    difference[10:22, 10:22] = colour
    return Change(difference, flow)


KINDS = ["L", "LA", "RGB", "RGBA", "CMYK", "P", "PA", "L16", "RGB16", "RGBA16", "LA16"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_stays_in_its_region_in_every_mode(kind: str, colours: np.ndarray) -> None:
    picture = picture_of(kind, colours)
    assert picture.depth == (16 if kind.endswith("16") else 8)
    edited = edit_picture(picture, FRAME, change((40.0, 20.0, -30.0)))
    assert edited.pixels.shape == picture.pixels.shape
    assert edited.pixels.dtype == picture.pixels.dtype and edited.mode == picture.mode
    down, across = np.indices((SIZE, SIZE)).astype(np.float64)
    outside = np.abs(FRAME.from_picture(np.stack([across, down], -1))).max(-1) > 1.05
    assert np.array_equal(edited.pixels[outside], picture.pixels[outside])
    assert not np.array_equal(edited.pixels, picture.pixels)
    nothing = edit_picture(picture, FRAME, change((0, 0, 0))._replace(flow=None))
    assert np.array_equal(nothing.pixels, picture.pixels)


@pytest.mark.parametrize("kind", ["RGB", "RGBA16", "CMYK"])
def test_a_change_looks_the_same_in_every_mode(kind: str, colours: np.ndarray) -> None:
    asked = change((30.0, 10.0, -20.0))
    flat = np.full_like(colours, 120)
    picture = picture_of(kind, flat)
    if picture.mode == "RGBA":
        picture.pixels[:, :, 3] = 65535
    edited = edit_picture(picture, FRAME, asked).rgb.astype(int) - picture.rgb
    np.testing.assert_allclose(edited[45, 50], [30, 10, -20], atol=1)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_format_holds_is_kept_and_the_rest_is_said(
    kind: str, suffix: str, colours: np.ndarray
) -> None:
    picture = picture_of(kind, colours)
    content, notes = encode(picture, suffix, 100)
    again = read_picture(content)
    if kind in LOSSLESS.get(suffix, ()):
        assert notes == []
        assert again.mode == picture.mode and again.depth == picture.depth
        assert np.array_equal(again.pixels, picture.pixels)
        assert (again.palette is not None) == (kind in ("P", "PA"))
    else:
        said = " ".join(notes)
        lost = {
            "palette": picture.palette is not None and again.palette is None,
            "16": picture.depth > again.depth,
            "transparency": picture.alpha is not None and again.alpha is None,
            "CMYK": picture.mode == "CMYK" and again.mode != "CMYK",
            "grey": again.mode.startswith("RGB") and picture.mode.startswith("L"),
        }
        assert all(word in said for word, is_lost in lost.items() if is_lost)
    assert np.abs(again.rgb.astype(int) - picture.rgb).mean() < 2


def test_a_palette_keeps_its_indices_and_gets_colours_for_what_changed(colours) -> None:
    picture = picture_of("P", colours)
    edited = edit_picture(picture, FRAME, change((60.0, -20.0, 0.0)))
    content, _ = encode(edited, ".png")
    again = read_picture(content)
    same = (edited.pixels == picture.pixels).all(2)
    assert np.array_equal(again.palette.indices[same], picture.palette.indices[same])
    assert np.array_equal(again.pixels[same], picture.pixels[same])
    assert np.abs(again.pixels[~same].astype(int) - edited.pixels[~same]).mean() < 8


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_qualities(suffix: str, colours: np.ndarray) -> None:
    picture = Picture(colours, "RGB")
    sizes = [len(encode(picture, suffix, quality)[0]) for quality in (30, 90)]
    assert (sizes[0] == sizes[1]) == (suffix in (".png", ".tiff"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bits_are_made_upright_as_8_are(suffix: str, orientation: int, colours) -> None:
    deep = colours[:, :70].astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(colours[:, :70]).save(file, "PNG", exif=exif)
    expected = read_picture(file.getvalue()).pixels
    if suffix == ".tiff":
        import tifffile

        file = io.BytesIO()
        tags = [(0x0112, 3, 1, orientation, True)]
        tifffile.imwrite(file, deep, photometric="rgb", extratags=tags)
        content = file.getvalue()
    else:
        content = cv2.imencode(".png", deep[:, :, ::-1])[1].tobytes()
        block = exif.tobytes().removeprefix(b"Exif\0\0")
        import zlib

        chunk = b"eXIf" + block
        chunk = struct.pack(">I", len(block)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        content = content[:33] + chunk + content[33:]
    picture = read_picture(content)
    assert picture.depth == 16
    assert np.array_equal(picture.pixels, expected.astype(np.uint16) * 257)


def test_a_heic_picture_is_read(colours: np.ndarray) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(colours)).save(file, quality=95)
    assert np.abs(read_picture(file.getvalue()).rgb.astype(int) - colours).mean() < 4


def test_types_that_are_not_kept_are_said(colours: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(colours).convert("F").save(file, "TIFF")
    picture = read_picture(file.getvalue())
    assert picture.mode == "RGB" and "type F" in picture.notes[0]


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)])
def test_pictures_one_pixel_wide_are_pictures(size: tuple[int, int]) -> None:
    for mode in ("L", "LA", "RGB", "RGBA", "P"):
        file = io.BytesIO()
        Image.new(mode, size).save(file, "PNG")
        assert read_picture(file.getvalue()).rgb.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_a_format_holds_its_largest_size_and_says_what_it_does_not_hold(suffix: str) -> None:
    most = FORMATS[suffix].most_side
    assert most is not None
    for shape in ((1, most), (most, 1)):
        content, _ = encode(Picture(np.zeros((*shape, 3), np.uint8), "RGB"), suffix)
        assert read_picture(content).pixels.shape[:2] == shape
    with pytest.raises(WrongUse, match=f"only up to {most} a side: name the output .png"):
        encode(Picture(np.zeros((1, most + 1, 3), np.uint8), "RGB"), suffix)


def test_damaged_16_bits_are_unreadable(colours: np.ndarray) -> None:
    content = cv2.imencode(".png", colours.astype(np.uint16) * 257)[1].tobytes()
    for cut in (len(content) // 2, 60):
        with pytest.raises(UnreadableImage):
            read_picture(content[:cut])


def wide_gamut() -> bytes:
    """A profile with wider primaries than sRGB's, made from sRGB's."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    for index in range(struct.unpack_from(">I", profile, 128)[0]):
        name, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        if name in primaries:
            values = (round(value * 65536) for value in primaries[name])
            struct.pack_into(">3i", profile, offset + 8, *values)
    profile[84:100] = bytes(16)
    return bytes(profile)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_profile_is_passed_on_and_colours_are_changed_in_it(suffix: str, colours) -> None:
    profile = wide_gamut()
    file = io.BytesIO()
    Image.fromarray(colours).save(file, "PNG", icc_profile=profile)
    picture = read_picture(file.getvalue())
    assert picture.metadata.icc == profile
    assert np.array_equal(picture.pixels, colours)
    assert np.abs(picture.rgb.astype(int) - colours).mean() > 2, "converted for the network"
    asked = change((30.0, 10.0, -20.0))
    edited = edit_picture(picture, FRAME, asked)
    difference = np.abs(FRAME.paste(picture.rgb, asked).astype(int) - edited.rgb)
    assert difference.mean() < 0.2 and np.percentile(difference, 99) < 4
    again = read_picture(encode(edited, suffix, 100)[0])
    assert again.metadata.icc == profile
    assert np.abs(again.rgb.astype(int) - edited.rgb).mean() < 2


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF", "GIF"])
def test_damaged_files_are_pictures_or_reasons(format_: str, colours: np.ndarray) -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x8298] = "somebody"
    options = {} if format_ == "GIF" else {"exif": exif, "icc_profile": wide_gamut()}
    Image.fromarray(colours).save(file, format_, **options)
    content, draw = file.getvalue(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for place in draw.integers(0, len(content), 4):
            damaged[place] = draw.integers(256)
        try:
            picture = read_picture(bytes(damaged))
            encode(replace(picture, pixels=picture.pixels ^ 1), ".png")
            assert picture.rgb.shape == (*picture.pixels.shape[:2], 3)
        except UnreadableImage:
            pass
