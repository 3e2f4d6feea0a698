"""Paired training: its batches, its objective against a plain restatement, and whole runs."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from tiny import smooth_faces

from ganim.model.checkpoint import load_state, load_weights
from ganim.model.config import CriticSettings, GeneratorSettings, PairWeights, TrainSettings
from ganim.model.data import Faces, load_faces
from ganim.model.landmarks.frame import frame_maps, into_frame, mean_reference
from ganim.model.landmarks.placing import place_frame
from ganim.model.networks.flow_generator import UNLIMITED
from ganim.model.networks.load import load_generator
from ganim.model.training import dry_run, framing, run
from ganim.model.training.calibration import calibrated_gains, lowest_enough
from ganim.model.training.log import read_metrics
from ganim.model.training.pair_augmentation import Augmentation
from ganim.model.training.pair_sampler import MAX_GAINS, UNKNOWN, PairSampler
from ganim.model.training.paired_trainer import PairedTrainer
from ganim.model.training.resume import resume_from_state, start
from ganim.model.training.run_folder import Callbacks
from ganim.model.training.trainer import STATE
from ganim.pipeline.action_units import NUMBERS, REGIONS
from ganim.pipeline.errors import WrongUse

CPU = torch.device("cpu")
SETTINGS = TrainSettings(
    size=64,
    batch=4,
    epochs=2,
    decay_epochs=1,
    precision="fp32",
    paired=0.5,
    free_from=0.5,
    lr=2e-4,
    generator=GeneratorSettings(8, architecture="flow"),
    critic=CriticSettings(8),
)


def series_faces(count: int = 12, size: int = 96) -> Faces:
    """Random faces: all but the last two in two series; the first has a landmark not known."""
    faces = smooth_faces(count, size)
    landmarks = torch.rand(count, 68, 2, generator=torch.Generator().manual_seed(1)) * 1.2 - 0.6
    landmarks[0, 5] = float("nan")
    series: list[str | None] = [("one", "two")[number % 2] for number in range(count - 2)]
    return replace(faces, series=[*series, None, None], landmarks=landmarks)


FACES = series_faces()


@pytest.fixture
def trainer() -> PairedTrainer:
    return PairedTrainer(SETTINGS, FACES, CPU)


def state_of(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([each.detach().flatten().float() for each in network.state_dict().values()])


# Batches


def test_the_batch_of_an_iteration_is_always_the_same(trainer: PairedTrainer) -> None:
    other = PairedTrainer(SETTINGS, FACES, CPU)
    other.batch(3)
    for iteration in (0, 4):
        one, again = flat(trainer.batch(iteration)), flat(other.batch(iteration))
        assert one.keys() == again.keys()
        assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(trainer.batch(0).sources, trainer.batch(1).sources)


def flat(batch: Any) -> dict[str, torch.Tensor]:
    named = batch._asdict()
    unpaired = named.pop("unpaired")
    return named | ({} if unpaired is None else unpaired._asdict())


def test_pairs_are_of_one_series_and_unpaired_faces_come_later(trainer: PairedTrainer) -> None:
    assert trainer.first_free == 3 and trainer.iterations == 6
    early, late = trainer.batch(2), trainer.batch(3)
    assert early.unpaired is None and len(early.sources) == 4
    assert late.unpaired is not None and len(late.sources) == len(late.unpaired.faces) == 2
    draw = torch.Generator().manual_seed(0)
    source, target = trainer.sampler._draw_pairs(200, draw)
    assert not (source == target).any() and source.max() < 10
    assert torch.equal(source % 2, target % 2)
    changed = (late.unpaired.change != 0).sum(1)
    assert set(changed.tolist()) <= {1, 2}


def test_two_aus_are_often_of_one_region(trainer: PairedTrainer) -> None:
    first, second = trainer.sampler._draw_aus(2000, torch.Generator().manual_seed(0))
    assert not (first == second).any() and len(set(second.tolist())) == 17
    regions = {number: name for name, numbers in REGIONS.items() for number in numbers}
    near = [
        regions[NUMBERS[one]] == regions[NUMBERS[other]]
        for one, other in zip(first.tolist(), second.tolist(), strict=True)
    ]
    assert 0.55 < np.mean(near) < 0.75, "half of them, and some of the others by chance"


def test_strong_changes_are_of_one_region(trainer: PairedTrainer) -> None:
    regions = [{NUMBERS.index(number) for number in one} for one in REGIONS.values()]
    changes = trainer.sampler._strong_changes(60, torch.Generator().manual_seed(2))
    strong = changes[changes.sum(1) > 0]
    assert len(strong) > 20
    for changes in strong:
        assert any(set(changes.nonzero().flatten().tolist()) <= one for one in regions)
        assert changes[changes > 0].min() >= 0.5


def test_processes_divide_a_batch(trainer: PairedTrainer) -> None:
    whole = flat(trainer.batch(4))
    parts = [flat(trainer.sampler.batch(4, CPU, 2, (number, 2))) for number in (0, 1)]
    for name, value in whole.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), value), name


def test_pixels_and_landmarks_of_both_faces_go_through_one_map() -> None:
    """A dot that is drawn at a landmark stays at the landmark."""
    size, count = 192, 8
    place = torch.rand(count, 1, 2, generator=torch.Generator().manual_seed(3)) * 0.6 - 0.4
    line = (torch.arange(size) * 2 + 1) / size - 1
    x, y = line[None, None, :] - place[:, :, :1], line[None, :, None] - place[:, :, 1:]
    dots = torch.exp(-(x**2 + y**2) / 0.02**2)
    images = (dots * 255).byte()[:, None].expand(-1, 3, -1, -1).contiguous()
    faces = replace(smooth_faces(count, size), images=images, series=["one"] * count)
    aligned = torch.rand(68, 2, generator=torch.Generator().manual_seed(4)) - 0.5
    jitter = torch.randn(count, 68, 2, generator=torch.Generator().manual_seed(5)) * 0.02
    # The pose needs the points of a scheme: the dot is all of them.
    faces = replace(faces, landmarks=place.expand(-1, 68, -1).contiguous())
    settings = replace(SETTINGS, size=128, batch=8)
    sampler = PairSampler(faces, settings, aligned + jitter, aligned)
    found = 0
    for iteration in range(4):
        batch = sampler.batch(iteration, CPU, 8)
        for views, landmarks in (
            (batch.sources, batch.source_landmarks),
            (batch.targets, batch.target_landmarks),
        ):
            for view, points in zip(views, landmarks, strict=True):
                if points[0].abs().max() > 0.95:
                    continue
                brightest = view.mean(0).flatten().argmax()
                row, column = divmod(int(brightest), 128)
                at = torch.tensor([column, row]) * 2 / 128 + 1 / 128 - 1
                assert (at - points[0]).abs().max() < 2.5 / 128
                found += 1
    assert found > 40


def test_the_target_lies_as_the_source_does() -> None:
    """Two series of one shape each, which is turned, scaled and shifted in the crops."""
    draw = torch.Generator().manual_seed(0)
    shapes = torch.rand(2, 68, 2, generator=draw) - 0.5
    angle, scale = torch.randn(12, generator=draw) * 0.2, torch.rand(12, generator=draw) * 0.4 + 0.7
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    shift = torch.randn(12, 1, 2, generator=draw) * 0.1
    landmarks = shapes[torch.arange(12) % 2] @ (turn * scale[:, None, None]) + shift
    faces = replace(FACES, landmarks=landmarks, series=["one", "two"] * 6)
    # By aligned landmarks that are wrong, the frames of two faces do not fit.
    wrong = landmarks + torch.randn(12, 68, 2, generator=draw) * 0.05
    batch = PairSampler(faces, SETTINGS, wrong, shapes[0]).batch(0, CPU, 4)
    assert torch.allclose(batch.source_landmarks, batch.target_landmarks, atol=1e-4)
    faces.landmarks[:, 27] = float("nan")
    batch = PairSampler(faces, SETTINGS, wrong, shapes[0]).batch(0, CPU, 4)
    assert batch.sources.isfinite().all() and batch.targets.isfinite().all()
    assert not torch.allclose(batch.source_landmarks, batch.target_landmarks, atol=1e-2)


def test_unknown_landmarks_are_far_outside(trainer: PairedTrainer) -> None:
    maps = Augmentation.draw(2, torch.Generator().manual_seed(0)).maps
    points = trainer.sampler._points(torch.tensor([0, 1]), maps)
    assert (points[0, 5] == UNKNOWN).all() and (points != UNKNOWN).sum() == 2 * 68 * 2 - 2


def test_nuisance_of_a_mirrored_pair_is_mirrored(trainer: PairedTrainer) -> None:
    sampler, seen = trainer.sampler, set()
    for iteration in range(6):
        # As the sampler's of seed 0, which draws the pairs first.
        draw = torch.Generator().manual_seed(iteration)
        source, target = sampler._draw_pairs(4, draw)
        batch = sampler.batch(iteration, CPU, 4)
        told = (sampler.nuisance[target] - sampler.nuisance[source]).nan_to_num(nan=0.0)
        for row, expected in zip(batch.nuisance, told, strict=True):
            flip = torch.tensor([-1.0, 1, -1, 1, 1, 1, 1, -1, -1, 1, 1, -1])
            mirrored = torch.allclose(row, expected * flip)
            assert mirrored or torch.allclose(row, expected)
            seen.add(mirrored)
    assert seen == {True, False}


def test_series_are_needed() -> None:
    for series in ([], ["one", "one", "one", *[None] * 9]):
        with pytest.raises(WrongUse, match="--series"):
            PairedTrainer(SETTINGS, replace(FACES, series=series), CPU)


# The frame


def test_the_mean_of_faces_is_placed_by_its_eyes() -> None:
    draw = torch.Generator().manual_seed(0)
    shape = torch.randn(68, 2, generator=draw)
    angle, scale = torch.randn(50, generator=draw) * 0.3, torch.rand(50, generator=draw) + 0.5
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    found = shape @ (turn * scale[:, None, None]) + torch.randn(50, 1, 2, generator=draw)
    reference = mean_reference(found)
    assert torch.allclose(reference[36:42].mean(0), torch.tensor([-0.4063, -0.241]), atol=1e-4)
    assert torch.allclose(reference[42:48].mean(0), torch.tensor([0.4063, -0.241]), atol=1e-4)


def test_the_map_to_a_crop_is_that_of_a_photograph() -> None:
    draw = torch.Generator().manual_seed(0)
    landmarks, reference = torch.randn(2, 68, 2, generator=draw)
    (one,) = frame_maps(landmarks[None], reference)
    frame = place_frame(landmarks.numpy().astype(np.float64), reference.numpy())
    np.testing.assert_allclose(one[:, :2], frame.matrix, atol=1e-5)
    np.testing.assert_allclose(one[:, 2], frame.centre, atol=1e-5)
    back = into_frame(landmarks[None], one[None])[0]
    np.testing.assert_allclose(back, frame.from_picture(landmarks.numpy()), atol=1e-4)


def test_pictures_are_shown_in_the_frame(trainer: PairedTrainer) -> None:
    seen = trainer.as_seen(FACES)
    assert seen.images.shape == (12, 3, 64, 64) and seen.images.dtype == torch.uint8
    expected = framing.sampled(FACES.images, trainer.sampler.maps, 64)
    assert (framing.to_model(seen.images) - expected).abs().max() < 0.01


# The objective


def plain_terms(trainer: PairedTrainer, batch: Any) -> tuple[dict[str, Any], torch.Tensor]:
    """The generator's terms and the critics' loss, written plainly, as the trial has them; but
    its result critic was not told the AUs."""

    def pyramid(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(())
        for _ in range(3):
            total = total + (one - other).abs().mean()
            one, other = F.avg_pool2d(one, 2), F.avg_pool2d(other, 2)
        return total

    def hinge(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    n, free = len(batch.sources), batch.unpaired
    x, y, g = batch.sources, batch.targets, trainer.generator
    out = g.outputs(
        torch.cat([x, free.faces]),
        torch.cat([batch.aus, free.aus]),
        torch.cat([batch.change, free.change]),
        torch.cat([batch.nuisance, torch.zeros(len(free.faces), 12)]),
    )
    result = out.masks.blend()
    real, of_real = trainer.pair_critic(x, y, batch.aus)
    fake, of_fake = trainer.pair_critic(x, result[:n], batch.aus)
    critics = hinge(real, trainer.pair_critic(x, result[:n].detach(), batch.aus)[0])
    wanted = torch.cat([batch.aus, (free.own + free.asked).clamp(0, 1)])
    shown, critic = torch.cat([batch.aus, free.own]), trainer.result_critic
    critics = critics + F.relu(1 - critic(torch.cat([y, free.faces]), shown)).mean()
    critics = critics + F.relu(1 + critic(result.detach(), wanted)).mean() / 2
    critics = critics + F.relu(1 + critic(torch.cat([x, free.faces]), wanted)).mean() / 2
    source, target = batch.source_landmarks, batch.target_landmarks
    flow = F.grid_sample(out.masks.flow[:n], target[:, :, None], align_corners=False)
    error = (flow[..., 0].transpose(1, 2) - (source - target)).abs()
    inside = ((source.abs() < 1) & (target.abs() < 1)).all(2)
    terms = {
        "reconstruction": pyramid(result[:n], y),
        "moved": pyramid(out.masks.face[:n], y),
        "landmarks": error[inside].sum() / error.numel(),
        "matching": sum(
            (a - b.detach()).abs().mean() for a, b in zip(of_fake, of_real, strict=True)
        ),
        "adversarial": -fake.mean(),
        "result_adversarial": -critic(result, wanted).mean(),
        "attention": (1 - out.masks.attention[:n]).mean(),
        "fields": out.fields.abs().mean(),
        "rest": out.rest.abs().mean(),
        "folds": folded(out.fields[:, :17], torch.cat([batch.strong, free.strong])),
    }
    return terms, critics


def folded(fields: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """The mean of 0.2 less the determinant of the Jacobian, where that is positive."""
    flow = torch.einsum("nk,nkdhw->nhwd", change, fields)
    short = []
    for face in flow:
        for y in range(face.shape[0] - 1):
            for x in range(face.shape[1] - 1):
                right = (face[y, x + 1] - face[y, x]) * face.shape[1] / 2
                down = (face[y + 1, x] - face[y, x]) * face.shape[0] / 2
                jacobian = torch.eye(2) + torch.stack([right, down], 1)
                short.append(F.relu(0.2 - torch.linalg.det(jacobian)))
    return torch.stack(short).mean()


def test_terms_and_gradients_are_those_of_the_trial() -> None:
    # Critics that do not learn, so that both see the same ones.
    settings = replace(SETTINGS, lr=1e-30)
    assert settings.pairs == PairWeights(3, 1, 40, 2, 0.15, 0.1, 0, 0.02, 0.3, 10, 20)
    trainer = PairedTrainer(settings, FACES, CPU)
    torch.manual_seed(0)
    trained = [each for each in trainer.generator.parameters() if each.requires_grad]
    for parameter in trained:  # the last layers start at 0
        torch.nn.init.normal_(parameter, std=0.05)
    torch.nn.init.normal_(trainer.result_critic.from_aus.weight)
    for critic in trainer.critics:
        critic.eval()  # spectral normalisation goes on iterating otherwise
    trainer.iteration = trainer._critic_iterations = 4
    batch = trainer.batch(4)
    terms, critics = plain_terms(trainer, batch)
    weights = {"reconstruction": 3, "moved": 1, "landmarks": 40, "matching": 2 * 4 / 1000}
    weights |= {"adversarial": 0.15 * 4 / 3000, "result_adversarial": 0.1 * 2 / 300}
    weights |= {"attention": 0.02, "fields": 0.3, "rest": 10, "folds": 20}
    loss = sum(weight * terms[name] for name, weight in weights.items())
    expected = torch.autograd.grad(loss, trained, retain_graph=True)
    of_critics = [p for critic in trainer.critics for p in critic.parameters()]
    critic_gradients = torch.autograd.grad(critics, of_critics)
    metrics = trainer.step()
    for name, term in terms.items():
        value = 1 - term if name == "attention" else term
        assert float(metrics[name]) == pytest.approx(value.item(), rel=1e-4, abs=1e-6), name
    both = metrics["critic_pairs"] + metrics["critic_results"]
    assert float(both) == pytest.approx(critics.item(), rel=1e-4)
    found = [p.grad for p in trained]
    for mine, reference in zip(found, expected, strict=True):
        assert (mine - reference).norm() <= 1e-3 * reference.norm() + 1e-6
    for parameter, reference in zip(of_critics, critic_gradients, strict=True):
        assert (parameter.grad - reference).norm() <= 1e-3 * reference.norm() + 1e-6


def test_a_face_that_is_asked_for_its_own_aus_comes_back_bit_for_bit(
    trainer: PairedTrainer,
) -> None:
    for _ in range(4):
        trainer.step()
    faces = trainer.batch(0).sources
    aus = FACES.aus[: len(faces)]
    with torch.no_grad():
        changes = trainer.averaged_generator(faces, aus, aus).changes()
    # The photograph keeps its own pixels, as nothing is moved and nothing is added.
    assert not any(change.difference.any() or change.flow.any() for change in changes)


def test_painting_is_limited_to_the_changes_of_pairs(trainer: PairedTrainer) -> None:
    limit = trainer.generator.painting_limit
    changes = torch.cat(
        [trainer.sampler.batch(i, CPU, SETTINGS.batch).change.abs() for i in range(60)]
    )
    assert ((limit > 0) & (limit < UNLIMITED)).all()
    assert ((changes > limit + 1e-6).float().mean(0) <= 0.05).all(), "1% but for chance"
    assert torch.equal(trainer.averaged_generator.painting_limit, limit), "it is saved"

    kept = trainer.generator
    kept.painting_limit.fill_(0.4)
    again = PairedTrainer(SETTINGS, FACES, CPU, initial_generator=lambda: kept)
    assert (again.generator.painting_limit == 0.4).all(), "that of the initial weights stays"


def test_a_resumed_training_ends_with_the_same_weights(trainer: PairedTrainer) -> None:
    half = PairedTrainer(SETTINGS, FACES, CPU)
    for _ in range(3):
        half.step()
    rest = start(SETTINGS, FACES, CPU)
    resume_from_state(rest, half.state_dict())
    for _ in range(2):
        rest.step()
    for _ in range(5):
        trainer.step()
    for name in ("generator", "pair_critic", "result_critic", "average"):
        assert torch.equal(state_of(getattr(trainer, name)), state_of(getattr(rest, name))), name


def test_few_aus_are_trained_alone() -> None:
    settings = replace(
        SETTINGS, generator=GeneratorSettings(8, aus=(4, 12), architecture="flow"), free_from=0.0
    )
    trainer = PairedTrainer(settings, FACES, CPU)
    unpaired = trainer.batch(0).unpaired
    assert unpaired is not None
    assert set(unpaired.change.nonzero()[:, 1].tolist()) <= {2, 8}, "AU4 and AU12"
    trainer.step()


# The settings


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"generator": GeneratorSettings(8)}, "--architecture flow"),
        ({"paired": 0.0}, "--paired"),
        ({"size": 72}, "multiple of 16"),
        ({"paired": 1.5}, "--paired"),
        ({"batch": 13}, "fewer than a batch"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(WrongUse, match=said):
        PairedTrainer(replace(SETTINGS, **changed), FACES, CPU)


# Whole runs


@pytest.fixture
def with_series(random_faces: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shards of 16 training faces in two series."""

    def load(folder: Path, split: str, size: int, most: int | None = None) -> Faces:
        faces = load_faces(folder, split, size, most)
        return replace(faces, series=[("one", "two")[n % 2] for n in range(len(faces))])

    for module in (run, dry_run):
        monkeypatch.setattr(module, "load_faces", load)
    return random_faces


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_ends_as_if_undisturbed(
    with_series: Path, tmp_path: Path
) -> None:
    generator = GeneratorSettings(8, aus=(4, 12), architecture="flow")
    settings = replace(SETTINGS, generator=generator, critic=CriticSettings(4))
    weights = run.train(with_series, tmp_path / "whole", settings, CPU)

    def stop(entry: dict[str, Any]) -> None:
        if entry["iteration"] == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        run.train(with_series, stopped, settings, CPU, callbacks=Callbacks(on_step=stop))
    run.train(with_series, stopped, settings, CPU)
    ended, again = (
        load_weights(path, "generator")[0] for path in (weights, stopped / weights.name)
    )
    assert not [name for name in ended if not torch.equal(ended[name], again[name])]
    one, again = (load_state(tmp_path / name / STATE) for name in ("whole", "stopped"))
    for part in ("generator", "average", "pair_critic", "result_critic"):
        assert all(torch.equal(one[part][name], again[part][name]) for name in one[part]), part

    trained, size = load_generator(weights)
    assert size == 64 and trained.reference.any()
    (gains,) = [entry["gains"] for entry in read_metrics(stopped) if "gains" in entry]
    torch.testing.assert_close(trained.gain, torch.tensor(gains), rtol=0, atol=1e-3)  # fp16
    assert "Flow error, pairs" in (stopped / "report.html").read_text()
    with Image.open(stopped / "grids" / "epoch-0002.png") as grid:
        assert grid.height == 8 * 64 + 16, "faces in the frame, of the size of the training"

    # From these weights, and from this run, another one starts.
    for init in (weights, stopped):
        other = start(settings, FACES, CPU, init)
        assert torch.equal(other.generator.reference, trained.reference) or init is stopped
    with pytest.raises(WrongUse, match="--paired"):
        start(replace(SETTINGS, paired=0.0, generator=GeneratorSettings(8)), FACES, CPU, weights)
    with pytest.raises(WrongUse, match="neither starts from the other"):
        unpaired = replace(SETTINGS, paired=0.0, generator=GeneratorSettings(8))
        start(replace(unpaired, critic=CriticSettings(4, 4)), FACES, CPU, stopped)


