"""Any file to an upright RGB array or a reason: real files, made from a photograph."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile, features

from ganim.pipeline.images.decode import (
    MAX_PIXELS,
    SUFFIXES,
    TooLarge,
    UnreadableImage,
    read_image,
    read_preview,
)


@pytest.fixture(scope="module")
def small(astronaut: np.ndarray) -> np.ndarray:
    """80 wide and 64 high, so that a turned picture shows by its shape."""
    return np.asarray(Image.fromarray(astronaut[:410]).resize((80, 64)))


@pytest.fixture(scope="module")
def grey(small: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(small).convert("L"))


def as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)


def assert_near(picture: np.ndarray, expected: np.ndarray, mean: float) -> None:
    """Same shape, and on average not further apart than lossy coding accounts for."""
    assert picture.dtype == np.uint8 and picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected.astype(int)).mean() <= mean


# ---- what can be read


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.PNG", "a.webp"])
def test_lossless_formats_come_back_exactly(tmp_path: Path, small: np.ndarray, name: str) -> None:
    options = {"lossless": True} if name.endswith("webp") else {}
    Image.fromarray(small).save(tmp_path / name, **options)
    np.testing.assert_array_equal(read_image(tmp_path / name), small)


@pytest.mark.parametrize("name", ["a.jpg", "a.jfif", "a.webp"])
def test_lossy_formats_come_back_nearly(tmp_path: Path, small: np.ndarray, name: str) -> None:
    Image.fromarray(small).save(tmp_path / name, quality=95)
    assert_near(read_image(tmp_path / name), small, mean=6)


def test_a_result_may_be_written_to(tmp_path: Path, small: np.ndarray) -> None:
    Image.fromarray(small).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").flags.writeable


def test_a_png_named_jpg_is_read(tmp_path: Path, small: np.ndarray) -> None:
    Image.fromarray(small).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), small)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_grey_of_8_bits(tmp_path: Path, grey: np.ndarray, name: str) -> None:
    Image.fromarray(grey).save(tmp_path / name)
    np.testing.assert_array_equal(read_image(tmp_path / name), as_rgb(grey))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_grey_of_16_bits(tmp_path: Path, grey: np.ndarray, name: str) -> None:
    assert cv2.imwrite(str(tmp_path / name), grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / name), as_rgb(grey))


@pytest.mark.parametrize("brightest", [1, 200])
def test_a_nearly_black_picture_of_16_bits_stays_black(
    tmp_path: Path, grey: np.ndarray, brightest: int
) -> None:
    dark = (grey > 128).astype(np.uint16) * brightest
    Image.fromarray(dark).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").max() <= 1


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_colour_of_16_bits(tmp_path: Path, small: np.ndarray, name: str) -> None:
    deep = small[:, :, ::-1].astype(np.uint16) * 257
    assert cv2.imwrite(str(tmp_path / name), deep)
    np.testing.assert_array_equal(read_image(tmp_path / name), small)


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_a_float_tiff_of_any_range(tmp_path: Path, grey: np.ndarray, white: float) -> None:
    stretched = (grey.astype(np.float32) - grey.min()) / (int(grey.max()) - int(grey.min()))
    Image.fromarray(stretched * np.float32(white)).save(tmp_path / "a.tif")
    expected = (stretched * 255).round().astype(np.uint8)
    assert_near(read_image(tmp_path / "a.tif"), as_rgb(expected), mean=0.01)


def test_a_float_tiff_with_holes(tmp_path: Path, grey: np.ndarray) -> None:
    holes = grey.astype(np.float32)
    holes[:10] = np.nan
    Image.fromarray(holes).save(tmp_path / "a.tif")
    expected = grey.copy()
    expected[:10] = 0
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), as_rgb(expected))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_one_bit(tmp_path: Path, grey: np.ndarray, name: str) -> None:
    bits = Image.fromarray(grey).point(lambda level: 255 * (level > 99)).convert("1")
    bits.save(tmp_path / name)
    np.testing.assert_array_equal(read_image(tmp_path / name), as_rgb(np.asarray(bits) * 255))


def test_a_palette(tmp_path: Path, small: np.ndarray) -> None:
    indexed = Image.fromarray(small).quantize(64)
    indexed.save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.png"), np.asarray(indexed.convert("RGB"))
    )


def test_a_palette_with_transparency_lies_over_white(tmp_path: Path) -> None:
    indexed = Image.new("P", (4, 4), 0)
    indexed.putpalette([200, 0, 0, 0, 0, 200])
    indexed.putpixel((1, 1), 1)
    indexed.save(tmp_path / "a.png", transparency=0)
    picture = read_image(tmp_path / "a.png")
    assert picture[1, 1].tolist() == [0, 0, 200]
    assert picture[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_alpha_lies_over_white(tmp_path: Path, suffix: str) -> None:
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[:, :2] = [10, 20, 30, 255]
    rgba[:, 2:4] = [0, 0, 0, 128]
    Image.fromarray(rgba).save(
        tmp_path / f"a.{suffix}", **{"lossless": True} if suffix == "webp" else {}
    )
    picture = read_image(tmp_path / f"a.{suffix}")
    assert picture[0, 0].tolist() == [10, 20, 30]
    assert picture[0, 2].tolist() == pytest.approx([127, 127, 127], abs=1)
    assert picture[0, 5].tolist() == [255, 255, 255]


def test_grey_with_alpha_lies_over_white(tmp_path: Path) -> None:
    la = np.array([[[40, 255], [40, 0]]], np.uint8)
    Image.fromarray(la, "LA").save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[40] * 3, [255] * 3]]


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_a_jpeg_in_other_colours(tmp_path: Path, small: np.ndarray, mode: str) -> None:
    Image.fromarray(small).convert(mode).save(tmp_path / "a.jpg", quality=95)
    assert_near(read_image(tmp_path / "a.jpg"), small, mean=6)


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_animation_gives_its_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(
        tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], duration=50, **options
    )
    picture = read_image(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(picture, np.asarray(frames[0]))


def test_avif(tmp_path: Path, small: np.ndarray) -> None:
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    Image.fromarray(small).save(tmp_path / "a.avif", quality=95)
    assert_near(read_image(tmp_path / "a.avif"), small, mean=6)


def test_heic(tmp_path: Path, small: np.ndarray) -> None:
    pytest.importorskip("pillow_heif")
    Image.fromarray(small).save(tmp_path / "a.heic", quality=95)
    assert_near(read_image(tmp_path / "a.heic"), small, mean=6)


def test_heic_without_its_reader_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500))
    script = """
