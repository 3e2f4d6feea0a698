"""The trainer: it learns, it resumes to the bit, and says what is wrong with its input."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from ganim.model.checkpoint import load_state
from ganim.model.critic import CriticSettings
from ganim.model.data import Faces, load_faces
from ganim.model.generator import GeneratorSettings
from ganim.model.run import METRICS, train
from ganim.model.training import STATE, Trainer, TrainSettings
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.cutting import encode_jpeg
from ganim.pipeline.errors import WrongUse

TINY = TrainSettings(
    size=64,
    batch=4,
    epochs=4,
    decay_epochs=2,
    critic_steps=2,
    precision="fp32",
    generator=GeneratorSettings(8, 1),
    critic=CriticSettings(8, 4),
)


@pytest.fixture
def folder(tmp_path):
    """Shards of 24 smooth random crops with random AUs, 16 to train on."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 8)):
        rows = []
        for number in range(count):
            crop = draw.integers(0, 255, (4, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1)
            row = {
                "key": f"{split}{number}#0",
                "source": f"{split}{number}",
                "image": {"bytes": encode_jpeg(crop), "path": None},
                "status": shards.OK,
            }
            rows.append(row | {name: float(draw.uniform(0, 5)) for name in COLUMNS})
        path = tmp_path / "shards" / f"{split}-00000.parquet"
        path.parent.mkdir(exist_ok=True)
        shards.write_shard(path, shards.rows_to_table(rows))
    return tmp_path / "shards"


def trainer(folder, settings=TINY):
    return Trainer(settings, load_faces(folder, "train", settings.size), torch.device("cpu"))


def test_every_face_is_seen_once_an_epoch(folder):
    faces = load_faces(folder, "train", 64)
    marked = Faces(faces.images, torch.arange(16.0)[:, None] / 100 + torch.zeros(1, 17), *([],) * 2)
    marked = Faces(marked.images, marked.aus, faces.keys, faces.sources)
    one = Trainer(TINY, marked, torch.device("cpu"))
    epochs = []
    for _ in range(2):
        seen = []
        for _ in range(one.iterations_per_epoch):
            _, own, _ = one._batch(torch.Generator().manual_seed(0))
            seen += (own[:, 0] * 100).round().int().tolist()
            one.iteration += 1
        assert sorted(seen) == list(range(16))
        epochs.append(seen)
    assert epochs[0] != epochs[1]


def test_targets_are_clamped(folder):
    _, _, targets = trainer(folder, replace(TINY, au_noise=0.9))._batch(torch.Generator())
    assert targets.min() >= 0 and targets.max() <= 1


def test_a_share_of_the_targets_changes_one_au(folder):
    one = trainer(folder, replace(TINY, single_au=0.5, batch=16))
    changes = []
    for seed in range(20):
        _, own, targets = one._batch(torch.Generator().manual_seed(seed))
        changes += ((own - targets).abs() > 1e-6).sum(1).tolist()
    assert 100 < changes.count(1) < 220, "of 320"
    single = trainer(folder, replace(TINY, single_au=1.0))
    _, own, targets = single._batch(torch.Generator().manual_seed(0))
    assert ((own != targets).sum(1) <= 1).all()
    with pytest.raises(WrongUse, match="--single-au"):
        replace(TINY, single_au=1.5).validate()


def test_generator_steps_every_fifth_by_the_paper(folder):
    one = trainer(folder, replace(TINY, critic_steps=5))
    turns = ["generator" in one.step() for _ in range(10)]
    assert turns == [True, False, False, False, False] * 2


def test_learning_rate_falls_to_zero_over_the_last_epochs(folder):
    one = trainer(folder)
    rates = []
    while one.iteration < one.iterations:
        one.step()
        rates.append(one.critic_adam.param_groups[0]["lr"])
    assert rates[:9] == [TINY.rate] * 9
    assert rates[8:] == sorted(rates[8:], reverse=True)
    assert rates[-1] == pytest.approx(TINY.rate / 8)


def test_critic_learns_the_aus_of_few_faces(folder):
    one = trainer(folder, replace(TINY, epochs=40, rate=1e-3))
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
    state = half.state()
    torch.save(state, tmp_path / "state.pt")
    rest = trainer(folder)
    rest.resume(load_state(tmp_path / "state.pt"))
    for _ in range(3):
        rest.step()
    for name in ("generator", "critic", "average"):
        assert same(getattr(whole, name).state_dict(), getattr(rest, name).state_dict()), name


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_stopped_command_goes_on_and_ends_as_if_undisturbed(folder, tmp_path, how):
    command = [sys.executable, "-m", "ganim.cli", "train", str(folder), "--size", "64"]
    command += ["--width", "8", "--blocks", "1", "--critic-width", "8", "--critic-layers", "4"]
    command += ["--batch", "4", "--epochs", "12", "--precision", "fp32", "--device", "cpu"]
    subprocess.run([*command, "--run", str(tmp_path / "whole")], check=True, capture_output=True)

    run = tmp_path / "killed"
    process = subprocess.Popen([*command, "--run", str(run)], start_new_session=True)
    deadline = time.monotonic() + 120
    while not (run / STATE).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, how)
    assert process.wait(60) == (-how if how == signal.SIGKILL else 130)
    assert load_state(run / STATE)["iteration"] < 48, "it was killed too late to show anything"
    again = subprocess.run([*command, "--run", str(run)], capture_output=True, text=True)
    assert again.returncode == 0 and "done before" in again.stderr

    whole, killed = (load_state(folder / STATE) for folder in (tmp_path / "whole", run))
    assert same(whole["generator"], killed["generator"])
    assert same(whole["average"], killed["average"])
    lines = [
        [json.loads(line)["iteration"] for line in (folder / METRICS).read_text().splitlines()]
        for folder in (tmp_path / "whole", run)
    ]
    assert lines[0] == lines[1]


