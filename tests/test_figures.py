"""bench/figures.py: what is drawn over faces, and its sheets as files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ganim.bench import monotonicity
from ganim.bench.comparison import drawn, measure, sheets
from ganim.bench.figures import attention, main
from ganim.cli import main as cli
from ganim.model.animation.animator import Animator
from ganim.model.training.log import METRICS
from ganim.pipeline import shards
from ganim.pipeline.images.decode import read_image

PORTRAIT = Path(__file__).parents[1] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def portrait() -> tuple[np.ndarray, np.ndarray]:
    """A photograph, and the 68 landmarks of its face."""
    photograph = read_image(PORTRAIT)
    landmarks = Animator().find(photograph).landmarks
    assert landmarks is not None
    return photograph, landmarks


@pytest.mark.parametrize(
    ("name", "hidden", "seen"),
    [
        ("glasses", range(36, 48), (8, 51, 57)),
        ("hat", (), (8, 30, 48, 54)),
        ("hair", (18, 19), (8, 30, 45, 57)),
        ("hand", (57, 54), (27, 36, 45)),
    ],
)
def test_an_occlusion_hides_its_part_of_the_face_and_no_other(
    name: str, hidden: range | tuple, seen: tuple, portrait: tuple[np.ndarray, np.ndarray]
) -> None:
    photograph, landmarks = portrait
    changed = (drawn.OCCLUSIONS[name](photograph, landmarks) != photograph).any(2)
    assert 0.002 < changed.mean() < 0.2

    def near(number: int) -> bool:
        x, y = np.rint(landmarks[number]).astype(int)
        return bool(changed[y - 2 : y + 3, x - 2 : x + 3].any())

    assert all(near(number) for number in hidden)
    assert not any(near(number) for number in seen)


def test_the_hat_covers_the_forehead(portrait: tuple[np.ndarray, np.ndarray]) -> None:
    photograph, landmarks = portrait
    changed = (drawn.hat(photograph, landmarks) != photograph).any(2)
    x, y = landmarks[27]
    distance = np.linalg.norm(landmarks[45] - landmarks[36])
    assert changed[int(y - 0.65 * distance), int(x)]


@pytest.mark.parametrize("name", list(drawn.DRAWINGS))
def test_drawings_are_other_pictures_of_the_same_size(
    name: str, portrait: tuple[np.ndarray, np.ndarray]
) -> None:
    photograph = portrait[0][60:220, 140:300]
    drawing = drawn.DRAWINGS[name](photograph)
    assert drawing.shape == photograph.shape and drawing.dtype == np.uint8
    assert np.abs(drawing.astype(int) - photograph).mean() > 5
    light = [np.asarray(Image.fromarray(one).convert("L"), float).ravel()
             for one in (photograph, drawing)]  # fmt: skip
    assert np.corrcoef(*light)[0, 1] > 0.4, "it still shows the face"


@pytest.mark.slow
def test_the_command_writes_a_sheet_of_each_kind_asked_for(tmp_path: Path) -> None:
    words = ["--out", str(tmp_path), str(PORTRAIT), "--only", "masks", "--only", "two-aus"]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {
        "masks-astronaut.png",
        "two-aus-astronaut.png",
    }
    with Image.open(tmp_path / "two-aus-astronaut.png") as sheet:
        assert sheet.width > 10 * sheets.SIDE and sheet.height > 5 * sheets.SIDE


def test_the_attention_is_plotted_if_a_run_logged_it(tmp_path: Path) -> None:
    def run(name: str, entries: list[dict]) -> measure.Contender:
        folder = tmp_path / name
        folder.mkdir()
        (folder / METRICS).write_text("".join(json.dumps(one) + "\n" for one in entries))
        return measure.Contender(name, folder, None, lambda device: None, None)  # type: ignore

    position = {"iteration": 1, "epoch": 0.1, "share": 0.5}
    stargan = run("stargan", [position])
    assert not attention(tmp_path / "a.png", [stargan])
    both = [stargan, run("ganimation", [position | {"attention": 0.4}, position])]
    assert attention(tmp_path / "a.png", both)
    with Image.open(tmp_path / "a.png") as plot:
        assert plot.width > 600


def test_rising_values_of_an_au_are_measured_on_photographs(tmp_path: Path) -> None:
    photos, folder = tmp_path / "photos", tmp_path / "shards"
    photos.mkdir()
    name = next(f"{n}.png" for n in range(50) if shards.split_of(f"{n}.png", 0.5) == "test")
    shutil.copy(PORTRAIT, photos / name)
    words = ["prepare", "--src", photos, "--out", folder, "--test-fraction", 0.5]
    assert CliRunner().invoke(cli, [str(word) for word in words]).exit_code == 0
    words = ["--shards", folder, "--photos", photos]
    done = CliRunner().invoke(monotonicity.main, list(map(str, words)), catch_exceptions=False)
    assert "AU12, 1 faces of the test split" in done.output
    assert "faces with all pixels outside the crop unchanged: " in done.output
