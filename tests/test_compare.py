"""The comparison of models: StarGAN's training, budgets, and the commands of bench/compare.py."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from tiny import TINY, random_shards, smooth_faces

from ganim.bench.compare import main
from ganim.bench.comparison import measure, stargan, tables, train
from ganim.bench.comparison.budget import Budget, within
from ganim.bench.comparison.models import ABLATIONS, MODELS, reference, small, trained
from ganim.bench.comparison.stargan import CLASSES, PROTOTYPES, StarGANTrainer, classes_of
from ganim.model.animation.animator import faces_of_crops
from ganim.model.checkpoint import load_weights
from ganim.model.networks.generator import Generator
from ganim.model.training.log import read_metrics
from ganim.model.training.paired_trainer import PairedTrainer
from ganim.model.training.trainer import Trainer
from ganim.pipeline.action_units import NUMBERS
from ganim.pipeline.errors import WrongUse

CPU = torch.device("cpu")
FACES = smooth_faces(12, 64)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of smooth random crops with random AUs, in series of six."""
    folder = tmp_path_factory.mktemp("series")
    random_shards(folder, {"train": 24, "test": 12}, size=96, in_series=6)
    return folder


def compare(*words: object) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


# StarGAN


def test_a_face_has_the_class_whose_aus_are_nearest_and_a_blink_changes_none() -> None:
    assert classes_of(PROTOTYPES).tolist() == list(range(len(CLASSES)))
    blinking = PROTOTYPES.clone()
    blinking[:, NUMBERS.index(45)] = 1
    assert classes_of(0.8 * blinking).tolist() == list(range(len(CLASSES)))
    smile = torch.zeros(1, 17)
    smile[0, [NUMBERS.index(6), NUMBERS.index(12)]] = 0.6
    assert CLASSES[classes_of(smile)] == "happy"


def test_the_generator_of_stargan_sees_the_label_alone() -> None:
    generator = stargan.LabelGenerator(TINY.generator)
    faces = torch.rand(2, 3, 64, 64)
    happy, stronger, sad = PROTOTYPES[[1, 1]], 1.2 * PROTOTYPES[[1, 1]], PROTOTYPES[[2, 2]]
    with torch.inference_mode():
        masks = generator(faces, happy)
        assert torch.equal(masks.colour, generator(faces, stronger).colour)
        assert not torch.equal(masks.colour, generator(faces, sad).colour)
    assert torch.equal(masks.blend(), masks.colour), "no attention"


def test_stargan_minimises_the_losses_of_its_paper() -> None:
    trainer = StarGANTrainer(replace(TINY, au_noise=0.0), FACES, CPU)
    batch = trainer.sampler.batch(0, CPU)
    generated = trainer.generator(batch.faces, batch.target_aus)
    fakes = generated.blend()

    def step(network: str) -> tuple[dict, dict]:
        """The terms, and the gradients that a step of a network has used."""
        terms = (
            trainer._critic_step(batch, fakes.detach())
            if network == "critic"
            else trainer._generator_step(batch, generated, fakes)
        )
        weights = getattr(trainer, network).named_parameters()
        return terms, {name: weight.grad.clone() for name, weight in weights}

    critic = trainer.critic
    real_scores, real_logits = critic(batch.faces)
    fake_scores, _ = critic(fakes.detach())
    between = batch.alpha[:, None, None, None] * batch.faces
    between = between + (1 - batch.alpha)[:, None, None, None] * fakes.detach()
    between.requires_grad_(True)
    (slope,) = torch.autograd.grad(
        critic(between).scores.mean((1, 2, 3)).sum(), between, create_graph=True
    )
    penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    loss = 0.25 * (fake_scores.mean() - real_scores.mean()) + 10 * penalty
    loss = loss + F.cross_entropy(real_logits, classes_of(batch.own_aus))
    expected = torch.autograd.grad(loss, list(critic.parameters()))
    _, used = step("critic")
    for gradient, mine in zip(expected, used.values(), strict=True):
        assert torch.allclose(gradient, mine, atol=1e-5, rtol=1e-3)

    scores, logits = critic(fakes)
    back = trainer.generator(fakes, batch.own_aus).blend()
    loss = -0.25 * scores.mean() + F.cross_entropy(logits, classes_of(batch.target_aus))
    loss = loss + 10 * (back - batch.faces).abs().mean()
    expected = torch.autograd.grad(loss, list(trainer.generator.parameters()), retain_graph=True)
    terms, used = step("generator")
    for gradient, mine in zip(expected, used.values(), strict=True):
        assert torch.allclose(gradient, mine, atol=1e-5, rtol=1e-3)
    assert all(weight.requires_grad for weight in critic.parameters())
    assert set(terms) == {"adversarial", "classes", "cycle"}


