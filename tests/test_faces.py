"""Faces: found on photographs of any size, cut with a margin, and changes put back."""

import subprocess
import sys
from pathlib import Path

import dlib
import numpy as np
import pytest
from PIL import Image

from ganim.pipeline.faces import hog
from ganim.pipeline.faces.crop import CROP_SIZE, MARGIN, Box, crop_box, cut_crop
from ganim.pipeline.faces.detect import detect_faces
from ganim.pipeline.faces.paste import Change, paste_change
from ganim.pipeline.images.decode import SUFFIXES, read_image

FACE = Box(179, 83, 267, 171)  # of the astronaut at 512 px


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    shared = max(across, 0) * max(down, 0)
    return shared / (a.width * a.height + b.width * b.height - shared)


def scaled(box: Box, factor: float) -> Box:
    return Box(*(round(side * factor) for side in box.as_list()))


@pytest.fixture(scope="module")
def head(astronaut: np.ndarray) -> np.ndarray:
    """(200, 200, 3): the head alone."""
    return astronaut[40:240, 120:320]


@pytest.fixture(scope="module")
def muted(astronaut: np.ndarray) -> np.ndarray:
    """The astronaut without its darkest and brightest levels, so that nothing clips."""
    return (60 + astronaut.astype(np.float32) * 0.5).astype(np.uint8)


# ---- detection


def test_the_detector_of_the_package_is_that_of_dlib(astronaut: np.ndarray) -> None:
    """It is a file, as dlib takes long to unpack its own."""
    boxes, scores, _ = dlib.get_frontal_face_detector().run(astronaut, 0, -0.5)
    expected = [
        (box.left(), box.top(), box.right() + 1, box.bottom() + 1, score)
        for box, score in zip(boxes, scores, strict=True)
    ]
    found = [(*face.box.as_list(), face.score) for face in hog.detect(astronaut, -0.5)]
    assert found == expected and len(found) >= 1


@pytest.mark.parametrize("side", [224, 512, 1000, 3000])
def test_the_face_is_found_at_any_size(astronaut: np.ndarray, side: int) -> None:
    picture = np.asarray(Image.fromarray(astronaut).resize((side, side)))
    (face,) = detect_faces(picture)
    assert overlap(face.box, scaled(FACE, side / 512)) > 0.7
    assert face.score > 0


def test_a_face_too_small_for_the_coarsest_level_is_found_in_a_finer_one(head: np.ndarray) -> None:
    wide = np.full((1500, 2000, 3), 128, np.uint8)
    wide[500:700, 700:900] = head
    (face,) = detect_faces(wide)
    expected = Box(FACE.left + 580, FACE.top + 460, FACE.right + 580, FACE.bottom + 460)
    assert overlap(face.box, expected) > 0.7


def test_of_two_faces_the_larger_comes_first(head: np.ndarray) -> None:
    both = np.full((300, 500, 3), 128, np.uint8)
    both[:200, :200] = head
    both[:, 200:] = Image.fromarray(head).resize((300, 300))
    first, second = detect_faces(both)
    assert second.box.right < 200 < first.box.left
    assert first.box.width > second.box.width


def test_a_face_cut_by_the_border_has_a_box_and_a_crop(astronaut: np.ndarray) -> None:
    """The box may reach outside; what is cut from there repeats the border."""
    cut = np.ascontiguousarray(astronaut[85:, 185:])
    (face,) = detect_faces(cut)
    assert face.box.left < 0 and face.box.top < 0
    expected = Box(FACE.left - 185, FACE.top - 85, FACE.right - 185, FACE.bottom - 85)
    assert overlap(face.box, expected) > 0.7
    crop = cut_crop(cut, crop_box(face.box))
    assert crop.shape == (CROP_SIZE, CROP_SIZE, 3)
    np.testing.assert_array_equal(crop[:, 0], crop[:, 5])
    np.testing.assert_array_equal(crop[0], crop[5])


