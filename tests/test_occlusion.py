"""What covers a face: the objects that are drawn, the network that finds them, and the pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from part_training import train_part

from ganim.bench import occlusions
from ganim.model.checkpoint import save_weights
from ganim.model.config import GeneratorSettings
from ganim.model.editing.masks import Masks
from ganim.model.editing.occlusion import bounds, limited, uncovered, without_spots
from ganim.model.networks.flow_generator import FlowGenerator
from ganim.model.networks.load import load_generator
from ganim.model.training import train_occlusion
from ganim.model.training.canvas import Canvas
from ganim.model.training.occluders import occluded
from ganim.model.warp import resized, warped

SIDE = 64
SETTINGS = GeneratorSettings(8, architecture="flow")


def landmarks(side: int) -> np.ndarray:
    """Of a face: eyes, brows and sides where they lie in the frame, all others at the mouth."""
    points = np.tile([0.0, 0.4], (68, 1))
    points[36:42], points[42:48] = [-0.4, -0.24], [0.4, -0.24]
    points[17:22], points[22:27] = [-0.4, -0.5], [0.4, -0.5]
    points[0], points[16] = [-0.9, -0.1], [0.9, -0.1]
    return (points + 1) * side / 2 - 0.5


def test_masks_are_where_objects_were_drawn() -> None:
    random, face = np.random.default_rng(0), np.full((SIDE, SIDE, 3), 128, np.uint8)
    shares = []
    for _ in range(60):
        picture, mask = occluded(face, landmarks(SIDE), [face], random)
        assert picture.shape == face.shape and picture.dtype == np.uint8
        assert mask.shape == (SIDE, SIDE) and 0 <= mask.min() <= mask.max() <= 1
        changed = np.abs(picture.astype(int) - face).max(2) > 40
        assert not changed[mask == 0].mean() > 0.2, "lenses, reflections and shadows alone"
        shares.append(mask.mean())
    assert min(shares) == 0 < max(shares) < 0.5, "some faces stay as they are"


def test_a_canvas_draws_in_the_coordinates_of_the_face() -> None:
    canvas = Canvas((SIDE, SIDE), landmarks(SIDE))
    canvas.polygon([[-0.6, -0.1], [-0.4, -0.1], [-0.4, 0.1], [-0.6, 0.1]], [255, 0, 0])
    picture, mask = canvas.over(np.zeros((SIDE, SIDE, 3), np.uint8))
    rows, columns = np.nonzero(mask > 0.5)
    right_eye = landmarks(SIDE)[36]
    assert np.allclose([columns.mean(), rows.mean()], right_eye, atol=0.6)
    assert picture[round(right_eye[1]), round(right_eye[0])].tolist() == [255, 0, 0]


def test_what_is_covered_stays_and_is_shown_once() -> None:
    """A brow rises towards nothing, and a bar below it is neither moved nor repeated."""
    face = torch.zeros(1, 1, 80, 80)
    face[..., 40:44, :] = 1
    occlusion = halved(face)
    flow = torch.zeros(1, 2, 20, 20)
    flow[:, 1] = 0.2  # each pixel shows the one 8 below
    free = limited(flow, bounds(torch.zeros_like(occlusion)))
    assert torch.equal(free, flow), "nothing is limited where nothing is covered"
    kept = warped(face, resized(limited(flow, bounds(occlusion)), face))
    torch.testing.assert_close(kept, face, atol=0.4, rtol=0)  # less than half a pixel
    assert not torch.allclose(warped(face, resized(flow, face)), face, atol=0.5)
    far = limited(flow, bounds(occlusion))[0, 1, :3]
    torch.testing.assert_close(far, flow[0, 1, :3], atol=0.02, rtol=0)


def halved(values: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(values, 2)


def test_what_is_covered_is_not_painted() -> None:
    occlusion = torch.zeros(1, 1, 8, 8)
    occlusion[..., :4] = 1
    masks = Masks(
        torch.full((1, 1, 16, 16), 0.25), torch.ones(1, 3, 16, 16), torch.zeros(1, 3, 16, 16),
        blur=torch.ones(1, 1, 16, 16),
    )  # fmt: skip
    left = uncovered(masks, occlusion)
    assert left.blur is not None
    assert (left.attention[..., :7] == 1).all() and (left.blur[..., :7] == 0).all()
    assert (left.attention[..., 9:] == 0.25).all() and (left.blur[..., 9:] == 1).all()
    assert uncovered(masks._replace(blur=None), occlusion).blur is None


def test_weights_from_before_find_nothing_covered(tmp_path: Path) -> None:
    generator = FlowGenerator(SETTINGS)
    generator.occlusion.last.bias.data.fill_(3.0)
    older = {k: v for k, v in generator.state_dict().items() if not k.startswith("occlusion")}
    path = tmp_path / "older.safetensors"
    save_weights(path, older, "generator", {"generator": {**vars(SETTINGS)}, "size": SIDE})
    loaded, _ = load_generator(path)
    assert isinstance(loaded, FlowGenerator)
    assert not loaded.encode(torch.rand(1, 3, SIDE, SIDE)).occlusion.any()
    assert generator.encode(torch.rand(1, 3, SIDE, SIDE)).occlusion.all()


def test_drawn_objects_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of plain faces, in a few steps: covered pixels are told from free ones."""
    torch.manual_seed(0)
    generator = FlowGenerator(SETTINGS)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    images = torch.full((8, 3, SIDE, SIDE), 170, dtype=torch.uint8)
    maps = torch.eye(2, 3).expand(8, 2, 3)
    points = torch.from_numpy((landmarks(SIDE) + 0.5) * 2 / SIDE - 1).float().expand(8, 68, 2)
    photographs = train_occlusion.Photographs(images, maps, points)
    monkeypatch.setattr(train_occlusion, "LEARNING_RATE", 1e-2)
    list(train_occlusion.train(generator, photographs, SIDE, 60, 8, seed=0))
    random = torch.Generator().manual_seed(5)
    faces, masks = train_occlusion.examples(photographs, torch.arange(8), SIDE, random)
    with torch.inference_mode():
        found = generator.occlusion_logits(faces).sigmoid()
    assert found[masks > 0.7].mean() > 2 * found[masks == 0].mean()
    for name, value in generator.state_dict().items():
        assert name.startswith("occlusion") or torch.equal(value, before[name])