import sys
from pathlib import Path
sys.modules["pillow_heif"] = None  # as where it is not installed
from ganim.pipeline.images.decode import UnreadableImage, read_image
try:
    read_image(Path(sys.argv[1]))
except UnreadableImage as reason:
    print(reason)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "a.heic"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pip install ganim[heic]" in done.stdout


def test_bytes_are_read_as_the_file(tmp_path: Path, small: np.ndarray) -> None:
    Image.fromarray(small).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    np.testing.assert_array_equal(read_image(content), read_image(tmp_path / "a.jpg"))
    with pytest.raises(UnreadableImage, match="empty"):
        read_image(b"")


# ---- a JPEG decoded at a part of its size


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_a_preview_is_upright_and_shrunk(
    astronaut: np.ndarray, tmp_path: Path, orientation: int, mode: str
) -> None:
    upright = np.ascontiguousarray(astronaut[:400])
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = Image.fromarray(np.ascontiguousarray(LYING[orientation](upright))).convert(mode)
    lying.save(tmp_path / "a.jpg", quality=97, exif=exif)
    preview = read_preview(tmp_path / "a.jpg", 128)
    assert (preview.halvings, preview.width, preview.height) == (2, 512, 400)
    expected = Image.fromarray(upright).resize((128, 100), Image.Resampling.BOX)
    if mode == "L":
        expected = expected.convert("L").convert("RGB")
    assert_near(preview.pixels, np.asarray(expected), mean=3)


