"""The trainer: it learns, it resumes to the bit, and says what is wrong with its input."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from ganim.model.checkpoint import load_state
from ganim.model.config import CriticSettings, GeneratorSettings, LossWeights
from ganim.model.data import load_faces
from ganim.model.networks.load import load_generator
from ganim.model.pixels import to_model
from ganim.model.training import losses
from ganim.model.training.export import save_generator
from ganim.model.training.log import METRICS, read_metrics
from ganim.model.training.perceptual import Perceptual
from ganim.model.training.resume import resume_from_state, start
from ganim.model.training.run import train
from ganim.model.training.run_folder import BEST, Callbacks
from ganim.model.training.trainer import PREVIOUS_STATE, STATE, WEIGHTS, Trainer
from ganim.model.training.views import coarsened
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.errors import NothingUsable, WrongUse

CPU = torch.device("cpu")
TINY = replace(tiny.TINY, epochs=4, decay_epochs=2, critic_steps=2)


@pytest.fixture
def folder(random_faces, tmp_path):
    """A copy of the random faces that a test may change."""
    return shutil.copytree(random_faces, tmp_path / "shards")


@pytest.fixture(scope="module")
def finished(random_faces, tmp_path_factory):
    """The run folder of a finished training, which tests do not change."""
    run = tmp_path_factory.mktemp("finished") / "run"
    train(random_faces, run, TINY, tensorboard=True)
    return run


def trainer(folder, settings=TINY):
    return Trainer(settings, load_faces(folder, "train", settings.size), torch.device("cpu"))


def test_coarse_faces_keep_broad_stripes_and_lose_fine_ones_and_colour():
    across = torch.arange(96)
    fine, broad = ((across // period % 2 * 2.0 - 1).expand(1, 3, 96, 96) for period in (1, 24))
    crops = torch.cat([fine, broad, fine, broad])
    seen = coarsened(crops, torch.tensor([True, True, False, False]))
    assert seen[0].std() < 0.35 and seen[1].std() > 0.9
    assert torch.equal(seen[2:], crops[2:])
    red = torch.tensor([1.0, -1.0, -1.0])[None, :, None, None].expand(1, 3, 96, 96)
    assert torch.allclose(coarsened(red, torch.tensor([True])), torch.tensor(-1 / 3))


@pytest.mark.slow
def test_critic_learns_the_aus_of_few_faces(folder):
    one = trainer(folder, replace(TINY, epochs=40, lr=1e-3, critic_steps=1000))
    errors = [one.step()["critic_aus"].item() for _ in range(one.iterations)]
    assert np.mean(errors[-8:]) < 0.5 * np.mean(errors[:8])


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_resumed_run_equals_an_undisturbed_one_to_the_bit(folder, tmp_path):
    whole = trainer(folder)
    for _ in range(8):
        whole.step()
    half = trainer(folder)
    for _ in range(5):
        half.step()
    state = half.state_dict()
    torch.save(state, tmp_path / "state.pt")
    rest = trainer(folder)
    resume_from_state(rest, load_state(tmp_path / "state.pt"))
    for _ in range(3):
        rest.step()
    for name in ("generator", "critic", "average"):
        assert same(getattr(whole, name).state_dict(), getattr(rest, name).state_dict()), name


def train_command(folder, run):
    command = [sys.executable, "-m", "ganim.cli", "train", str(folder), "--size", "64"]
    command += ["--width", "8", "--blocks", "1", "--critic-width", "8", "--critic-layers", "4"]
    command += ["--batch", "2", "--epochs", "6", "--decay-epochs", "2"]
    command += ["--precision", "fp32", "--device", "cpu"]
    return [*command, "--run", str(run)]


@pytest.fixture(scope="module")
def undisturbed(random_faces, tmp_path_factory):
    """The run folder of a command that was not stopped."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    subprocess.run(train_command(random_faces, run), check=True, capture_output=True)
    return run


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_stopped_command_goes_on_and_ends_as_if_undisturbed(
    random_faces, undisturbed, tmp_path, how
):
    run = tmp_path / "killed"
    command = train_command(random_faces, run)
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 300  # a busy machine takes its time to import torch
    while not (run / STATE).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, how)
    assert process.wait(60) == (-how if how == signal.SIGKILL else 130)
    assert load_state(run / STATE)["iteration"] < 48, "it was killed too late to show anything"
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0 and "done before" in again.stderr

    whole, killed = (load_state(folder / STATE) for folder in (undisturbed, run))
    assert same(whole["generator"], killed["generator"])
    assert same(whole["average"], killed["average"])
    curves = [
        [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
        for folder in (undisturbed, run)
    ]
    for line in (*curves[0], *curves[1]):
        for of_the_clock in ("seconds", "photographs_per_second"):
            line.pop(of_the_clock, None)
    assert curves[0] == curves[1]


def test_a_damaged_state_gives_way_to_the_one_before(folder, finished, tmp_path):
    run, words = shutil.copytree(finished, tmp_path / "run"), []
    end = load_state(run / STATE)
    (run / STATE).write_bytes(b"damaged")
    train(folder, run, TINY, callbacks=Callbacks(on_message=words.append))
    assert words == [
        f"{run / STATE} is damaged: resuming from the state before it, of iteration 12."
    ]
    again = load_state(run / STATE)
    assert again["iteration"] == 16 and same(end["generator"], again["generator"])

    for name in (STATE, PREVIOUS_STATE):
        (run / name).write_bytes(b"damaged")
    with pytest.raises(WrongUse, match="to start again"):
        train(folder, run, TINY)


def test_a_full_disk_loses_nothing(folder, finished, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(folder, run, TINY, callbacks=stopping_at(8))
    before = (run / STATE).read_bytes()
    with file_size_limited(len(before) // 2), pytest.raises(WrongUse, match="make room"):
        train(folder, run, TINY)
    assert (run / STATE).read_bytes() == before
    assert not list(run.glob(".*"))
    train(folder, run, TINY)
    ends = [load_state(folder / STATE)["generator"] for folder in (run, finished)]
    assert same(*ends)


def stopping_at(iteration):
    """Callbacks that send SIGTERM at an iteration."""

    def listen(figures):
        if figures["iteration"] == iteration:
            os.kill(os.getpid(), signal.SIGTERM)

    return Callbacks(on_step=listen)


@contextmanager
def file_size_limited(size):
    """No file may grow beyond `size` bytes: to those who write it looks like a full disk. Python
    writes no bytecode, which would be shortened, and no later process could read it."""
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = written


def test_losses_that_are_no_numbers_stop_a_run_and_leave_its_last_state(
    folder, tmp_path, monkeypatch
):
    run, aus, calls = tmp_path / "run", losses.au_loss, []

    def poisoned(*arguments):
        calls.append(None)
        return aus(*arguments) * (float("nan") if len(calls) > 36 else 1)

    monkeypatch.setattr(losses, "au_loss", poisoned)
    with pytest.raises(
        NothingUsable, match=r"\(NaN\) at iteration 13\. .*iteration 12, .*--lr lower"
    ):
        train(folder, run, TINY)
    state = load_state(run / STATE)
    assert state["iteration"] == 12
    assert all(value.isfinite().all() for value in state["generator"].values())
    assert (run / "report.html").exists()


@pytest.mark.slow
def test_early_stop_keeps_the_best_epoch(folder, tmp_path):
    """With a rate of nearly nothing the first epoch stays the best."""
    settings = replace(TINY, lr=1e-30, epochs=9)
    weights = train(folder, tmp_path / "run", settings, patience=2)
    assert weights.name == BEST
    assert load_state(tmp_path / "run" / STATE)["iteration"] == 3 * 4
    train(folder, tmp_path / "run", settings, patience=2)  # and again: it had enough
    assert load_state(tmp_path / "run" / STATE)["iteration"] == 3 * 4
    train(folder, tmp_path / "run", settings, patience=3)
    assert load_state(tmp_path / "run" / STATE)["iteration"] == 4 * 4


def test_early_stop_needs_test_faces(folder, tmp_path):
    next(folder.glob("test-*")).unlink()
    with pytest.raises(WrongUse, match="--test-fraction"):
        train(folder, tmp_path / "run", TINY, patience=2)
    train(folder, tmp_path / "run", replace(TINY, epochs=1, decay_epochs=0))
    assert "test_aus" not in (tmp_path / "run" / METRICS).read_text()


def with_rows(folder, change):
    """The training shard with its rows changed."""
    path = folder / "train-00000.parquet"
    rows = shards.read_shard(path).to_pylist()
    shards.write_shard(path, shards.rows_to_table(change(rows)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: [row | dict.fromkeys(COLUMNS) for row in rows], "ganim annotate"),
        (lambda rows: [row | {"AU45_r": None} for row in rows], "has action units yet"),
        (lambda rows: [row | dict.fromkeys(COLUMNS, 1.0) for row in rows], "All 16 faces have"),
        (lambda rows: rows[:1], "only one face"),
        (lambda rows: rows[:3], "--batch 3"),
    ],
    ids=["no AUs", "an AU null", "constant", "one face", "few faces"],
)
def test_faces_that_teach_nothing_are_refused_in_a_sentence(folder, tmp_path, change, said):
    with_rows(folder, change)
    with pytest.raises(WrongUse, match=said):
        train(folder, tmp_path / "run", TINY)
    assert not (tmp_path / "run").exists()


def test_an_au_that_never_changes_is_told_of(folder, tmp_path):
    with_rows(folder, lambda rows: [row | {"AU45_r": 0.0} for row in rows])
    words = []
    train(
        folder,
        tmp_path / "run",
        replace(TINY, epochs=1, decay_epochs=0),
        callbacks=Callbacks(on_message=words.append),
    )
    assert words == ["AU45 is the same in every face: the generator cannot learn it."]


VARIATIONS = {
    "no attention": {"attention": False},
    "not affine": {"affine": False},
    "not affine, adain": {"affine": False, "conditioning": "adain"},
    "relative": {"relative": True},
    "relative, adain": {"relative": True, "conditioning": "adain"},
    "motion": {"motion": True},
}


def test_the_perceptual_loss_sees_faces_and_trains_the_generator_alone(folder):
    faces = load_faces(folder, "train", 64)
    pictures = to_model(faces.images[:4]).requires_grad_(True)
    distance = Perceptual()
    assert distance(pictures, pictures).item() == pytest.approx(0, abs=1e-6)
    apart = distance(pictures, pictures.detach().flip(0))
    apart.backward()
    assert 0 < apart.item() < 4 and pictures.grad.abs().max() > 0
    one = trainer(folder, replace(TINY, weights=LossWeights(perceptual=1.0)))
    assert one.step()["perceptual"] > 0
    assert not [name for name in one.state_dict()["generator"] if "stages" in name]


@pytest.mark.parametrize("variation", VARIATIONS.values(), ids=VARIATIONS)
def test_variations_train_and_travel_with_the_weights(folder, tmp_path, variation):
    settings = replace(TINY, generator=replace(TINY.generator, **variation))
    one = trainer(folder, settings)
    before = {name: value.clone() for name, value in one.generator.state_dict().items()}
    for _ in range(2):
        figures = one.step()
        assert all(value.isfinite() for value in figures.values())
    assert not same(before, one.generator.state_dict())
    save_generator(one, tmp_path / "generator.safetensors")
    loaded, _ = load_generator(tmp_path / "generator.safetensors")
    assert loaded.settings == settings.generator


def test_a_state_from_before_a_setting_existed_has_its_default(folder):
    one = trainer(folder)
    state = one.state_dict()
    del state["settings"]["generator"]["relative"], state["settings"]["single_au"]
    resume_from_state(trainer(folder), state)
    del state["settings"]["seed"]
    with pytest.raises(WrongUse, match="seed=0, this command says 1"):
        resume_from_state(trainer(folder, replace(TINY, seed=1)), state)


def test_metrics_of_version_0_1_are_read_by_the_names_of_the_terms(folder):
    previous = Path(__file__).parent / "data" / "previous" / "run"
    lines = [json.loads(text) for text in (previous / METRICS).read_text().splitlines()]
    trained = [index for index, line in enumerate(lines) if "critic" in line]
    assert trained
    names = {"critic": "critic_adversarial", "penalty": "gp", "smoothness": "tv"}
    names |= {"generator": "adversarial", "generator_aus": "aus"}
    for index in trained:
        line = read_metrics(previous)[index]
        assert not names.keys() & line.keys()
        assert all(line[name] == lines[index][earlier] for earlier, name in names.items())
        assert {"critic_aus", "copy_aus", "attention", "cycle"} <= line.keys()
    # A run that was stopped between two lines of its log has such metrics in its state.
    state = trainer(folder).state_dict()
    state["unlogged"] = {name: torch.ones(2) for name in ("critic_aus", *names)}
    resumed = trainer(folder)
    resume_from_state(resumed, state)
    assert set(resumed.unlogged) == {"critic_aus", *names.values()}


def test_run_folder_holds_what_a_person_wants(finished):
    assert (finished / WEIGHTS).exists()
    pictures = sorted((finished / "grids").glob("*.png"))
    assert [picture.name for picture in pictures[:2]] == ["epoch-0001-aus.png", "epoch-0001.png"]
    assert len(pictures) == 2 * 4
    # 17 AUs by 4 levels; 8 faces by input, attention, colour, AU12, its way back, 3 more edits
    sizes = [Image.open(picture).size for picture in pictures[:2]]
    assert sizes == [(17 * 64, 4 * 64 + 16), (8 * 64, 8 * 64 + 16)]
    assert json.loads((finished / "settings.json").read_text())["batch"] == 4
    assert not list(finished.glob(".*"))
    lines = read_metrics(finished)
    assert [line["iteration"] for line in lines if "critic_adversarial" in line] == [4, 8, 12, 16]
    measured = [line for line in lines if "test_aus" in line]
    assert [line["iteration"] for line in measured] == [4, 8, 12, 16]
    assert len({line["test_aus_copy"] for line in measured}) == 1

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished / "tensorboard")).Reload()
    steps = [(event.step, event.value) for event in events.Scalars("test_aus")]
    assert steps == [(line["iteration"], pytest.approx(line["test_aus"])) for line in measured]


