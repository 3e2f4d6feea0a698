"""Persons followed through clips, and clips and photographs animated: real faces, real files."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ganim.model.animation import encode
from ganim.model.animation.animator import Animator
from ganim.model.animation.drive import Driver, read_driver
from ganim.model.animation.follow import follow
from ganim.model.animation.motion import Motion, animate_clip, animate_photograph, drive_photograph
from ganim.model.animation.timing import Timing
from ganim.model.estimator.network import load_estimator
from ganim.model.networks import torch_renderer
from ganim.pipeline.action_units import NUMBERS, Edit
from ganim.pipeline.errors import NothingUsable
from ganim.pipeline.expressions import Request
from ganim.pipeline.images.decode import read_image

ROOT = Path(__file__).parents[1]
SIZE = 240
AU12 = NUMBERS.index(12)
MOUTH = slice(48, 68)
SMILE = Request([Edit(4, 1.0), Edit(12, 1.0)])


@pytest.fixture(scope="module")
def animator() -> Animator:
    return Animator()


@pytest.fixture(scope="module")
def woman() -> np.ndarray:
    return read_image(ROOT / "examples" / "astronaut.png")[20:244, 120:344]


@pytest.fixture(scope="module")
def other() -> np.ndarray:
    return read_image(ROOT / "examples" / "grace_hopper.jpg")[60:360, 110:410]


def scene(*faces: tuple[np.ndarray, float, float, float]) -> np.ndarray:
    """A grey picture with faces: (picture, width in pixels, x and y of its centre)."""
    result = np.full((SIZE, SIZE * 2, 3), 128, np.uint8)
    for picture, width, x, y in faces:
        scale = width / picture.shape[1]
        place = np.array([[scale, 0, x - width / 2], [0, scale, y - width / 2]])
        cv2.warpAffine(
            picture, place, (SIZE * 2, SIZE), result, cv2.INTER_AREA, cv2.BORDER_TRANSPARENT
        )
    return result


def written(path: Path, frames: list[np.ndarray]) -> Path:
    encode.write(path, ".mp4", frames, Timing.steady(len(frames), Fraction(25)))
    return path


def test_a_person_who_moves_is_followed_without_a_jump(tmp_path: Path, woman: np.ndarray) -> None:
    xs = 170 + 120 * np.sin(np.arange(24) / 5)
    track = follow(
        load_estimator(), written(tmp_path / "a.mp4", [scene((woman, 224, x, 144)) for x in xs])
    ).tracks[0]
    assert track.seen.all() and len(set(track.runs)) == 1
    offsets = track.landmarks[:, 30, 0] - xs
    assert np.ptp(offsets) < 6, "the tip of the nose keeps its place in the face"


def test_a_person_is_not_confused_with_another(
    tmp_path: Path, woman: np.ndarray, other: np.ndarray
) -> None:
    """She leaves, while another person comes to where she was; then she comes back elsewhere."""
    frames = [scene((woman, 224, 130, 144))] * 8
    frames += [scene((other, 230, 130, 144))] * 12
    frames += [scene((other, 230, 130, 144), (woman, 200, 420, 144))] * 12
    track = follow(load_estimator(), written(tmp_path / "a.mp4", frames)).tracks[0]
    assert track.seen[:8].all()
    assert not track.seen[8:20].any()
    assert track.seen[-6:].all()
    assert np.all(track.landmarks[-6:, 30, 0] > 350)


def test_all_faces_are_followed(tmp_path: Path, woman: np.ndarray, other: np.ndarray) -> None:
    frames = [
        scene((woman, 200, 120 + 4 * i, 150), (other, 260, 420 - 4 * i, 144)) for i in range(10)
    ]
    followed = follow(load_estimator(), written(tmp_path / "a.mp4", frames), None)
    assert len(followed.tracks) == 2 and followed.others == 0
    noses = np.stack([track.landmarks[:, 30, 0] for track in followed.tracks])
    steps = np.diff(noses, axis=1)
    assert sorted(np.sign(steps.mean(1))) == [-1, 1]
    assert follow(load_estimator(), tmp_path / "a.mp4").others == 1


def test_a_clip_without_a_face_says_so(tmp_path: Path) -> None:
    clip = written(tmp_path / "a.mp4", [scene()] * 6)
    with pytest.raises(NothingUsable, match="No face was found in the 6 frames"):
        follow(load_estimator(), clip)


def test_a_clip_that_is_cut_off_is_followed_as_far_as_it_goes(
    tmp_path: Path, woman: np.ndarray
) -> None:
    noise = np.random.default_rng(0)
    frames = [
        np.vstack(
            [scene((woman, 224, 150, 144)), noise.integers(0, 255, (96, SIZE * 2, 3), np.uint8)]
        )
        for _ in range(40)
    ]
    whole = written(tmp_path / "a.mp4", frames).read_bytes()
    (tmp_path / "a.mp4").write_bytes(whole[: len(whole) // 2])
    followed = follow(load_estimator(), tmp_path / "a.mp4")
    assert followed.problem is not None
    assert 5 < len(followed.timing.times) < 35
    assert followed.tracks[0].seen.all()
    (tmp_path / "b.mp4").write_bytes(whole[:300])
    with pytest.raises(NothingUsable, match="cannot be read"):
        follow(load_estimator(), tmp_path / "b.mp4")


# ---- clips animated


def test_a_clip_is_animated_where_the_face_is_and_keeps_the_rest(
    tmp_path: Path, animator: Animator, woman: np.ndarray
) -> None:
    frames = [scene((woman, 224, 150 + 3 * i, 144)) for i in range(5)]
    clip = written(tmp_path / "a.mp4", frames)
    with av.open(str(clip)) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    animation = animate_clip(animator, clip, 1, SMILE, Motion())
    pictures = list(animation.pictures)
    assert len(pictures) == 5 and animation.timing.rate == 25
    landmarks = follow(load_estimator(), clip).tracks[0].landmarks
    for index, (before, after) in enumerate(zip(decoded, pictures, strict=True)):
        changed = np.abs(after.astype(int) - before).max(2)
        assert not changed[:, 330 + 3 * index :].any() and not changed[:, : 20 + 3 * index].any()
        left, top = landmarks[index, MOUTH].min(0).astype(int)
        right, bottom = landmarks[index, MOUTH].max(0).astype(int)
        assert changed[top:bottom, left:right].mean() > 1, "the mouth changes"


def test_a_change_does_not_flicker(tmp_path: Path, animator: Animator, woman: np.ndarray) -> None:
    """Of a face that stands still but for the noise of a camera."""
    noise = np.random.default_rng(0)
    frames = []
    for _ in range(10):
        grain = noise.normal(0, 4, (SIZE, SIZE * 2, 3))
        frames.append(np.clip(scene((woman, 224, 150, 144)) + grain, 0, 255).astype(np.uint8))
    clip = written(tmp_path / "a.mp4", frames)
    pictures = list(animate_clip(animator, clip, 1, SMILE, Motion()).pictures)
    with av.open(str(clip)) as container:
        before = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]

    def flicker(of: list[np.ndarray]) -> float:
        faces = np.stack(of)[:, 60:230, 70:230].astype(np.float32)
        smooth = np.stack([cv2.GaussianBlur(face, (0, 0), 2) for face in faces])
        return float(np.abs(np.diff(smooth, axis=0)).mean())

    assert flicker(pictures) < 1.25 * flicker(before)


def test_a_change_fades_where_the_face_is_lost(
    tmp_path: Path, animator: Animator, woman: np.ndarray
) -> None:
    frames = [scene((woman, 224, 150, 144))] * 14 + [scene()] * 6
    animation = animate_clip(animator, written(tmp_path / "a.mp4", frames), 1, SMILE, Motion())
    pictures = np.stack(list(animation.pictures)).astype(np.float32)
    assert any("not seen in 6 of 20 frames" in note for note in animation.notes)
    steps = np.abs(np.diff(pictures[:14, 60:230, 70:230], axis=0)).mean((1, 2, 3))
    whole = np.abs(pictures[0] - pictures[13])[60:230, 70:230].mean()
    assert whole > 0.5 and steps.max() < whole / 2, "no step takes away half of the smile"


# ---- photographs animated


def test_the_first_picture_is_the_photograph_and_the_second_is_near(animator: Animator) -> None:
    photograph = read_image(ROOT / "examples" / "astronaut.png")
    faces = animator.faces(photograph, 1)
    pictures = list(animate_photograph(animator, photograph, faces, SMILE, Motion(9)).pictures)
    assert len(pictures) == 9
    assert np.array_equal(pictures[0], photograph)
    steps = [np.abs(after.astype(int) - before).mean() for before, after in pairwise(pictures)]
    assert 0 < steps[0] < max(steps[1:]) * 0.8


def test_a_batch_gives_what_single_pictures_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendering many AUs of one face at once is rendering each."""
    # Of one precision: what bf16 does to the last picture is in test_library.py.
    monkeypatch.setattr(torch_renderer, "computes_bf16", lambda device: False)
    animator = Animator()
    photograph = read_image(ROOT / "examples" / "astronaut.png")
    faces = animator.faces(photograph, 1)
    motion = Motion(6, ease="linear")
    pictures = list(animate_photograph(animator, photograph, faces, SMILE, motion).pictures)
    own, target = faces[0].own_aus, SMILE.target(faces[0].own_aus)
    for index in (2, 5):
        share = np.float32(index / 5)
        single = animator.render(photograph, faces[0], share * target + (1 - share) * own)
        assert np.abs(pictures[index].astype(int) - single).max() <= 2


