"""The Python interface: `ganim.load()`, `.faces`, `.animate`, and the forms of photographs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganim
from ganim.pipeline.action_units import NUMBERS
from ganim.pipeline.errors import NothingUsable, WrongUse
from ganim.pipeline.images.picture import read_picture
from ganim.pipeline.images.video import frames

ROOT = Path(__file__).parents[1]
PORTRAIT = ROOT / "examples" / "grace_hopper.jpg"


@pytest.fixture(scope="module")
def animator():
    return ganim.load()


def test_a_photograph_in_every_form_gives_the_same(animator, tmp_path) -> None:
    smile = animator.animate(PORTRAIT, {12: 1.0})
    with Image.open(PORTRAIT) as image:
        forms = [str(PORTRAIT), PORTRAIT.read_bytes(), image.copy(), np.asarray(image)]
    for form in (*forms, read_picture(PORTRAIT)):
        assert np.array_equal(animator.animate(form, "12=1").pixels, smile.pixels)
    assert smile.image.size == (512, 600)
    assert smile.save(tmp_path / "smile.png") == []
    assert np.array_equal(read_picture(tmp_path / "smile.png").pixels, smile.pixels)
    with pytest.raises(WrongUse, match=r"ends in none of \.png"):
        smile.save(tmp_path / "smile.bmp")


def test_faces_say_what_they_show(animator) -> None:
    (face, *_) = animator.faces(PORTRAIT)
    assert face.own_aus.shape == (17,) and abs(face.roll) < 10 and abs(face.yaw) < 10
    one = animator.animate(PORTRAIT, {"lip_corner_puller": 1.0}, face=face)
    assert np.array_equal(one.pixels, animator.animate(PORTRAIT, {12: 1.0}).pixels)


def test_what_is_left_out_is_said(animator, tmp_path) -> None:
    """Faces that were not chosen, and faces turned too far to the side."""
    rgb = read_picture(PORTRAIT).rgb
    two = np.hstack([rgb, rgb])
    assert animator.animate(rgb, {12: 1.0}).notes == []
    assert animator.animate(two, {12: 1.0}).notes == ["1 more face was found: --face all."]
    assert animator.animate(two, {12: 1.0}, face=None).notes == []
    notes = animator.video(two, tmp_path / "a.gif", {12: 1.0}, frames=2)
    assert notes == ["1 more face was found: --face all."]
    (face, *_) = animator.faces(rgb)
    eyes = face.landmarks[45] - face.landmarks[36]
    for share, error in ((0.25, None), (0.6, "too far to be animated")):
        landmarks = face.landmarks.copy()
        landmarks[30] += share * eyes
        turned = replace(face, landmarks=landmarks)
        if error is None:
            (note,) = animator.animate(rgb, {12: 1.0}, face=turned).notes
            assert "faces from the front come out better" in note
        else:
            with pytest.raises(NothingUsable, match=error):
                animator.animate(rgb, {12: 1.0}, face=turned)


def test_own_aus_and_whole_expressions(animator) -> None:
    photograph = read_picture(PORTRAIT)
    (face, *_) = animator.faces(photograph)
    own = dict(zip(NUMBERS, map(float, face.own_aus), strict=True))
    assert np.array_equal(animator.animate(photograph, own).pixels, photograph.pixels)
    assert np.array_equal(animator.animate(photograph, like=photograph).pixels, photograph.pixels)
    happy = animator.animate(photograph, expression="happy")
    assert not np.array_equal(happy.pixels, photograph.pixels)


def test_grey_and_deep_arrays_keep_their_form(animator) -> None:
    rgb = read_picture(PORTRAIT).rgb
    grey = rgb.mean(2).astype(np.uint8)
    assert animator.animate(grey, {12: 1.0}).pixels.shape == (*grey.shape, 1)
    deep = animator.animate(rgb.astype(np.uint16) * 257, {12: 1.0}).pixels
    assert deep.dtype == np.uint16


def test_a_video_of_a_photograph_a_driver_and_a_clip(animator, tmp_path) -> None:
    photograph = read_picture(PORTRAIT).rgb[60:360, 110:410]
    moving, driven, edited = (tmp_path / name for name in ("a.mp4", "b.gif", "c.mp4"))
    assert animator.video(photograph, moving, keys=["0.16:12=1"]) == []
    assert len(list(frames(moving))) == 5
    animator.video(photograph, driven, drive=moving)
    with Image.open(driven) as gif:
        assert gif.n_frames == 5
    animator.video(moving, edited, {25: 1.0})
    before, after = (np.stack([frame.pixels for frame in frames(p)]) for p in (moving, edited))
    assert before.shape == after.shape
    assert np.abs(before.astype(int) - after).max() > 20
    with pytest.raises(WrongUse, match="each say what the face shows"):
        animator.video(photograph, moving, {12: 1.0}, drive=edited)
    with pytest.raises(WrongUse, match="a clip keeps its own motion"):
        animator.video(moving, edited, drive=moving)
    with pytest.raises(WrongUse, match="needs a driver"):
        animator.video(photograph, moving, {12: 1.0}, drive_neutral=0.0)
    with pytest.raises(WrongUse, match="ease one of"):
        animator.video(photograph, moving, {12: 1.0}, ease="slow")
    with pytest.raises(WrongUse, match="no name of an animation"):
        animator.video(photograph, tmp_path / "a.doc", {12: 1.0})


def test_there_and_back_and_a_drivers_own_time_without_expression(animator, tmp_path) -> None:
    photograph = read_picture(PORTRAIT).rgb[60:360, 110:410]
    there, default, first = (tmp_path / name for name in ("a.gif", "b.apng", "c.apng"))
    animator.video(photograph, there, {12: 1.0}, frames=4, ping_pong=True, plays=3)
    with Image.open(there) as gif:
        assert gif.n_frames == 7 and gif.info["loop"] == 2, "shown once, and twice more"
    driver = tmp_path / "driver.mp4"
    animator.video(photograph, driver, {25: 1.0, 26: 1.0}, frames=5, fps=5)
    animator.video(photograph, default, drive=driver)
    animator.video(photograph, first, drive=driver, drive_neutral=0.0)
    opened = []
    for path in (default, first):
        with Image.open(path) as picture:
            opened.append(np.asarray(picture.convert("RGB")).astype(int))
    moved = [np.abs(one - photograph).mean() for one in opened]
    assert moved[1] < moved[0] / 2, "at its time without expression, the photograph is as it was"


def test_an_animation_ends_with_the_picture_of_the_same_aus(animator, tmp_path) -> None:
    """Animations may be computed in bf16, pictures are in float32."""
    still = animator.animate(PORTRAIT, {12: 1.0}).pixels.astype(int)
    animator.video(PORTRAIT, tmp_path / "smile", {12: 1.0}, frames=3)
    last = np.asarray(Image.open(sorted((tmp_path / "smile").iterdir())[-1]))
    changed = still != read_picture(PORTRAIT).pixels
    difference = np.abs(last.astype(int) - still)
    assert difference[changed].mean() < 1.0
    assert difference[~changed].mean() < 0.05


def test_mistakes_are_named(animator, tmp_path) -> None:
    with pytest.raises(WrongUse, match="did you mean 'blink'"):
        animator.animate(PORTRAIT, {"blnk": 1.0})
    with pytest.raises(WrongUse, match=r"AU12: 1\.5 is not from 0 to 1"):
        animator.animate(PORTRAIT, {12: 1.5})
    with pytest.raises(WrongUse, match="each set the whole face"):
        animator.animate(PORTRAIT, expression="happy", like=PORTRAIT)
    with pytest.raises(NothingUsable, match="does not exist"):
        animator.faces(tmp_path / "absent.jpg")
    with pytest.raises(ValueError, match="is no picture"):
        animator.faces(np.zeros((10, 10, 3), np.float32))
    with pytest.raises(NothingUsable, match="No face was found"):
        animator.animate(np.zeros((200, 200, 3), np.uint8), {12: 1.0})