def test_the_critic_of_stargan_learns_to_name_expressions() -> None:
    faces = replace(FACES, aus=PROTOTYPES[torch.arange(len(FACES)) % 3])
    trainer = StarGANTrainer(replace(TINY, epochs=100, lr=1e-3), faces, CPU)
    errors = [float(trainer.step()["critic_classes"]) for _ in range(40)]
    assert np.mean(errors[-5:]) < 0.7 * np.mean(errors[:5])


# Budgets


def test_the_learning_rate_falls_by_the_share_of_the_budget() -> None:
    budget = Budget(iterations=100)
    settings = replace(TINY, epochs=3, decay_epochs=1)
    trainer = within(budget, Trainer)(settings, FACES, CPU)
    rates = []
    for budget.used_iterations in (0, 66, 84, 100):
        rates.append(trainer.learning_rate / settings.lr)
    assert rates == pytest.approx([1, 1, 0.48, 0])
    seconds = Budget(seconds=60)
    seconds.used_seconds = 45
    assert seconds.share == 0.75


def test_unpaired_faces_come_at_their_share_of_the_budget(series: Path, tmp_path: Path) -> None:
    train.train("pairs", series, tmp_path, Budget(iterations=10), CPU, is_small=True)
    with_free = [entry["iteration"] for entry in read_metrics(tmp_path)
                 if "critic_results" in entry]  # fmt: skip
    assert with_free == [8, 9, 10]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stargan", "pairs"])
