"""Faces warped by their AUs: learning the displacements, and applying them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TINY

from ganim.model.checkpoint import load_state
from ganim.model.config import GeneratorSettings
from ganim.model.data import Faces, load_faces
from ganim.model.editing.masks import Masks
from ganim.model.networks.generator import Generator
from ganim.model.networks.load import load_generator
from ganim.model.networks.motion import Motion
from ganim.model.pixels import from_model, to_model
from ganim.model.training.resume import start, with_motion
from ganim.model.training.run import train
from ganim.model.training.trainer import STATE, WEIGHTS
from ganim.model.warp import moved, warped
from ganim.pipeline.action_units import NUMBERS
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.faces.crop import crop_box, cut_crop
from ganim.pipeline.faces.detect import detect_faces
from ganim.pipeline.images.decode import read_image

CPU = torch.device("cpu")
BROWS, MOUTH, LEFT_BROW = list(range(17, 27)), list(range(48, 68)), list(range(17, 22))
ALL = torch.arange(17)
STILL = replace(
    TINY, precision="auto", single_au=0.5, generator=GeneratorSettings(8, 1, colour="residual")
)
MOVING = replace(STILL, generator=replace(STILL.generator, motion=True))


@pytest.fixture(scope="module")
def portraits() -> torch.Tensor:
    """(2, 3, 128, 128) in -1..1: the two portraits, cropped."""
    crops = []
    for name in ("astronaut.png", "grace_hopper.jpg"):
        picture = read_image(Path(__file__).parents[1] / "examples" / name)
        crops.append(cut_crop(picture, crop_box(detect_faces(picture, most=1)[0].box)))
    return to_model(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2))


@pytest.fixture(scope="module")
def raised_brows(portraits: torch.Tensor) -> Motion:
    """A motion in which only AU1 has an effect: it raises the brows by a tenth of the view."""
    motion = Motion()
    motion.learn(_faces(portraits, torch.rand(2, 17)))  # for the aligner
    motion.displacements.zero_()
    motion.displacements[0, BROWS, 1] = -0.2
    return motion


def _faces(pictures: torch.Tensor, aus: torch.Tensor) -> Faces:
    names = [str(index) for index in range(len(pictures))]
    return Faces(from_model(pictures).round().byte(), aus, names, names)


def _turns(angles: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (n, 2, 2) by angles (n,) in radians."""
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)


def test_displacements_are_learned_from_photographs(portraits, raised_brows):
    """Two portraits with raised brows, rotated and shifted at random."""
    torch.manual_seed(0)
    pictures = portraits.repeat(40, 1, 1, 1)
    change = torch.zeros(80, 17)
    change[:, 0] = torch.rand(80)
    pictures = warped(pictures, raised_brows(pictures, change, ALL))
    pictures = moved(pictures, _turns(torch.rand(80) * 0.4 - 0.2), torch.rand(80, 2) * 0.1 - 0.05)
    aus = torch.rand(80, 17)
    aus[:, 0] = change[:, 0]

    motion = Motion()
    assert not motion.learned
    motion.learn(_faces(pictures, aus))
    assert motion.learned
    by_au1 = motion.displacements[NUMBERS.index(1)]
    assert by_au1[BROWS, 1].mean() < -0.03, "up"
    assert by_au1[MOUTH].abs().mean() < 0.5 * by_au1[BROWS, 1].abs().mean()
    others = motion.displacements[1:, BROWS, 1].mean(1)
    assert others.abs().mean() < 0.3 * by_au1[BROWS, 1].abs().mean()
    mirrored = by_au1[[*range(26, 16, -1)]] * torch.tensor([-1.0, 1.0])
    assert torch.allclose(by_au1[BROWS], mirrored, atol=1e-5), "symmetric"
    one = torch.eye(17)[:1].expand(2, 17)
    true, learned = (each(portraits, one, ALL)[:, 1].max() for each in (raised_brows, motion))
    assert 0.4 < learned / true < 1, "a part of the true displacement, and not more"


def test_a_face_moves_only_near_its_displaced_landmarks(portraits, raised_brows):
    change = torch.zeros(2, 17)
    change[:, 0] = 1.0
    flow = raised_brows(portraits, change, ALL) * 64
    before = raised_brows.aligner(portraits)
    after = raised_brows.aligner(warped(portraits, raised_brows(portraits, change, ALL)))
    rise = ((before - after) * 64)[:, :, 1]
    assert rise[:, LEFT_BROW].mean() > 3, "px, of 19 applied"
    assert rise[:, MOUTH].abs().mean() < 1
    assert flow[:, 1].max() > 5, "from below"
    assert flow[:, :, 80:].abs().max() < 0.1, "the lower half does not move"
    assert (flow[..., 1:] - flow[..., :-1]).abs().max() < 1, "smooth and without folds"


