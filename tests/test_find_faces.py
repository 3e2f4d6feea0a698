"""Faces at any angle in the plane of a photograph, several of them, and which are chosen."""

import cv2
import numpy as np
import pytest

from ganim.model.animation.animator import Animator
from ganim.model.animation.choose import choose
from ganim.model.animation.faces import Face, find_faces
from ganim.model.estimator.network import load_estimator
from ganim.pipeline.errors import NothingUsable, WrongUse
from ganim.pipeline.faces.crop import Box
from ganim.pipeline.faces.frame import Frame


def turned(picture: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture turned clockwise, whole; the matrix and shift that lead there from its pixels."""
    height, width = picture.shape[:2]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.array([[cosine, -sine], [sine, cosine]])
    across = int(width * abs(cosine) + height * abs(sine))
    down = int(width * abs(sine) + height * abs(cosine))
    shift = np.array([across - 1, down - 1]) / 2 - matrix @ np.array([width - 1, height - 1]) / 2
    return (
        cv2.warpAffine(
            picture, np.c_[matrix, shift], (across, down), flags=cv2.INTER_CUBIC,
            borderValue=(128, 128, 128),
        ),
        matrix,
        shift,
    )  # fmt: skip


@pytest.fixture(scope="module")
def upright(astronaut: np.ndarray) -> Face:
    return find_faces(load_estimator(), astronaut)[0]


@pytest.mark.parametrize("degrees", [-40, 30, 60, 90, 180])
def test_a_tilted_face_is_read_as_the_upright_one(astronaut, upright: Face, degrees: int) -> None:
    picture, matrix, shift = turned(astronaut, degrees)
    (face,) = find_faces(load_estimator(), picture)
    assert (face.roll - upright.roll - degrees + 180) % 360 - 180 == pytest.approx(0, abs=4)
    expected = upright.landmarks @ matrix.T + shift
    eyes = np.linalg.norm(upright.landmarks[36:42].mean(0) - upright.landmarks[42:48].mean(0))
    assert np.linalg.norm(face.landmarks - expected, axis=1).mean() < 0.02 * eyes
    assert np.abs(face.own_aus - upright.own_aus).mean() < 0.03
    assert abs(face.yaw - upright.yaw) < 6


def test_a_face_that_is_cut_by_the_border_has_the_frame_of_the_whole(astronaut) -> None:
    """By its landmarks in the picture: those beyond the border are guesses."""
    animator = Animator()
    whole = animator.find(astronaut).region
    left = 200
    cut = animator.find(np.ascontiguousarray(astronaut[:, left:])).region
    assert isinstance(whole, Frame) and isinstance(cut, Frame)
    assert cut.scale == pytest.approx(whole.scale, rel=0.1)
    assert np.linalg.norm(cut.centre + np.array([left, 0]) - whole.centre) < 0.15 * whole.scale


def test_an_edit_of_a_turned_photograph_is_the_turned_edit(astronaut: np.ndarray) -> None:
    animator = Animator()
    face = animator.find(astronaut)
    smile = animator.render(astronaut, face, np.minimum(face.own_aus + 0.5, 1))
    upside_down = np.ascontiguousarray(np.rot90(astronaut, 2))
    other = animator.find(upside_down)
    result = animator.render(upside_down, other, np.minimum(other.own_aus + 0.5, 1))
    changed = (smile != astronaut).any(2)
    difference = np.abs(np.rot90(result, 2).astype(int) - smile)[changed].mean()
    assert difference < 0.2 * np.abs(smile.astype(int) - astronaut)[changed].mean()


def test_all_faces_largest_first_and_single_ones_by_number(astronaut: np.ndarray) -> None:
    small = cv2.resize(astronaut, (384, 384), interpolation=cv2.INTER_AREA)
    picture = np.full((512, 900, 3), 128, np.uint8)
    picture[:384, :384], picture[:, 388:] = small, astronaut
    animator = Animator()
    faces = animator.faces(picture)
    assert [face.crop.left > 388 for face in faces] == [True, False]
    assert choose(faces, None) == faces and choose(faces, 2) == [faces[1]]
    with pytest.raises(WrongUse, match=r"There is no face 3: 2 faces were found. See --list-faces"):
        choose(faces, 3)

    targets = [face.own_aus for face in faces]
    assert np.array_equal(animator.render_faces(picture, faces, targets), picture)
    smile = animator.render_faces(picture, faces, [np.minimum(targets[0] + 0.5, 1), targets[1]])
    assert np.array_equal(smile[:, :384], picture[:, :384])
    assert not np.array_equal(smile[:, 388:], picture[:, 388:])


def test_no_face_is_a_reason() -> None:
    assert find_faces(load_estimator(), np.full((200, 300, 3), 90, np.uint8)) == []
    with pytest.raises(NothingUsable, match="No face was found"):
        choose([], 1)
    face = Face(Box(0, 0, 128, 128), np.zeros(17))
    for number in (-1, 0, 3):
        with pytest.raises(WrongUse, match=f"There is no face {number}: 2 faces were found"):
            choose([face, face], number)


@pytest.mark.parametrize("angle", ["roll", "yaw"])
def test_a_face_of_a_crop_has_no_pose(angle: str) -> None:
    with pytest.raises(ValueError, match="no landmarks"):
        getattr(Face(Box(0, 0, 128, 128), np.zeros(17)), angle)


@pytest.mark.parametrize(
    ("part", "side"),
    [
        ((0, 0, 512, 512), 230),  # a face of 40 px
        ((140, 30, 310, 220), 2000),  # of 1,000 px
        ((195, 0, 512, 512), 317),  # cut by the left border
        ((0, 0, 512, 165), 512),  # by the lower border
    ],
    ids=["small", "large", "left", "below"],
)
def test_small_large_and_cut_faces(astronaut: np.ndarray, part, side: int) -> None:
    left, top, right, bottom = part
    picture = np.ascontiguousarray(astronaut[top:bottom, left:right])
    height = round(side * picture.shape[0] / picture.shape[1])
    picture = cv2.resize(picture, (side, height), interpolation=cv2.INTER_AREA)
    animator = Animator()
    (face,) = animator.faces(picture)
    result = animator.render(picture, face, np.minimum(face.own_aus + 0.5, 1))
    changed = (result != picture).any(2)
    assert result.shape == picture.shape and 0.01 < changed.mean() < 0.5