@pytest.mark.parametrize(("longest", "halvings"), [(None, 0), (513, 0), (257, 0), (256, 1), (1, 3)])
def test_a_preview_keeps_the_side_it_was_asked_for(
    astronaut: np.ndarray, tmp_path: Path, longest: int | None, halvings: int
) -> None:
    Image.fromarray(astronaut).save(tmp_path / "a.jpg")
    preview = read_preview(tmp_path / "a.jpg", longest)
    assert preview.halvings == halvings
    assert preview.pixels.shape == (512 >> halvings, 512 >> halvings, 3)


def test_what_is_no_jpeg_is_decoded_whole(small: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(small).save(tmp_path / "a.png")
    assert read_preview(tmp_path / "a.png", 10).halvings == 0


# ---- rotation

# For each EXIF orientation, how an upright picture lies in the file. The standard says at which
# edge of the upright picture the file's first row and first column are seen.
LYING = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],  # top, right
    3: lambda upright: upright[::-1, ::-1],  # bottom, right
    4: lambda upright: upright[::-1],  # bottom, left
    5: lambda upright: upright.transpose(1, 0, 2),  # left, top
    6: lambda upright: upright[:, ::-1].transpose(1, 0, 2),  # right, top
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),  # right, bottom
    8: lambda upright: upright[::-1].transpose(1, 0, 2),  # left, bottom
}


@pytest.mark.parametrize("orientation", LYING)
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_exif_rotation_is_undone(
    tmp_path: Path, small: np.ndarray, orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = Image.fromarray(np.ascontiguousarray(LYING[orientation](small)))
    options = {"lossless": True} if suffix == "webp" else {}
    lying.save(tmp_path / f"a.{suffix}", exif=exif, **options)
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), small)


@pytest.mark.parametrize("orientation", [6, 7])
def test_exif_rotation_of_a_jpeg(tmp_path: Path, small: np.ndarray, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = Image.fromarray(np.ascontiguousarray(LYING[orientation](small)))
    lying.save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert_near(read_image(tmp_path / "a.jpg"), small, mean=6)


def test_an_orientation_that_means_nothing_is_passed_over(
    tmp_path: Path, small: np.ndarray
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 42
    Image.fromarray(small).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), small)


def test_odd_exif_beside_a_rotation_costs_no_photograph(tmp_path: Path, small: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(small)))
    lying.save(tmp_path / "a.jpg", exif=exif, quality=95)
    # Turns the maker's name into a width that is no number, as some programs leave behind.
    tag = struct.pack(">HHI", 0x010F, 2, len("maker\0"))
    content = (tmp_path / "a.jpg").read_bytes()
    assert content.count(tag) == 1
    (tmp_path / "a.jpg").write_bytes(content.replace(tag, b"\x01\x00" + tag[2:]))
    assert_near(read_image(tmp_path / "a.jpg"), small, mean=6)


# ---- what cannot


def reason(path: Path) -> str:
    with pytest.raises(UnreadableImage) as refusal:
        read_image(path)
    assert not isinstance(refusal.value, TooLarge)
    return str(refusal.value)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert reason(tmp_path / "a.jpg") == "the file is empty"