def test_a_driver_at_rest_leaves_the_photograph(animator: Animator) -> None:
    """And its median is what it shows most of the time: what it shows later is shown."""
    aus = np.full((25, len(NUMBERS)), 0.3, np.float32)
    aus[16:, AU12] = 0.9
    driver = Driver(Timing.steady(25, Fraction(25)), aus)
    photograph = read_image(ROOT / "examples" / "grace_hopper.jpg")
    faces = animator.faces(photograph, 1)
    animation = drive_photograph(animator, photograph, faces, driver, driver.neutral())
    pictures = list(animation.pictures)
    assert len(pictures) == 25 and animation.timing.rate == 25
    assert np.abs(pictures[3].astype(int) - photograph).max() <= 1
    assert faces[0].landmarks is not None
    left, top = faces[0].landmarks[MOUTH].min(0).astype(int)
    right, bottom = faces[0].landmarks[MOUTH].max(0).astype(int)
    mouth = np.abs(pictures[-3].astype(int) - photograph)[top:bottom, left:right]
    assert mouth.mean() > 1


def test_the_driver_of_a_clip_that_stands_still_is_at_rest(
    tmp_path: Path, woman: np.ndarray
) -> None:
    frames = [scene((woman, 224, 150, 144))] * 6 + [scene()] * 3
    driver = read_driver(load_estimator(), written(tmp_path / "a.mp4", frames))
    assert driver.unseen == 3 and driver.timing.rate == 25
    assert np.abs(driver.differences(driver.neutral())).max() < 0.1