def test_a_dry_run_measures_unpaired_faces_too(
    with_series: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, step = [], PairedTrainer.step

    def seen(trainer: PairedTrainer) -> Any:
        steps.append("critic_results" in (metrics := step(trainer)))
        return metrics

    monkeypatch.setattr(PairedTrainer, "step", seen)
    plan = dry_run.measure(with_series, replace(SETTINGS, epochs=10), CPU)
    assert plan.generator_steps == plan.iterations == 40
    assert steps.count(True) == steps.count(False) >= 10


# Gains


def test_gains_are_measured_by_the_estimator(trainer: PairedTrainer) -> None:
    few = trainer.as_seen(FACES).subset(np.arange(3))
    gains = calibrated_gains(trainer.averaged_generator, few)
    assert gains.shape == (17,) and gains.min() >= 1
    assert (gains < torch.tensor(MAX_GAINS) + 1e-4).all()


@pytest.mark.parametrize(
    ("rises", "step"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 3),
        ([0.5, 0.6, 0.7], 0),
        ([0.1, 0.2, 0.3], 2),
        ([0.1, 0.3, 0.2, 0.1], 1),
        ([0.1, 0.3, 0.45, 0.42, 0.39, 0.3], 2),
        ([0.0, 0.0, 0.0], 0),
        ([0.2], 0),
    ],
)
def test_a_gain_is_the_lowest_that_is_enough_or_the_best(rises: list[float], step: int) -> None:
    assert lowest_enough(rises.__getitem__, len(rises) - 1) == step


def test_of_many_gains_few_are_read() -> None:
    read: set[int] = set()

    def rise(step: int) -> float:
        read.add(step)
        return step / 40

    assert lowest_enough(rise, 31) == 16
    assert len(read) <= 6
    read.clear()
    assert lowest_enough(rise, 15) == 15 and len(read) == 2
