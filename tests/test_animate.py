"""The shipped generator on real portraits, through the command and the Python interface."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ganim.cli import main
from ganim.model.animation.animator import Animator
from ganim.pipeline.action_units import NUMBERS, Edit, apply_edits
from ganim.pipeline.images.decode import read_image

ROOT = Path(__file__).parents[1]
PORTRAITS = [ROOT / "examples" / name for name in ("astronaut.png", "grace_hopper.jpg")]
AU12 = NUMBERS.index(12)


@pytest.fixture(scope="module")
def animator():
    return Animator()


@pytest.fixture
def ganim():
    def invoke(*words):
        return CliRunner().invoke(main, [str(word) for word in words])

    return invoke


@pytest.mark.parametrize("portrait", PORTRAITS, ids=lambda path: path.stem)
def test_a_higher_target_gives_a_higher_measured_value(animator, portrait):
    photograph = read_image(portrait)
    face = animator.find(photograph)
    measured = []
    for level in (0.0, 0.5, 1.0):
        edited = animator.render(photograph, face, apply_edits(face.own_aus, [Edit(12, level)]))
        measured.append(animator.find(edited).own_aus[AU12])
    assert measured[0] < measured[1] < measured[2]


def test_pixels_outside_the_region_keep_their_values(ganim, animator, tmp_path):
    out = tmp_path / "smile.png"
    result = ganim("animate", PORTRAITS[0], "--au", "12=1.0", "-o", out)
    assert result.exit_code == 0, result.output
    photograph, edited = read_image(PORTRAITS[0]), read_image(out)
    down, across = np.indices(photograph.shape[:2])
    frame = animator.find(photograph).region
    x, y = np.moveaxis(frame.from_picture(np.stack([across, down], -1).astype(np.float64)), -1, 0)
    outside = (np.abs(x) > 1.02) | (y < -1.02) | (y > 1.42)  # motion fades out below the chin
    assert np.array_equal(photograph[outside], edited[outside])
    assert not np.array_equal(photograph[~outside], edited[~outside])


def test_own_aus_give_the_photograph_to_the_bit(ganim, tmp_path):
    out = tmp_path / "same.png"
    for number in ("12", "4", "45"):
        assert (
            ganim(
                "animate", PORTRAITS[0], "--au", f"{number}=+0", "-o", out, "--overwrite"
            ).exit_code
            == 0
        )
        assert np.array_equal(read_image(PORTRAITS[0]), read_image(out))


def test_a_gif_has_all_frames_and_starts_with_the_photograph(ganim, tmp_path):
    out = tmp_path / "smile.gif"
    assert ganim("animate", PORTRAITS[0], "--au", "12=1", "-o", out, "--frames", 5).exit_code == 0
    with Image.open(out) as gif:
        assert gif.n_frames == 5 and gif.size == (512, 512)
        first = np.asarray(gif.convert("RGB"), np.int16)
        gif.seek(4)
        assert gif.info["duration"] == 800, "the last picture stays"
    difference = np.abs(first - read_image(PORTRAITS[0]).astype(np.int16))
    assert difference.mean() < 8, "equal except for the palette"


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_pictures_of_other_colour_modes(ganim, tmp_path, mode):
    source = tmp_path / ("face.jpg" if mode == "CMYK" else "face.png")
    with Image.open(PORTRAITS[0]) as picture:
        picture.convert(mode).save(source)
    out = tmp_path / "out.jpg"
    result = ganim("animate", source, "--expression", "surprise", "-o", out)
    assert result.exit_code == 0, result.output
    assert read_image(out).shape == (512, 512, 3)


def assert_fails(result, status, *words):
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.output


def test_a_photograph_without_a_face_is_status_1(ganim, tmp_path):
    Image.new("RGB", (300, 300), "green").save(tmp_path / "green.png")
    assert_fails(ganim("animate", tmp_path / "green.png", "--au", "12=1"), 1, "No face was found")


def test_an_unreadable_photograph_is_status_1(ganim, tmp_path):
    (tmp_path / "text.jpg").write_text("not a picture")
    assert_fails(ganim("animate", tmp_path / "text.jpg", "--au", "12=1"), 1, "cannot be read")


def test_wrong_use_is_status_2(ganim, tmp_path):
    absent = tmp_path / "absent.safetensors"
    animate = ("animate", PORTRAITS[0], "--au", "12=1")
    assert_fails(ganim(*animate, "--weights", absent), 2, "ganim train")
    assert_fails(ganim(*animate, "-o", tmp_path / "out.bmp"), 2, ".png")
    assert_fails(ganim("animate", PORTRAITS[0]), 2, "--au 12=1.0")
    estimator = ROOT / "model" / "weights" / "estimator.safetensors"
    assert_fails(ganim(*animate, "--weights", estimator), 2, "not weights of kind generator")
