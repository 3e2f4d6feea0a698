"""The frame around a face: cut and pasted at any position, scale and angle."""

import numpy as np
import pytest

from ganim.model.landmarks.placing import place_frame
from ganim.pipeline.faces.crop import Box
from ganim.pipeline.faces.frame import CropRegion, Frame
from ganim.pipeline.faces.paste import Change


def frame(scale: float = 60.0, angle: float = 0.0, centre: tuple[float, float] = (223, 127)):
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = scale * np.array([[cosine, -sine], [sine, cosine]])
    return Frame(matrix, np.array(centre, np.float64))


def change(size: int = 64, level: float = 0.0, flow: tuple[float, float] | None = None) -> Change:
    flows = None if flow is None else np.full((size, size, 2), flow, np.float32)
    return Change(np.full((size, size, 3), level, np.float32), flows)


def test_an_upright_frame_of_whole_pixels_is_the_crop_itself(astronaut: np.ndarray) -> None:
    # 64 px from 200, 100: its centre lies between pixels 31 and 32 of it.
    found = frame(32.0, centre=(231.5, 131.5)).cut(astronaut, 64)
    assert np.array_equal(found, astronaut[100:164, 200:264])


@pytest.mark.parametrize("angle", [0.5, -2.0, np.pi])
def test_a_turned_picture_in_a_turned_frame_is_the_same(astronaut: np.ndarray, angle) -> None:
    import cv2

    middle = (255.5, 255.5)
    turn = cv2.getRotationMatrix2D(middle, -np.degrees(angle), 1.0)
    turned = cv2.warpAffine(astronaut, turn, (512, 512), flags=cv2.INTER_CUBIC)
    upright = frame(40.0, centre=(255.5, 200.0))
    centre = turn @ [255.5, 200.0, 1.0]
    other = frame(40.0, angle, tuple(centre))
    difference = upright.cut(astronaut, 64).astype(int) - other.cut(turned, 64)
    assert np.abs(difference).mean() < 6


def test_points_go_to_the_picture_and_back() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (5, 2))
    one = frame(50.0, 0.3)
    assert np.allclose(one.from_picture(one.to_picture(points)), points)


def test_no_change_gives_the_picture_to_the_bit(astronaut: np.ndarray) -> None:
    pasted = frame(60.0, 0.4).paste(astronaut, change(flow=(0.0, 0.0)))
    assert np.array_equal(pasted, astronaut) and pasted is not astronaut


@pytest.mark.parametrize("one", [frame(64.0, 0.2), CropRegion(Box(160, 60, 288, 188))])
def test_a_picture_that_is_moved_and_changed_is_rounded_once(astronaut: np.ndarray, one) -> None:
    size, flow = 64, (0.5 / 64, 0.0)  # half a pixel
    level = np.random.default_rng(0).uniform(-0.5, 0.5, (size, size, 3)).astype(np.float32)
    both = one.paste(astronaut, Change(level, change(flow=flow).flow)).astype(int)
    moved = one.paste(astronaut, change(flow=flow)).astype(int)
    # Rounded on its own, a difference of less than a half would be lost, or all of it kept.
    changed = np.abs(both - moved)[100:140, 200:240]
    assert changed.max() == 1 and 0.05 < changed.mean() < 0.4


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_a_change_stays_inside_the_frame_and_is_whole_in_its_middle(astronaut, angle) -> None:
    one = frame(60.0, angle)
    dark = np.minimum(astronaut, 200)
    pasted = one.paste(dark, change(level=20.0)).astype(int)
    down, across = np.indices(dark.shape[:2])
    where = one.from_picture(np.stack([across, down], -1).astype(np.float64))
    inside = np.abs(where).max(-1)
    assert (pasted[inside > 1.02] == dark[inside > 1.02]).all()
    assert (pasted[inside < 0.7] - dark[inside < 0.7] == 20).all()


def test_a_flow_fetches_pixels_along_the_frames_axes(astronaut: np.ndarray) -> None:
    # A tenth of half a side of 60 px, to the frame's right: which is down in the picture.
    pasted = frame(60.0, np.pi / 2).paste(astronaut, change(flow=(0.1, 0.0)))
    middle = pasted[110:140, 205:235].astype(int)
    assert np.abs(middle - astronaut[116:146, 205:235]).mean() < 2


def test_a_panorama_longer_than_opencv_moves_is_edited(astronaut: np.ndarray) -> None:
    panorama = np.zeros((300, 33_000, 3), np.uint8)
    panorama[:, :512] = astronaut[:300]
    one, moving = frame(60.0, 0.3), change(flow=(0.1, 0.05))
    pasted = one.paste(panorama, moving)[:, :400]
    assert np.array_equal(pasted, one.paste(astronaut, moving)[:300, :400])