def test_a_training_that_was_stopped_ends_as_one_that_was_not(
    name: str, series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    def stop_at(share: float, rate: float) -> None:
        if share >= 0.6:
            raise Stop

    monkeypatch.setattr(train, "_SAVE_SECONDS", 0.0)
    with pytest.raises(Stop):
        train.train(name, series, tmp_path / "b", Budget(iterations=5), CPU, 3, None, True, stop_at)
    assert not (tmp_path / "b" / "generator.safetensors").exists()
    with pytest.raises(WrongUse, match="seed=3, and this command says 4"):
        train.train(name, series, tmp_path / "b", Budget(iterations=5), CPU, 4, None, True)
    # As in runs from before `most` was kept; and the state that was written last is damaged.
    state = torch.load(tmp_path / "b" / "state.pt")
    del state["asked"]["most"]
    torch.save(state, tmp_path / "b" / "state-previous.pt")
    (tmp_path / "b" / "state.pt").write_bytes(b"damaged")
    for folder in ("a", "b"):
        done = train.train(
            name, series, tmp_path / folder, Budget(iterations=5), CPU, 3, None, True
        )
        assert done["iterations"] == 5 and done["asked"]["model"] == name
    one, other = (
        load_weights(tmp_path / folder / "generator.safetensors", "generator")[0]
        for folder in ("a", "b")
    )
    assert all(torch.equal(one[key], other[key]) for key in one)
    logs = [read_metrics(tmp_path / folder) for folder in ("a", "b")]
    assert [e["iteration"] for e in logs[0]] == [e["iteration"] for e in logs[1]] == [1, 2, 3, 4, 5]
    left = {path.name for path in (tmp_path / "b").iterdir()}
    assert left == {"generator.safetensors", "metrics.jsonl", "run.json"}
    with pytest.raises(WrongUse, match="most=None, and this command says 20"):
        train.train(name, series, tmp_path / "b", Budget(iterations=5), CPU, 3, 20, True)


@pytest.mark.slow
def test_a_training_is_measured_at_a_share_of_its_budget_and_goes_on(
    series: Path, tmp_path: Path
) -> None:
    def weights(folder: str, until: float = 1.0) -> dict[str, torch.Tensor]:
        budget = Budget(iterations=10)
        done = train.train(
            "ganimation", series, tmp_path / folder, budget, CPU, is_small=True, until=until
        )
        assert done["share"] == until and done["iterations"] == 10 * until
        return load_weights(tmp_path / folder / "generator.safetensors", "generator")[0]

    half = weights("a", until=0.5)
    assert weights("a", until=0.5).keys() == half.keys()
    (in_parts, at_once) = weights("a"), weights("b")
    assert all(torch.equal(in_parts[key], at_once[key]) for key in at_once)
    assert any(not torch.equal(half[key], at_once[key]) for key in at_once)
    assert not (tmp_path / "a" / "state.pt").exists()
    early = json.loads((tmp_path / "a" / "run.json").read_text())
    del early["share"]
    (tmp_path / "a" / "run.json").write_text(json.dumps(early))
    again = train.train("ganimation", series, tmp_path / "a", Budget(iterations=10), CPU,
                        is_small=True)  # fmt: skip
    assert again == early, "a finished run from before is not trained again"


def test_time_ends_a_training_too(series: Path, tmp_path: Path) -> None:
    done = train.train(
        "no-attention", series, tmp_path, Budget(seconds=0.3), CPU, is_small=True, most=20
    )
    assert done["iterations"] >= 1 and done["seconds"] >= 0.3


# The commands


@pytest.mark.slow
def test_every_model_trains_and_animates(series: Path, tmp_path: Path) -> None:
    options = ["--shards", series, "--out", tmp_path, "--iterations", 1, "--small", "--device"]
    said = compare("train", *options, "cpu", *(f"--only={name}" for name in MODELS))
    crop = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    for name in MODELS:
        assert f"{name}-0: 1 iterations" in said
        animator = trained(name, tmp_path / f"{name}-0" / "generator.safetensors")
        assert animator.renderer.size == 64
        target = np.full((1, 17), 0.7, np.float32)
        made = animator.render_batch([crop], faces_of_crops(np.zeros((1, 17))), target)
        assert made.pictures[0].shape == crop.shape
        record = json.loads((tmp_path / f"{name}-0" / "run.json").read_text())
        assert record["generator_iterations"] == 1 and record["parameters"] > 0
    assert said == compare("train", *options, "cpu"), "nothing is done twice"


def test_references_copy_and_move() -> None:
    crop = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    faces, target = faces_of_crops(np.zeros((1, 17))), np.full((1, 17), 0.7, np.float32)
    made = {
        name: reference(name).render_batch([crop], faces, target)
        for name in ("copy", "moved", "shipped")
    }
    assert np.array_equal(made["copy"].pictures[0], crop)
    assert (made["moved"].attention == 1).all() and (made["shipped"].attention < 1).any()
    assert not np.array_equal(made["moved"].pictures[0], crop)
    network = reference("moved").renderer.network  # type: ignore[attr-defined]
    with torch.inference_mode():
        masks = network(torch.zeros(1, 3, 160, 160), torch.ones(1, 17), torch.zeros(1, 17))
    assert masks.blur is None and masks.flow is not None


def test_the_models_differ_from_the_published_one_as_they_say() -> None:
    published = MODELS["ganimation"].settings
    assert published.generator.attention and not MODELS["no-attention"].settings.generator.attention
    assert MODELS["no-attention-loss"].settings.weights.attention == 0
    assert MODELS["adain"].settings.generator.conditioning == "adain"
    for model in MODELS.values():
        model.settings.validate()
        small(model.settings).validate()
    assert isinstance(Generator(MODELS["adain"].settings.generator), Generator)


def test_ablations_leave_out_their_part() -> None:
    clips = [name and f"clip_{name}" for name in ["a"] * 4]
    faces = smooth_faces(16, 96)
    faces = replace(faces, series=["b"] * 4 + ["c"] * 4 + clips + [None] * 4)

    def trainer(name: str) -> PairedTrainer:
        model = ABLATIONS[name]
        settings = replace(small(model.settings), batch=4, free_from=0.0)
        made = model.trainer(settings, faces, CPU)
        assert isinstance(made, PairedTrainer)
        return made

    assert not trainer("no-nuisance").batch(0).nuisance.any()
    assert trainer("no-matching").batch(0).nuisance.any()
    without_fields = trainer("no-fields")
    for _ in range(3):
        metrics = without_fields.step()
    assert metrics["fields"] == 0 and metrics["rest"] > 0
    assert set(trainer("no-unpaired").faces.series) == {"b", "c", "clip_a"}
    assert set(trainer("no-clips").faces.series) == {"b", "c", None}
    assert ABLATIONS["no-free"].settings.free_from == 1
    assert ABLATIONS["no-landmarks"].settings.pairs.landmarks == 0
    assert ABLATIONS["no-matching"].settings.pairs.matching == 0


# Measures


@pytest.fixture(scope="module")
def one_run(series: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run of a tiny published model."""
    out = tmp_path_factory.mktemp("runs")
    budget = Budget(iterations=1)
    train.train("ganimation", series, out / "ganimation-0", budget, CPU, is_small=True)
    return out


@pytest.mark.slow
def test_models_are_measured_once_and_copying_changes_nothing(
    series: Path, one_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "REFERENCES", {"copy": "Copying"})
    command = ["evaluate", "--shards", series, "--out", one_run, "--faces", 3]
    said = compare(*command, "--critic-steps", 0, "--device", "cpu")
    trained_row, copying = json.loads((one_run / "results.json").read_text())
    assert trained_row["title"] == "GANimation as published"
    assert trained_row["run"]["iterations"] == 1 and copying["run"] is None
    assert copying["metrics"]["expression_distance_ratio"] == pytest.approx(1, abs=0.02)
    assert copying["metrics"]["pairs_l1_ratio"] == 1
    assert copying["metrics"]["identity_distance"] == 0
    assert abs(copying["metrics"]["increase"]) < 0.02
    assert trained_row["metrics"]["identity_distance"] > 0
    text = (one_run / "results.md").read_text()
    assert text in said and "| Copying | - | - |" in text and "fresh critic" not in text

    def measured_again(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(measure, "evaluate_generator", measured_again)
    before = (one_run / "results.json").read_text()
    compare(*command, "--critic-steps", 0, "--device", "cpu")
    assert (one_run / "results.json").read_text() == before
    with pytest.raises(AssertionError):
        compare("evaluate", "--shards", series, "--out", one_run, "--faces", 4,
                "--critic-steps", 0, "--device", "cpu")  # fmt: skip
    monkeypatch.setattr(measure, "_VERSION", measure._VERSION + 1)
    with pytest.raises(AssertionError):
        compare(*command, "--critic-steps", 0, "--device", "cpu")


def test_two_seeds_are_two_rows(one_run: Path) -> None:
    row = {"title": "A", "run": None, "parameters": 2_500_000, "metrics": {"fid": None}}
    again = row | {"title": "A, seed 1", "metrics": {"fid": 12.34}}
    first, second = tables.as_markdown([row, again]).split("\n\n")
    assert "| A | 2.5 |" in first and "| A, seed 1 | 12.3 |" in second and "| A | - |" in second


def test_a_folder_without_runs_is_refused(series: Path, tmp_path: Path) -> None:
    words = ["evaluate", "--shards", str(series), "--out", str(tmp_path), "--device", "cpu"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and "holds no finished run" in done.output


@pytest.mark.slow
def test_one_command_trains_measures_and_writes_the_page(
    series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "REFERENCES", {"copy": "Copying"})
    said = compare("all", "--shards", series, "--out", tmp_path, "--iterations", 1, "--small",
                   "--only", "stargan", "--only", "adain", "--faces", 2, "--critic-steps", 0,
                   "--questions", 2, "--device", "cpu")  # fmt: skip
    assert "| StarGAN, eight expressions |" in said
    titles = [row["title"] for row in json.loads((tmp_path / "results.json").read_text())]
    assert titles == ["StarGAN, eight expressions", "GANimation by AdaIN", "Copying"]
    page = (tmp_path / "preference.html").read_text()
    assert page.count("data:image/jpeg") == 8 and "Copying" not in page
