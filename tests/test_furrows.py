"""The network of furrows: where it may change a face, what it leaves, and its training."""

from pathlib import Path

import pytest
import torch
from part_training import train_part
from test_mouth import opening_generator, stages
from tiny import randomise, smooth_faces
from torch import Tensor, nn

from ganim.model.editing.brows import Brows, cut_to_upper_face
from ganim.model.editing.furrows import FROWN, FurrowNetwork, skin_of
from ganim.model.editing.masks import Masks
from ganim.model.editing.shade import shaded
from ganim.model.estimator.network import load_estimator
from ganim.model.networks.flow_generator import FlowGenerator
from ganim.model.pixels import to_model
from ganim.model.training import train_furrows
from ganim.model.training.furrow_examples import edited
from ganim.pipeline.action_units import COUNT, positions

SIDE = 64
FREE = torch.ones(1, 1, SIDE // 2, SIDE // 2)


def random_network(trained: bool = True) -> FurrowNetwork:
    torch.manual_seed(0)
    network = FurrowNetwork().eval()
    randomise(network)
    network.trained.fill_(float(trained))
    return network.requires_grad_(False)


def masks() -> Masks:
    faces = torch.rand(1, 3, SIDE, SIDE) * 1.6 - 0.8
    return Masks(torch.ones(1, 1, SIDE, SIDE), faces, faces, torch.zeros(1, 2, SIDE, SIDE))


def asked(by: float) -> tuple[Tensor, Tensor]:
    """AUs that are asked for, and a face's own."""
    own = torch.full((1, COUNT), 0.2)
    aus = own.clone()
    aus[:, FROWN] += by
    return aus, own


def parts(eyes_open: bool = True) -> Brows:
    """Brows and eyes that go from the left to the right."""
    lines = [torch.full((SIDE,), row) for row in (-0.5, -0.4, -0.2, -0.1 if eyes_open else -0.2)]
    within = torch.zeros(1, 2, SIDE)
    within[:, 0] = 1
    return Brows(torch.stack(lines[:3])[None], within, torch.stack(lines[2:])[None])


def in_row(skin: Tensor, row: float) -> float:
    return float(skin[0, 0, round((row + 1) * SIDE / 2 - 0.5), SIDE // 2])


def test_skin_is_what_is_no_eye_and_no_brow_and_is_not_covered() -> None:
    flow = torch.zeros(1, 2, SIDE, SIDE)
    skin = skin_of(flow, parts(), FREE)
    assert skin.shape == cut_to_upper_face(masks().face)[:, :1].shape
    assert in_row(skin, -0.15) < 0.1, "eyes"
    assert in_row(skin, -0.3) > 0.8 and in_row(skin, -0.65) > 0.9, "lids and forehead"
    assert 0.1 < in_row(skin, -0.45) < 0.6, "brows in part"
    assert skin[..., 0].max() < 0.1 and skin[..., -1, :].max() < 0.1, "not at the border"
    assert skin[..., 0, :].max() < 0.5, "there may be hair"
    closed = skin_of(flow, parts(eyes_open=False), FREE)
    assert in_row(closed, -0.2) > 0.9
    assert not skin_of(flow, parts(), FREE * 0).any()
    flow[:, 1] = 0.2  # everything goes up
    assert in_row(skin_of(flow, parts(), FREE), -0.35) < 0.1


def test_furrows_come_where_brows_are_drawn_together() -> None:
    network, before = random_network(), masks()

    def strength(aus: Tensor, own: Tensor, free: Tensor = FREE) -> float:
        shown = network.shown(before, parts(), free, aus, own)
        return float((shown.blend() - before.blend()).abs().mean())

    for still in (asked(0), asked(-0.2)):
        assert network.shown(before, parts(), FREE, *still) is before
    untrained = random_network(trained=False)
    assert untrained.shown(before, parts(), FREE, *asked(0.5)) is before
    smile, own = asked(0)
    smile[:, positions((12,))] = 1
    assert network.shown(before, parts(), FREE, smile, own) is before
    assert 0 < strength(*asked(0.01)) < 0.2 * strength(*asked(0.5))
    assert strength(*asked(0.5), free=FREE * 0) < 1e-5
    low = network.shown(before, parts(), FREE, *asked(0.5)).blend()[..., SIDE // 2 + 8 :, :]
    torch.testing.assert_close(low, before.blend()[..., SIDE // 2 + 8 :, :], atol=1e-5, rtol=0)


def test_skin_becomes_lighter_and_darker_within_limits_and_has_no_other_colours() -> None:
    network, faces = random_network(), torch.zeros(1, 3, SIDE, SIDE)
    nn.init.zeros_(network.last.weight)
    for bias, limit in ((100, 0.05), (-100, -0.45)):
        nn.init.constant_(network.last.bias, bias)
        factors = network(faces, faces[:, :1] + 1, *asked(0.8))
        assert abs(factors.mean() / limit - 1) < 0.05
    darker = shaded(faces, torch.full((1, 1, SIDE, SIDE), -0.4))
    red, green, blue = darker[0, :, 0, 0]
    assert red > green > blue > -0.4
    assert torch.equal(shaded(faces, torch.zeros(1, 1, SIDE, SIDE)), faces)


def test_what_it_is_told_has_limits() -> None:
    network, faces = random_network(), torch.zeros(1, 3, SIDE, SIDE)
    most, own = torch.zeros(1, COUNT), torch.zeros(1, COUNT)
    most[:, FROWN] = 0.5
    skin = faces[:, :1] + 1
    assert torch.equal(network(faces, skin, most, own), network(faces, skin, most * 2, own))
    assert not torch.equal(network(faces, skin, most, own), network(faces, skin, most / 2, own))


def test_edits_ask_for_pairs_for_others_and_for_groups_of_aus() -> None:
    generator = opening_generator()
    faces = smooth_faces(12, SIDE)
    faces.series[:6] = ["a"] * 3 + ["b"] * 3
    edits = edited(generator, faces, 40, torch.Generator().manual_seed(0))
    paired = edits.target >= 0
    assert 8 < paired.sum() < 26
    for source, target in zip(edits.source[paired], edits.target[paired], strict=True):
        assert faces.series[source] == faces.series[target] and source != target
    torch.testing.assert_close(edits.asked[paired], faces.aus[edits.target[paired]])
    torch.testing.assert_close(edits.own, faces.aus[edits.source])
    groups = ((edits.asked != edits.own).sum(1) <= 5) & ~paired
    assert groups.sum() > 5 and (edits.asked >= edits.own)[groups].all()
    assert edits.results.shape == (40, 3, SIDE, SIDE) and edits.skin.float().mean() > 5


@pytest.mark.slow
def test_furrows_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {"_WARM_UP": 5, "_ALONE": 1000, "LEARNING_RATE": 1e-3, "_STRENGTH": 0.0}
    for name, value in (changed | {"_GRADIENTS": 0.0}).items():
        monkeypatch.setattr(train_furrows, name, value)
    torch.manual_seed(0)
    generator, faces = opening_generator(), smooth_faces(6, SIDE)
    faces.images[..., SIDE // 2 :] = faces.images[..., : SIDE // 2].flip(3)  # as they are mirrored
    faces.series[:] = ["a"] * 6
    edits = edited(generator, faces, 8, torch.Generator().manual_seed(0))
    # One of them, so that steps can be compared: a frown that is told nearly as it is.
    rises = (edits.asked - edits.own)[:, FROWN]
    edits = edits.where(torch.where(rises > 0.4, rises, 1.0).argmin()[None])
    torch.manual_seed(0)
    steps, means = zip(*train_furrows.train(faces, edits, stages(), 60, 4), strict=True)
    reader, skin = load_estimator(), edits.skin.float() / 255
    before = to_model(edits.results)
    upper = cut_to_upper_face(before)
    learned = shaded(upper, means[-1](upper, skin, edits.asked, edits.own))
    after = torch.cat([learned, before[:, :, upper.shape[2] :]], 2)
    errors = [train_furrows._errors(reader, each, faces, edits)[0] for each in (before, after)]
    assert errors[1] < errors[0] and steps[0].strength == 0 < steps[-1].strength
    assert means[-1].trained == 1 and not means[-1].last.weight.requires_grad


def test_the_command_changes_the_network_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_furrows, "imagenet_stages", stages)
    monkeypatch.setattr(train_furrows, "framed", lambda faces, *_: smooth_faces(8, SIDE))
    monkeypatch.setattr(train_furrows, "_PRINTED", 2)
    few = ["--batch", "2", "--steps", "2", "--edits", "4"]
    generator = opening_generator()
    trained = train_part(train_furrows.main, generator, SIDE, tmp_path, few, in_series=4)
    assert "4 edits of 8 faces" in trained.output and trained.output.count("\n     2 ") == 1
    assert trained.parts == {"furrows"} and trained.weights["furrows.trained"] == 1


def test_weights_without_the_network_have_no_furrows() -> None:
    generator = opening_generator()
    generator.furrows.trained.fill_(1)
    state = {name: x for name, x in generator.state_dict().items() if "furrows" not in name}
    later = FlowGenerator(generator.settings)
    later.load_state_dict(state)
    assert later.furrows.trained == 0
