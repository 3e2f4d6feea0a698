"""Faces are extracted from a photograph's file, decoded in full or at a part of its size."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganim.pipeline.faces.extract import Extraction, extract_faces, extract_faces_from_image
from ganim.pipeline.images.decode import UnreadableImage
from ganim.pipeline.images.pyramid import Pyramid


def decoded(jpeg: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(jpeg)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def as_jpeg(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def assert_same_faces(one: Extraction, other: Extraction, mean: float) -> None:
    assert one.faces
    assert (one.width, one.height) == (other.width, other.height)
    assert [face.box for face in one.faces] == [face.box for face in other.faces]
    assert [face.crop for face in one.faces] == [face.crop for face in other.faces]
    for a, b in zip(one.faces, other.faces, strict=True):
        assert np.abs(decoded(a.jpeg) - decoded(b.jpeg)).mean() <= mean


@pytest.fixture(scope="module")
def group(astronaut: np.ndarray) -> np.ndarray:
    """(2400, 3200, 3): the same face about 850, 260 and 90 px wide."""
    scene = np.full((2400, 3200, 3), 110, np.uint8)
    for width, left, top in ((850, 0, 100), (260, 2300, 200), (90, 2500, 1500)):
        head = Image.fromarray(astronaut[20:240, 110:330])
        side = round(220 * width / 88)
        scene[top : top + side, left : left + side] = head.resize((side, side))
    return scene


def test_a_file_and_its_bytes_give_the_same(astronaut_path: Path) -> None:
    from_file, from_bytes = (
        extract_faces(astronaut_path),
        extract_faces(astronaut_path.read_bytes()),
    )
    assert from_file == from_bytes and len(from_file.faces) == 1


def test_crops_have_the_size_asked(astronaut_path: Path) -> None:
    (face,) = extract_faces(astronaut_path, size=96, margin=0.3).faces
    assert decoded(face.jpeg).shape == (96, 96, 3)
    side = max(face.box.width, face.box.height)
    assert face.crop.width == pytest.approx(1.6 * side, abs=1)


def test_faces_of_all_sizes_in_one_photograph(group: np.ndarray) -> None:
    """The largest is found in the coarsest level, the others in proposed regions."""
    extraction = extract_faces_from_image(group, most=None)
    assert [round(face.box.width, -1) for face in extraction.faces] == pytest.approx(
        [850, 260, 90], rel=0.25
    )
    for most in (1, 2):
        assert extract_faces_from_image(group, most=most).faces == extraction.faces[:most]


def test_a_jpeg_is_cut_as_its_pixels_are(group: np.ndarray) -> None:
    """`prepare` decodes it at a half where that is enough, `animate` has the whole picture."""
    content = as_jpeg(Image.fromarray(group))
    with Image.open(io.BytesIO(content)) as picture:
        whole = np.asarray(picture)
    from_file, from_pixels = (
        extract_faces(content, most=None),
        extract_faces_from_image(whole, most=None),
    )
    assert len(from_file.faces) == len(from_pixels.faces) == 3
    for a, b in zip(from_file.faces, from_pixels.faces, strict=True):
        assert a.box.width == pytest.approx(b.box.width, rel=0.21)  # a step of the detector
        assert a.box.left == pytest.approx(b.box.left, abs=0.15 * b.box.width)
    # The largest face is found in the same coarse level, so its crop is the same up to noise.
    largest = zip(extract_faces(content).faces, extract_faces_from_image(whole).faces, strict=True)
    ((a, b),) = largest
    assert a.box == b.box
    assert np.abs(decoded(a.jpeg) - decoded(b.jpeg)).mean() < 2


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_jpeg_is_cut_upright(group: np.ndarray, orientation: int) -> None:
    upright = Image.fromarray(group)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = upright.rotate({3: 180, 6: 90}[orientation], expand=True)
    straight, turned = extract_faces(as_jpeg(upright)), extract_faces(as_jpeg(lying, exif=exif))
    assert (turned.width, turned.height) == (3200, 2400)
    assert_same_faces(straight, turned, mean=3)


def test_levels_below_the_decoded_one_do_not_decode_the_whole_image(group: np.ndarray) -> None:
    def decode() -> np.ndarray:
        raise AssertionError("decoded in full")

    half = group[::2, ::2]
    pyramid = Pyramid(3200, 2400, decode, half, 1)
    assert pyramid[3].shape == (300, 400, 3)
    with pytest.raises(AssertionError, match="in full"):
        pyramid[0]


def test_an_image_of_one_colour_has_a_size_and_no_face() -> None:
    extraction = extract_faces(as_jpeg(Image.new("RGB", (3000, 200), (90, 120, 150))))
    assert (extraction.width, extraction.height, extraction.faces) == (3000, 200, [])


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0" + bytes(50)])
def test_bytes_that_are_no_photograph(content: bytes) -> None:
    with pytest.raises(UnreadableImage):
        extract_faces(content)
