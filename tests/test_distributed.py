"""Training in two processes: the same result as in one, also after one was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import plain_convolutions
import pytest
import torch

from ganim.cli import main
from ganim.model.checkpoint import load_state
from ganim.model.training.log import read_metrics
from ganim.model.training.trainer import STATE

SETTINGS = "--size 64 --width 8 --blocks 1 --critic-width 8 --critic-layers 4 --batch 4 "
SETTINGS += "--critic-steps 2 --epochs 4 --decay-epochs 1 --precision fp32 --device cpu --rate 1e-6"


def torchrun(folder: Path, run: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", *options, "--", plain_convolutions.__file__]
    return subprocess.Popen(
        [*command, "train", str(folder), *SETTINGS.split(), "--run", str(run)],
        stderr=subprocess.PIPE,
        text=True,
    )


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def together(random_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of an uninterrupted training in two processes."""
    run = tmp_path_factory.mktemp("together")
    process = torchrun(random_faces, run)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return run


def test_two_processes_train_as_one_with_the_same_global_batch(
    random_faces: Path, together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)  # see plain_convolutions.py
    command = ["train", str(random_faces), *SETTINGS.split(), "--run", str(tmp_path / "alone")]
    main(command, standalone_mode=False)
    lines, others = (
        [line for line in read_metrics(run) if "critic_adversarial" in line]
        for run in (tmp_path / "alone", together)
    )
    assert len(lines) == len(others) == 4
    for line, other in zip(lines, others, strict=True):
        for name in ("critic_adversarial", "critic_aus", "gp", "aus", "attention", "tv", "cycle"):
            assert other[name] == pytest.approx(line[name], rel=1e-3, abs=1e-4), name
    speeds = others[-1]["photographs_per_second_by_rank"]
    assert len(speeds) == 2
    assert sum(speeds) == pytest.approx(others[-1]["photographs_per_second"])

    one, two = (load_state(run / STATE) for run in (tmp_path / "alone", together))
    assert one["iteration"] == two["iteration"] == 16
    # Not bit by bit, as sums are rounded in another order. Adam's first moments are compared, and
    # not the weights, because Adam's steps are the same for the sum and the mean of gradients. The
    # learning rate is low, because Adam amplifies rounding errors of gradients near zero.
    for network in ("generator_adam", "critic_adam"):
        moments = [
            torch.cat([each["exp_avg"].flatten() for each in state[network]["state"].values()])
            for state in (one, two)
        ]
        apart = (moments[0] - moments[1]).norm() / moments[0].norm()
        print(f"{network}: first moments differ by {apart:.4%}")
        assert apart < 1e-3


def test_a_training_that_lost_a_process_is_restarted_and_ends_with_the_same_weights(
    random_faces: Path, together: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = torchrun(random_faces, run, "--max-restarts", "1")
    deadline = time.monotonic() + 300
    while not (run / STATE).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(max(children(process.pid)), signal.SIGKILL)
    before = load_state(run / STATE)["iteration"]
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert 0 < before < 16, "the process was killed after the end of the training"
    assert "were done before" in said
    one, two = (load_state(folder / STATE) for folder in (together, run))
    for network in ("generator", "critic", "average"):
        for name, value in one[network].items():
            assert torch.equal(value, two[network][name]), (network, name)
    iterations = [[line["iteration"] for line in read_metrics(each)] for each in (together, run)]
    assert iterations[0] == iterations[1]


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def test_a_batch_that_cannot_be_divided_is_refused(random_faces: Path) -> None:
    from ganim.model.training.distributed import Workers
    from ganim.pipeline.errors import WrongUse

    assert [Workers(rank, 2).part(6) for rank in (0, 1)] == [slice(0, 3), slice(3, 6)]
    with pytest.raises(WrongUse, match="multiple of 2"):
        Workers(0, 2).part(25)