def test_other_settings_are_refused_by_name(folder, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    with pytest.raises(WrongUse, match="lr="):
        train(folder, tmp_path / "run", replace(TINY, lr=1e-3))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (replace(TINY, size=60), "at least 64"),
        (replace(TINY, size=66), "multiple of 4"),
        (replace(TINY, batch=17), "--batch 16"),
        (replace(TINY, decay_epochs=5), "--decay-epochs"),
        (replace(TINY, critic=CriticSettings(8, 7)), "at most 6"),
    ],
)
def test_settings_out_of_range_are_refused(folder, tmp_path, settings, said):
    with pytest.raises(WrongUse, match=said):
        train(folder, tmp_path / "run", settings)


def test_init_starts_from_weights_and_leaves_them_slowly(folder, finished):
    weights = finished / WEIGHTS
    faces = load_faces(folder, "train", 64)
    first = start(TINY, faces, CPU, init=weights)
    before = {name: value.clone() for name, value in first.average.module.state_dict().items()}
    first.step()
    after = first.average.module.state_dict()
    moved = max((after[name] - before[name]).abs().max().item() for name in before)
    assert 0 < moved < 1e-6
    with pytest.raises(WrongUse, match="width"):
        start(replace(TINY, generator=GeneratorSettings(16, 1)), faces, CPU, weights)


