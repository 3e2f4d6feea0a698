"""The term `aus` of paired training: whole expressions, and AUs that are read of edited faces."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from test_paired import CPU, FACES, SETTINGS
from torch import Tensor

from ganim.model.config import PairWeights
from ganim.model.editing.masks import Masks
from ganim.model.networks.flow_generator import FlowGenerator, FlowOutputs
from ganim.model.training.au_reading import AuReading
from ganim.model.training.pair_sampler import PairSampler
from ganim.model.training.paired_trainer import PairedTrainer
from ganim.model.warp import warped


@pytest.fixture(scope="module")
def reading() -> AuReading:
    return AuReading()


def edited(faces: Tensor, fields: Tensor, paint: Tensor) -> tuple[FlowOutputs, Tensor]:
    """Outputs for a change of 1 of AU12 alone, whose field is that of `fields`, and the results."""
    flow = F.interpolate(fields[:, 8], scale_factor=4, mode="bilinear", align_corners=False)
    moved = warped(faces, flow)
    attention = torch.full_like(faces[:, :1], 0.5)
    masks = Masks(attention, (moved + 2 * paint).clamp(-1, 1), moved, flow)
    return FlowOutputs(masks, fields, torch.zeros_like(flow)), masks.blend()


def test_aus_teach_how_far_faces_move_and_not_where(reading: AuReading) -> None:
    faces = FACES.images[:2].float() / 128 - 1
    faces[:, :, :40] = 0  # where nothing is seen, the gradient is finite, too
    torch.manual_seed(0)
    side = faces.shape[-1]
    fields = (torch.randn(2, 29, 2, side // 4, side // 4) / 50).requires_grad_()
    paint = (torch.randn_like(faces) / 20).requires_grad_()
    change = torch.zeros(2, 17)
    change[:, 8] = 1
    outputs, results = edited(faces, fields, paint)
    reading(faces, outputs, change, results, change * 0.8).backward()
    assert paint.grad is None or not paint.grad.any()
    assert fields.grad is not None
    assert not fields.grad[:, :8].any() and not fields.grad[:, 9:].any()
    for field, gradient in zip(fields.detach()[:, 8], fields.grad[:, 8], strict=True):
        assert abs(float(F.cosine_similarity(field.flatten(), gradient.flatten(), 0))) > 0.999


def test_what_is_not_moved_yet_has_a_finite_gradient(reading: AuReading) -> None:
    faces = FACES.images[:2].float() / 128 - 1
    side = faces.shape[-1]
    fields = torch.zeros(2, 29, 2, side // 4, side // 4, requires_grad=True)
    paint = torch.zeros_like(faces).requires_grad_()
    change = torch.ones(2, 17)
    outputs, results = edited(faces, fields, paint)
    reading(faces, outputs, change, results, change).backward()
    assert fields.grad is not None and fields.grad.isfinite().all()


def test_the_error_is_of_aus_above_zero_and_less_within_a_region(
    reading: AuReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = torch.full((1, 17), -0.3), torch.full((1, 17), -0.1)
    before[0, 0], after[0, 0] = 0.2, 0.5  # AU1, asked for 0.4 more
    after[0, 1] = 0.2  # AU2, of the same region
    after[0, 8] = 0.1  # AU12, of another region
    answers = iter([before, after])
    monkeypatch.setattr(reading, "_read", lambda faces: next(answers))
    asked = torch.zeros(1, 17)
    asked[0, 0] = 0.4
    face = torch.zeros(1, 3, 8, 8)
    outputs, results = edited(face, torch.zeros(1, 29, 2, 2, 2), torch.zeros_like(face))
    error = reading(face, outputs, asked, results, asked)
    assert float(error) == pytest.approx(0.1**2 + 0.25 * 0.2**2 + 0.1**2)


def test_whole_expressions_are_those_of_other_faces() -> None:
    faces = replace(FACES, aus=torch.randint(0, 2, (12, 17)).float())
    settings = replace(SETTINGS, free_from=0.0, whole_expressions=1.0)
    free = PairSampler(faces, settings, torch.rand(12, 68, 2), torch.rand(68, 2)).batch(0, CPU, 2)
    assert free.unpaired is not None
    wanted = free.unpaired.asked
    # Own AUs have noise, so what is asked of a 0 or 1 is near a whole number.
    assert (wanted - wanted.round()).abs().max() < 0.3 and (wanted.abs() > 0.5).sum() > 5
    gains = free.unpaired.change / wanted
    assert gains[wanted != 0].min() >= 1


def test_the_term_is_trained_where_it_has_a_weight() -> None:
    settings = replace(SETTINGS, free_from=0.0, pairs=PairWeights(aus=1.0))
    trainer = PairedTrainer(settings, FACES, CPU)
    assert trainer.step()["aus"] > 0
    assert "aus" not in PairedTrainer(replace(settings, pairs=PairWeights()), FACES, CPU).step()


def test_weights_that_know_fewer_nuisances_are_loaded() -> None:
    torch.manual_seed(0)
    network = FlowGenerator(SETTINGS.generator)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():  # what the others would have told
        network.embedding[0].weight[:, -4:] = 0
        network.to_fields[-1].weight[-8:] = 0
        network.to_fields[-1].bias[-8:] = 0
    weights["embedding.0.weight"] = weights["embedding.0.weight"][:, :-4]
    for name in ("to_fields.1.weight", "to_fields.1.bias"):
        weights[name] = weights[name][:-8]
    other = FlowGenerator(SETTINGS.generator)
    other.load_state_dict(weights)
    assert all(
        torch.equal(mine, theirs)
        for mine, theirs in zip(network.parameters(), other.parameters(), strict=True)
    )