@pytest.mark.parametrize("centre", [(0.0, 0.0), (600.0, 100.0), (-300.0, 900.0)])
def test_frames_that_leave_the_picture(astronaut: np.ndarray, centre) -> None:
    one = frame(70.0, 0.2, centre)
    assert one.cut(astronaut, 32).shape == (32, 32, 3)
    assert one.paste(astronaut, change(level=9.0)).shape == astronaut.shape


def test_a_reduced_frame_is_free_of_aliasing() -> None:
    stripes = np.zeros((600, 600, 3), np.uint8)
    stripes[:, ::2] = 255
    found = frame(280.0, centre=(300, 300)).cut(stripes, 64)
    assert found.std() < 12


def test_the_frame_is_placed_by_landmarks_that_expressions_do_not_move() -> None:
    reference = np.random.default_rng(1).uniform(-1, 1, (68, 2))
    truth = frame(80.0, 0.3, (100.0, 50.0))
    landmarks = truth.to_picture(reference)
    landmarks[48:] += 15.0  # the mouth
    found = place_frame(landmarks, reference)
    assert np.allclose(found.matrix, truth.matrix) and np.allclose(found.centre, truth.centre)


@pytest.mark.parametrize("scale", [30.0, 120.0])
@pytest.mark.parametrize("turned", [False, True])
def test_blur_leaves_out_what_is_finer_than_the_change(scale: float, turned: bool) -> None:
    fine = np.full((256, 256, 3), 100, np.uint8)
    fine[::2] = 150
    blur = np.zeros((64, 64), np.float32)
    blur[20:54, 20:44] = 1
    side = int(scale)
    box = Box(128 - side, 128 - side, 128 + side, 128 + side)
    one = frame(scale, 0.4, (128, 128)) if turned else CropRegion(box)
    pasted = one.paste(fine, Change(np.zeros((64, 64, 3), np.float32), None, blur))
    lower = 128 + side // 2  # in the upper half there is the texture of cheeks
    middle = np.s_[lower - 3 : lower + 3, 122:134]
    assert fine[middle].std() > 20 and pasted[middle].std() < 2
    assert pasted[middle].mean() == pytest.approx(125, abs=2)
    outside = np.ones((256, 256), bool)
    outside[40:230, 40:216] = False
    assert np.array_equal(pasted[outside], fine[outside])


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_blurred_eyes_and_foreheads_get_the_texture_of_cheeks(depth: type) -> None:
    one = 256 if depth == np.uint16 else 1
    grain = np.random.default_rng(0).normal(0, 6, (256, 256, 1))
    picture = np.clip((120 + grain) * one, 0, 255 * one).astype(depth).repeat(3, 2)
    picture[60:110] = 120 * one  # smooth lids
    blur = np.zeros((64, 64), np.float32)
    blur[8:24] = 1
    blur[44:56] = 1
    still = np.zeros((64, 64, 3), np.float32)
    pasted = frame(100.0, 0.0, (128, 128)).paste(picture, Change(still, None, blur))
    lids, chin = np.s_[70:95, 80:170], np.s_[180:196, 80:170]
    assert picture[lids].std() == 0 and 4 * one < pasted[lids].std() < 8 * one
    assert pasted[chin].std() < 0.3 * picture[chin].std(), "no cheeks lie below a chin"
    assert abs(pasted[lids].mean() - 120 * one) < one
    dark = picture.copy()
    dark[60:110] //= 3
    shaded = frame(100.0, 0.0, (128, 128)).paste(dark, Change(still, None, blur))
    assert shaded[lids].std() < 0.5 * pasted[lids].std(), "less contrast in the dark"


@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_motion_fades_out_below_the_frame(astronaut: np.ndarray, angle: float) -> None:
    flow = np.zeros((64, 64, 2), np.float32)
    flow[..., 1] = -0.2  # all is taken from above: the chin goes down
    one = frame(60.0, angle, (256, 200))
    pasted = one.paste(astronaut, Change(np.zeros((64, 64, 3), np.float32), flow))
    changed = (pasted != astronaut).any(2)
    rows, columns = changed.nonzero()
    down = one.from_picture(np.stack([columns, rows], 1).astype(np.float64))[:, 1]
    assert 1.25 < down.max() < 1.42 and down.min() > -1.05, "0.4 half sides below, and not above"
    chin = one.to_picture(np.array([0.0, 0.9]))
    from_above = one.to_picture(np.array([0.0, 0.7]))
    here, there = (tuple(np.rint(place[::-1]).astype(int)) for place in (chin, from_above))
    assert np.abs(pasted[here].astype(int) - astronaut[there].astype(int)).max() < 40