def test_a_rotated_face_moves_along_its_own_axes(portraits, raised_brows):
    change = torch.zeros(2, 17)
    change[:, 0] = 1.0
    turned = moved(portraits, _turns(torch.full((2,), 0.35)), torch.zeros(2, 2))
    upright = raised_brows(portraits, change, ALL).flatten(2).mean(2)
    tilted = raised_brows(turned, change, ALL).flatten(2).mean(2)
    lean = torch.atan2(tilted[:, 0], tilted[:, 1]) - torch.atan2(upright[:, 0], upright[:, 1])
    assert (lean.abs() - 0.35).abs().max() < 0.1


def test_each_output_pixel_shows_the_pixel_at_its_offset():
    face = torch.rand(1, 3, 16, 16)
    flow = torch.zeros(1, 2, 16, 16)
    flow[:, 0] = 2 / 16  # half sides: one pixel of 16 to the right
    flow[:, 1] = -4 / 16  # two up
    output = warped(face, flow)
    assert torch.allclose(output[:, :, 2:, :-1], face[:, :, :-2, 1:], atol=1e-5)
    assert torch.allclose(output[:, :, 2:, -1], face[:, :, :-2, -1], atol=1e-5), "border repeats"
    kept = Masks(torch.ones(1, 1, 16, 16), torch.zeros_like(face), output, flow).blend()
    assert torch.equal(kept, output)


def test_a_generator_warps_the_face_before_it_applies_the_masks(portraits, raised_brows):
    still = Generator(GeneratorSettings(8, 1, colour="residual", aus=(1, 12)))
    generator = with_motion(still)
    own = torch.full((2, 17), 0.2)
    target = own.clone()
    target[:, 0] = 1.0
    assert not generator.motion.learned
    generator.motion.load_state_dict(raised_brows.state_dict())
    generator.train()
    masks = generator(portraits, target, own)
    # The colour mask of an untrained generator is the warped face.
    flow = raised_brows(portraits, target - own, ALL)
    assert torch.allclose(masks.blend(), warped(portraits, flow), atol=1e-5)
    assert not generator(portraits, own, own).flow.any()
    target[:, 1] = 1.0
    assert torch.equal(generator(portraits, target, own).flow, masks.flow), "AU2 is not known"
    with pytest.raises(ValueError, match="own AUs"):
        generator(portraits, target)


@pytest.fixture(scope="module")
def still(random_faces, tmp_path_factory):
    """The run folder of a training without motion."""
    return train(random_faces, tmp_path_factory.mktemp("still"), STILL).parent


@pytest.fixture(scope="module")
def moving(random_faces, still, tmp_path_factory):
    """The run folder of a training with motion that starts from `still`'s weights."""
    return train(
        random_faces, tmp_path_factory.mktemp("moving"), MOVING, init=still / WEIGHTS
    ).parent


@pytest.mark.slow
def test_a_run_without_motion_continues_with_it(random_faces, still, moving):
    state = load_state(still / STATE)
    for settings in (MOVING, replace(MOVING, size=96)):
        faces = load_faces(random_faces, "train", settings.size)
        again = start(settings, faces, CPU, init=still)
        assert again.generator.motion.learned and again.averaged_generator.motion.learned
        for name, value in state["generator"].items():
            assert torch.equal(again.generator.state_dict()[name], value)
        assert torch.equal(again.critic.to_realism.weight, state["critic"]["to_realism.weight"])
        assert again.step()["aus"].isfinite()
    with pytest.raises(WrongUse, match="motion"):
        start(STILL, faces, CPU, init=moving)


@pytest.mark.slow
def test_motion_is_learned_once_and_not_trained(random_faces, moving):
    generator, _ = load_generator(moving / WEIGHTS)
    assert generator.motion.learned
    faces = load_faces(random_faces, "train", 64)
    learned = Motion()
    learned.learn(faces)
    state = load_state(moving / STATE)
    for name, value in learned.state_dict().items():
        assert torch.equal(state["generator"][f"motion.{name}"], value), "not changed by training"
    # Starting from weights or from a run copies the motion and does not learn it again.
    fewer = faces.subset(np.arange(8))
    for init in (moving / WEIGHTS, moving):
        again = start(MOVING, fewer, CPU, init=init)
        assert torch.allclose(
            again.generator.motion.displacements, learned.displacements, atol=1e-3
        )
        assert again.step()["aus"].isfinite()