def test_a_run_goes_on_from_another_with_its_critic(folder, finished):
    faces = load_faces(folder, "train", 64)
    other = replace(TINY, lr=1e-3, epochs=2, decay_epochs=0)
    second = start(other, faces, CPU, init=finished)
    state = load_state(finished / STATE)
    assert second.iteration == 0
    assert same(second.critic.state_dict(), state["critic"])
    assert same(second.average.state_dict(), state["average"])
    second.step()
    assert second.critic_adam.param_groups[0]["lr"] == 1e-3
    with pytest.raises(WrongUse, match="critic"):
        wider = replace(TINY, critic=CriticSettings(16, 4))
        start(wider, faces, CPU, init=finished)


def test_a_run_starts_from_the_state_before_a_damaged_one_of_another(folder, finished, tmp_path):
    source, faces = shutil.copytree(finished, tmp_path / "source"), load_faces(folder, "train", 64)
    (source / STATE).write_bytes(b"damaged")
    words = []
    trainer = start(TINY, faces, CPU, init=source, on_message=words.append)
    assert words == [f"{source / STATE} is damaged: starting from the state before it."]
    assert same(trainer.critic.state_dict(), load_state(source / PREVIOUS_STATE)["critic"])
    (source / PREVIOUS_STATE).write_bytes(b"damaged")
    with pytest.raises(WrongUse, match="generator alone") as refused:
        start(TINY, faces, CPU, init=source)
    assert "delete" not in str(refused.value)


def test_a_run_goes_on_at_another_size(folder, finished, tmp_path):
    larger = replace(TINY, size=96, epochs=1, decay_epochs=0)
    faces = load_faces(folder, "train", 96)
    second = start(larger, faces, CPU, init=finished)
    state = load_state(finished / STATE)
    assert same(second.average.state_dict(), state["average"])
    assert torch.equal(second.critic.to_realism.weight, state["critic"]["to_realism.weight"])
    assert second.step()["aus"].isfinite()
    _, size = load_generator(train(folder, tmp_path / "second", larger, init=finished))
    assert size == 96


def test_aus_of_two_annotators_are_refused(folder, tmp_path):
    path = folder / "train-00000.parquet"
    rows = shards.read_shard(path).to_pylist()
    for number, row in enumerate(rows):
        row["annotator"] = f"annotator {number % 2}"
    shards.write_shard(path, shards.rows_to_table(rows))
    with pytest.raises(WrongUse, match="annotator 0 and by annotator 1"):
        train(folder, tmp_path / "run", TINY)