def test_a_damaged_state_is_named(folder, tmp_path):
    train(folder, tmp_path / "run", TINY)
    (tmp_path / "run" / STATE).write_bytes(b"damaged")
    with pytest.raises(WrongUse, match="begin anew"):
        train(folder, tmp_path / "run", TINY)


def test_run_folder_holds_what_a_person_wants(folder, tmp_path):
    weights = train(folder, tmp_path / "run", TINY)
    assert weights.exists()
    assert len(list((tmp_path / "run" / "grids").glob("*.png"))) == 4
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["batch"] == 4
    assert not list((tmp_path / "run").glob(".*"))


def test_other_settings_are_refused_by_name(folder, tmp_path):
    train(folder, tmp_path / "run", TINY)
    with pytest.raises(WrongUse, match="rate"):
        train(folder, tmp_path / "run", replace(TINY, rate=1e-3))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (replace(TINY, size=60), "64 px or more"),
        (replace(TINY, size=66), "multiples of 4"),
        (replace(TINY, batch=17), "--batch 16"),
        (replace(TINY, decay_epochs=5), "--decay-epochs"),
        (replace(TINY, critic=CriticSettings(8, 7)), "at most 6"),
    ],
)
def test_settings_out_of_range_are_refused(folder, tmp_path, settings, said):
    with pytest.raises(WrongUse, match=said):
        train(folder, tmp_path / "run", settings)


def test_init_starts_from_weights_and_leaves_them_slowly(folder, tmp_path):
    weights = train(folder, tmp_path / "first", TINY)
    faces = load_faces(folder, "train", 64)
    first = Trainer(TINY, faces, torch.device("cpu"), init=weights)
    before = {name: value.clone() for name, value in first.average.module.state_dict().items()}
    first.step()
    after = first.average.module.state_dict()
    moved = max((after[name] - before[name]).abs().max().item() for name in before)
    assert 0 < moved < 1e-6
    with pytest.raises(WrongUse, match="width"):
        Trainer(
            replace(TINY, generator=GeneratorSettings(16, 1)), faces, torch.device("cpu"), weights
        )


def test_a_run_goes_on_from_another_with_its_critic(folder, tmp_path):
    train(folder, tmp_path / "first", TINY)
    faces = load_faces(folder, "train", 64)
    other = replace(TINY, rate=1e-3, epochs=2, decay_epochs=0)
    second = Trainer(other, faces, torch.device("cpu"), init=tmp_path / "first")
    state = load_state(tmp_path / "first" / STATE)
    assert second.iteration == 0
    assert same(second.critic.state_dict(), state["critic"])
    assert same(second.average.state_dict(), state["average"])
    second.step()
    assert second.critic_adam.param_groups[0]["lr"] == 1e-3
    with pytest.raises(WrongUse, match="critic"):
        wider = replace(TINY, critic=CriticSettings(16, 4))
        Trainer(wider, faces, torch.device("cpu"), init=tmp_path / "first")


def test_warmup_teaches_the_critic_alone(folder):
    one = trainer(folder, replace(TINY, critic_warmup=6))
    before = {name: value.clone() for name, value in one.generator.state_dict().items()}
    figures = [one.step() for _ in range(7)]
    assert all(set(each) == {"critic_aus"} for each in figures[:6])
    assert "generator" in figures[6]
    assert not same(before, one.generator.state_dict())


def test_aus_of_two_annotators_are_refused(folder, tmp_path):
    path = folder / "train-00000.parquet"
    rows = shards.read_shard(path).to_pylist()
    for number, row in enumerate(rows):
        row["annotator"] = f"annotator {number % 2}"
    shards.write_shard(path, shards.rows_to_table(rows))
    with pytest.raises(WrongUse, match="annotator 0 and by annotator 1"):
        train(folder, tmp_path / "run", TINY)