@pytest.mark.parametrize(
    "content", [b"hello, I am a text", b"<svg/>", b"\x00" * 100, b"\xff\xd8", b"\x89PNG\r\n\x1a\n"]
)
def test_a_file_that_is_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    assert reason(tmp_path / "a.jpg") == "not a picture in a known format"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.webp", "a.tif", "a.bmp"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_truncated_picture(tmp_path: Path, small: np.ndarray, name: str, kept: float) -> None:
    Image.fromarray(small).save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * kept)])
    assert reason(tmp_path / name)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_truncated_stays_unreadable_beside_face_recognition(
    tmp_path: Path, small: np.ndarray, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing face_recognition sets this for the whole process; half a picture is grey then."""
    Image.fromarray(small).save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert "truncated" in reason(tmp_path / name)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True, "what others set must stand afterwards"


def test_noise_anywhere_in_a_file_is_a_picture_or_a_reason(
    tmp_path: Path, small: np.ndarray
) -> None:
    rng = np.random.default_rng(0)
    outcomes = []
    for suffix in ("jpg", "png", "tif", "gif", "webp", "bmp"):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(small).save(path)
        content = path.read_bytes()
        for _ in range(40):
            damaged = bytearray(content)
            for place in rng.integers(0, min(len(content), rng.choice([64, 10**6])), 4):
                damaged[place] = rng.integers(0, 256)
            path.write_bytes(damaged)
            try:
                outcomes.append(read_image(path).ndim == 3)
            except UnreadableImage as refusal:
                outcomes.append(not str(refusal))
    assert outcomes.count(True) and outcomes.count(False)


def test_a_program_named_jpg_is_not_run(tmp_path: Path) -> None:
    """Pillow hands PostScript to Ghostscript; a dataset must not get there by a file's name."""
    (tmp_path / "a.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    )
    assert reason(tmp_path / "a.jpg") == "not a picture in a known format"


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    assert reason(tmp_path / "absent.jpg") == "the file does not exist"
    (tmp_path / "to-nothing.jpg").symlink_to("absent.jpg")
    assert reason(tmp_path / "to-nothing.jpg") == "the file does not exist"
    (tmp_path / "to-itself.jpg").symlink_to("to-itself.jpg")
    assert "cannot be read" in reason(tmp_path / "to-itself.jpg")
    (tmp_path / "folder.jpg").mkdir()
    assert "cannot be read" in reason(tmp_path / "folder.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(tmp_path / "pipe.jpg") == "not a regular file"


# ---- what is too large


def grey_png(path: Path, width: int, height: int, rows: int) -> Path:
    """A 1-bit PNG whose header claims width x height, with so many of its rows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1 + (width + 7) // 8) * rows)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (10_001, 10_000)])
def test_an_enormous_header_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(TooLarge, match="more than 100 megapixels"):
        read_image(grey_png(tmp_path / "a.png", *size, rows=0))


def test_just_too_large_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    """A whole picture that could be decoded, tiny as a file; in a process of its own."""
    path = grey_png(tmp_path / "a.png", 10_001, 10_000, rows=10_000)
    assert MAX_PIXELS == 10_000 * 10_000
    script = """
import resource, sys
from pathlib import Path
from ganim.pipeline.images.decode import TooLarge, read_image
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
try:
    read_image(Path(sys.argv[1]))
except TooLarge as refusal:
    print(refusal, peak() - before, sep=chr(10))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    refusal, grown = done.stdout.splitlines()
    assert "10001x10000" in refusal
    assert int(grown) < 8_000, "kB"


def test_a_long_thin_picture_within_the_limit_is_read(tmp_path: Path) -> None:
    path = grey_png(tmp_path / "a.png", 200_000, 3, rows=3)
    assert read_image(path).shape == (3, 200_000, 3)


def test_suffixes_are_lower_case_with_their_dot() -> None:
    assert ".jpg" in SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES)


def test_no_picture_makes_pillow_load_all_its_decoders(tmp_path: Path) -> None:
    """That takes longer than refusing a bomb may, and opens the door to those we do not want."""
    names = [f"picture.{suffix}" for suffix in ("webp", "tif", "avif", "ppm", "gif", "bmp", "txt")]
    for name in names[:-1]:
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / names[-1]).write_text("no picture")
    script = """
import sys
from pathlib import Path
from ganim.pipeline.images.decode import UnreadableImage, read_image
for name in sys.argv[2:]:
    try:
        read_image(Path(sys.argv[1], name))
    except UnreadableImage as reason:
        assert name.endswith(".txt"), reason
print("PIL.FpxImagePlugin" in sys.modules or "PIL.EpsImagePlugin" in sys.modules)
"""
    command = [sys.executable, "-c", script, str(tmp_path), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