def test_the_command_changes_the_network_alone(tmp_path: Path) -> None:
    before, after = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    generator = FlowGenerator(replace(SETTINGS))
    x, y = np.meshgrid(*[np.linspace(-0.8, 0.8, 9)] * 2)
    grid = np.stack([x, y], 2).reshape(-1, 2)[:68]
    generator.reference.copy_(torch.from_numpy(grid))
    few = ["--steps", "3", "--batch", "2"]
    trained = train_part(train_occlusion.main, generator, SIDE, tmp_path, few, faces=6)
    assert trained.parts == {"occlusion"}
    wrong = [str(tmp_path), "--weights", str(before), "--out", str(after)]
    done = CliRunner().invoke(train_occlusion.main, wrong)
    assert done.exit_code == 1 and "Error: " in done.output and "Traceback" not in done.output
    options = ["--shards", str(tmp_path / "shards"), "--weights", str(after)]
    done = CliRunner().invoke(occlusions.main, options)
    assert done.exit_code == 0, done.output
    assert "2 faces of 64 px" in done.output and "AU1+2: moved by" in done.output


def test_spots_of_light_are_no_frames_of_glasses() -> None:
    shown = torch.zeros(1, 1, 80, 80)
    shown[..., 20:22, 10:40] = 1  # a frame, level and upright
    shown[..., 20:40, 10:12] = 0.7
    shown[..., 50:70, 50:75] = 1  # a hand
    spotted = shown.clone()
    spotted[..., 26:30, 22:26] = 1
    torch.testing.assert_close(without_spots(spotted), shown)