@pytest.mark.parametrize(
    "size",
    [(1, 1), (2, 2), (1, 7), (7, 1), (1, 5000), (5000, 1), (3, 40_000), (40_000, 3), (700, 2)],
)
def test_pictures_too_small_or_too_thin_have_no_face(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    assert detect_faces(noise) == []


@pytest.mark.parametrize("level", [0, 255])
def test_an_even_picture_has_no_face(level: int) -> None:
    assert detect_faces(np.full((300, 300, 3), level, np.uint8)) == []


@pytest.mark.slow
def test_faces_of_photographs_as_people_have_them(wild: Path) -> None:
    found, photographs = 0, [path for path in wild.iterdir() if path.suffix in SUFFIXES]
    assert photographs
    for path in photographs:
        picture = read_image(path)
        faces = detect_faces(picture)
        for face in faces:
            assert cut_crop(picture, crop_box(face.box)).shape == (CROP_SIZE, CROP_SIZE, 3)
        found += bool(faces)
    assert found >= 0.9 * len(photographs)


# ---- the crop


@pytest.mark.parametrize("box", [FACE, Box(-20, 5, 81, 106), Box(0, 0, 30, 40), Box(0, 0, 1, 1)])
@pytest.mark.parametrize("margin", [0.0, MARGIN, 1.0])
def test_the_crop_is_a_square_around_the_box(box: Box, margin: float) -> None:
    crop = crop_box(box, margin)
    assert crop.width == crop.height >= 2
    assert crop.width == pytest.approx(max(box.width, box.height) * (1 + 2 * margin), abs=1)
    assert (crop.left + crop.right) / 2 == pytest.approx((box.left + box.right) / 2, abs=0.5)
    assert (crop.top + crop.bottom) / 2 == pytest.approx((box.top + box.bottom) / 2, abs=0.5)


def test_a_crop_of_its_own_size_is_the_pixels_themselves(astronaut: np.ndarray) -> None:
    crop = Box(100, 50, 228, 178)
    cut = cut_crop(astronaut, crop, 128)
    np.testing.assert_array_equal(cut, astronaut[50:178, 100:228])
    assert cut.flags.owndata or cut.base is not astronaut


@pytest.mark.parametrize(
    "crop",
    [
        Box(-40, -30, 88, 98),
        Box(450, 460, 578, 588),
        Box(-20, 470, 108, 598),
        Box(600, 100, 728, 228),
        Box(-300, -300, -172, -172),
    ],
)
def test_beyond_the_border_the_edge_repeats(astronaut: np.ndarray, crop: Box) -> None:
    padded = np.pad(astronaut, ((400, 400), (400, 400), (0, 0)), mode="edge")
    expected = padded[crop.top + 400 : crop.bottom + 400, crop.left + 400 : crop.right + 400]
    np.testing.assert_array_equal(cut_crop(astronaut, crop, 128), expected)


@pytest.mark.parametrize("size", [64, 128, 256])
@pytest.mark.parametrize("side", [2, 100, 128, 700])
def test_a_crop_of_any_side_comes_at_the_size_asked(
    astronaut: np.ndarray, side: int, size: int
) -> None:
    cut = cut_crop(astronaut, Box(10, 10, 10 + side, 10 + side), size)
    assert cut.shape == (size, size, 3) and cut.dtype == np.uint8


def test_a_crop_of_a_single_pixel() -> None:
    picture = np.array([[[10, 20, 30]]], np.uint8)
    cut = cut_crop(picture, Box(-3, -2, 5, 6), 64)
    assert (cut == picture[0, 0]).all()


# ---- the way back

CROPS = [
    Box(180, 80, 244, 144),  # smaller than the model's size
    Box(150, 60, 278, 188),  # equal
    Box(100, 20, 400, 320),  # larger
    Box(-60, -40, 140, 160),  # leaves the picture at two sides
    Box(430, 400, 590, 560),  # and at the other two
    Box(-50, -50, 562, 562),  # at all four
]


@pytest.mark.parametrize("crop", CROPS)
def test_no_difference_changes_not_a_bit(astronaut: np.ndarray, crop: Box) -> None:
    nothing = np.zeros((128, 128, 3), np.float32)
    np.testing.assert_array_equal(paste_change(astronaut, crop, Change(nothing)), astronaut)


@pytest.mark.parametrize("crop", [*CROPS, Box(600, 600, 700, 700), Box(-90, 10, -10, 90)])
def test_outside_the_crop_not_a_bit_changes(astronaut: np.ndarray, crop: Box) -> None:
    before = astronaut.copy()
    noise = np.random.default_rng(0).uniform(-255, 255, (128, 128, 3))
    pasted = paste_change(astronaut, crop, Change(noise))

    np.testing.assert_array_equal(astronaut, before)
    outside = np.ones(astronaut.shape[:2], bool)
    outside[max(crop.top, 0) : max(crop.bottom, 0), max(crop.left, 0) : max(crop.right, 0)] = False
    np.testing.assert_array_equal(pasted[outside], astronaut[outside])
    if not outside.all():
        assert (pasted[~outside] != astronaut[~outside]).mean() > 0.5


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("size", [64, 128])
def test_cut_undoes_paste(muted: np.ndarray, crop: Box, size: int) -> None:
    """A smooth change, put on the photograph and cut again, is read where it was not faded."""
    down, across = np.mgrid[0:size, 0:size] / size
    smooth = 30 * np.sin(2 * np.pi * across) * np.cos(np.pi * down)
    difference = np.stack([smooth, -smooth, smooth / 2], axis=2).astype(np.float32)

    pasted = paste_change(muted, crop, Change(difference))
    read = cut_crop(pasted, crop, size).astype(float) - cut_crop(muted, crop, size)

    # Only what lies in the picture and inside the feather can be read again.
    places = np.arange(size) * crop.width / size
    rows, columns = crop.top + places, crop.left + places
    inner = (np.arange(size) >= 0.1 * size) & (np.arange(size) < 0.9 * size)
    rows = inner & (rows >= 4) & (rows < muted.shape[0] - 4)
    columns = inner & (columns >= 4) & (columns < muted.shape[1] - 4)
    error = np.abs(read - difference)[np.ix_(rows, columns)]
    assert error.size > 0.2 * difference.size
    assert error.mean() < 1 and error.max() < 5


def test_a_change_fades_towards_the_edge_of_the_crop(muted: np.ndarray) -> None:
    crop = Box(100, 100, 300, 300)
    pasted = paste_change(muted, crop, Change(np.full((128, 128, 3), 40.0)))
    change = (pasted.astype(int) - muted)[200, :, 0]
    steps = np.abs(np.diff(change))
    assert change[100] == 0 and change[299] == 0 and change[200] == 40
    assert steps.max() < 8, "a seam"


def test_what_would_leave_the_range_is_clipped_not_wrapped(astronaut: np.ndarray) -> None:
    crop = Box(100, 100, 300, 300)
    brighter = paste_change(astronaut, crop, Change(np.full((128, 128, 3), 255.0)))
    darker = paste_change(astronaut, crop, Change(np.full((128, 128, 3), -255.0)))
    # Cubic enlarging may undershoot where the change fades out, by a level or two.
    assert (brighter.astype(int) - astronaut).min() >= -3
    assert (darker.astype(int) - astronaut).max() <= 3
    assert (brighter[150:250, 150:250] == 255).all() and (darker[150:250, 150:250] == 0).all()


def test_what_moves_keeps_its_finest_detail(astronaut: np.ndarray) -> None:
    crop = Box(100, 20, 400, 320)
    flow = np.zeros((128, 128, 2), np.float32)
    flow[..., 0], flow[..., 1] = 6 / 150, -9 / 150  # half sides of 150 px
    moved = paste_change(astronaut, crop, Change(np.zeros((128, 128, 3)), flow))
    np.testing.assert_array_equal(moved[60:280, 140:360], astronaut[51:271, 146:366])
    outside = np.ones(astronaut.shape[:2], bool)
    outside[20:320, 100:400] = False
    np.testing.assert_array_equal(moved[outside], astronaut[outside])


@pytest.mark.parametrize("crop", [*CROPS, Box(600, 600, 700, 700)])
def test_a_flow_fetches_from_inside_the_crop_wherever_it_lies(
    astronaut: np.ndarray, crop: Box
) -> None:
    still = np.zeros((128, 128, 2), np.float32)
    nothing = np.zeros((128, 128, 3), np.float32)
    same = paste_change(astronaut, crop, Change(nothing, still))
    np.testing.assert_array_equal(same, astronaut)

    strangers = np.full((700, 700, 3), 255, np.uint8)
    part = np.s_[max(crop.top, 0) : max(crop.bottom, 0), max(crop.left, 0) : max(crop.right, 0)]
    strangers[part] = 0
    for push in (-0.125, 0.125):
        pushed = paste_change(strangers, crop, Change(nothing, still + push))
        assert (pushed[part] == 0).all(), "nothing from outside the crop is drawn into it"
        np.testing.assert_array_equal(pushed, strangers)


# ---- imports


@pytest.mark.parametrize("module", ["faces.crop", "faces.paste", "faces.detect", "images.decode"])
def test_faces_and_images_load_neither_pandas_nor_pyarrow(module: str) -> None:
    script = f"import sys, ganim.pipeline.{module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert f"ganim.pipeline.{module}" in loaded and not loaded & {"pandas", "pyarrow", "torch"}
