"""Shards, weights and runs that version 0.1 of ganim wrote are read as before."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from ganim.cli import main
from ganim.model.checkpoint import load_weights

PREVIOUS = Path(__file__).parent / "data" / "previous"
# What version 0.1 itself made of the run in data/previous when it went on with it.
ENDED = {
    "bottleneck.0.conv1.weight": 0.17493319511413574,
    "bottleneck.0.conv2.weight": -1.031021237373352,
    "bottleneck.0.norm1.from_style.bias": 0.162994384765625,
    "bottleneck.0.norm1.from_style.weight": 5.058843493461609,
}
COMMAND = [
    "--size",
    "64",
    "--batch",
    "4",
    "--epochs",
    "3",
    "--decay-epochs",
    "1",
    "--critic-steps",
    "2",
    "--precision",
    "fp32",
    "--single-au",
    "0.5",
    "--critic-jitter",
    "0.05",
    "--critic-coarse",
    "0.5",
    "--balanced-aus",
    "--width",
    "4",
    "--blocks",
    "1",
    "--upsampling",
    "nearest",
    "--conditioning",
    "adain",
    "--colour",
    "residual",
    "--critic-width",
    "4",
    "--critic-layers",
    "4",
    "--device",
    "cpu",
]


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """A copy of the files of version 0.1, which a test may change."""
    return Path(shutil.copytree(PREVIOUS, tmp_path / "previous"))


def test_the_same_command_goes_on_with_a_run_of_version_0_1(
    previous: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)  # see plain_convolutions.py
    run = previous / "run"
    assert len((run / "metrics.jsonl").read_text().splitlines()) > 0
    command = ["train", str(previous / "shards"), "--run", str(run), *COMMAND]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    tensors, _ = load_weights(run / "generator.safetensors", "generator")
    sums = {name: float(tensors[name].double().sum()) for name in ENDED}
    assert sums == pytest.approx(ENDED, rel=1e-4)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["iteration"] == 6
    assert lines[-1]["test_aus"] == pytest.approx(0.27827024459838867, rel=1e-4)
    assert (run / "report.html").exists()


def test_weights_of_version_0_1_animate(previous: Path, tmp_path: Path) -> None:
    portrait = Path(__file__).parents[1] / "examples" / "astronaut.png"
    weights = previous / "run" / "generator.safetensors"
    out = tmp_path / "out.png"
    command = ["animate", str(portrait), "--au", "12=1.0", "--weights", str(weights)]
    result = CliRunner().invoke(main, [*command, "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert out.exists()


def test_shards_of_version_0_1_are_inspected(previous: Path) -> None:
    result = CliRunner().invoke(main, ["inspect", str(previous / "shards")])
    assert result.exit_code == 0, result.output
    assert "12 faces, 12 with action units by labels" in result.output
