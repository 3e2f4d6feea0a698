"""Trains one model within a budget of time or of iterations, from nothing or where it was stopped.

The run folder holds `generator.safetensors` (as `ganim train` writes it), `metrics.jsonl` (200
lines of mean metrics), `run.json` (what was trained), and, until the budget is spent, the state to
resume from.
"""

import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganim.model.checkpoint import last_state, save_state
from ganim.model.data import load_faces
from ganim.model.precision import use_fast_kernels
from ganim.model.training.base_trainer import BaseTrainer
from ganim.model.training.export import save_generator
from ganim.model.training.log import METRICS, Entry, read_metrics
from ganim.model.training.paired_trainer import PairedTrainer
from ganim.model.training.trainer import PREVIOUS_STATE, STATE, WEIGHTS
from ganim.pipeline.errors import NothingUsable, WrongUse
from ganim.pipeline.files import write_whole

from .budget import Budget, seconds, within
from .models import ALL, small

RUN = "run.json"
_ENTRIES = 200
_SAVE_SECONDS = 300.0
_STEPS_ON_GPU = 10
"""Iterations between two looks at the clock, as each waits for the GPU."""
_faces = lru_cache(maxsize=1)(load_faces)  # models of one size after each other share them


def train(
    name: str,
    shards: Path,
    folder: Path,
    budget: Budget,
    device: torch.device,
    seed: int = 0,
    most: int | None = None,
    is_small: bool = False,
    on_progress: Callable[[float, float], None] = lambda share, rate: None,
    until: float = 1.0,
) -> dict[str, Any]:
    """Train a model of ALL until a share of the budget is spent, if it was not before.

    Args:
        name: of the model.
        shards: an annotated shard set; the train split is used.
        folder: the run folder.
        budget: of the whole training, with nothing used yet.
        device: where to compute.
        seed: of all random numbers.
        most: train on the first so many faces alone.
        is_small: narrow networks at 64 px.
        on_progress: is called with the used share of the budget and photographs a second.
        until: the share of the budget at which to stop, 0-1. A later call goes on from there.

    Returns what run.json holds. Raises WrongUse if the folder holds a run of other settings, and
    NothingUsable for losses that are not finite.
    """
    model = ALL[name]
    settings = replace(small(model.settings) if is_small else model.settings, seed=seed)
    asked = {
        "model": name,
        "seed": seed,
        "small": is_small,
        "most": most,
        "seconds": budget.seconds,
        "iterations": budget.iterations,
    }
    if (folder / RUN).exists():
        record: dict[str, Any] = json.loads((folder / RUN).read_text())
        _check(folder, record["asked"], asked)
        if record.get("share", 1.0) >= until:  # early runs, all of them whole, have no share
            return record
    if device.type == "cuda":
        use_fast_kernels()
    faces = _faces(shards, "train", settings.loaded_size, most)
    trainer = within(budget, model.trainer)(settings, faces, device)
    folder.mkdir(parents=True, exist_ok=True)
    entries = _resume(trainer, folder, budget, asked)
    steps, saved_at = _STEPS_ON_GPU if device.type == "cuda" else 1, time.monotonic()
    sums: dict[str, list[Tensor]] = {}
    logged = replace(budget)
    while budget.share < until:
        began = seconds(device)
        for _ in range(min(steps, _left(budget))):
            for key, value in trainer.step().items():
                sums.setdefault(key, []).append(value)
            budget.used_iterations += 1
        budget.used_seconds += seconds(device) - began
        if int(budget.share * _ENTRIES) > int(logged.share * _ENTRIES):
            entries.append(_entry(trainer, budget, logged, sums))
            on_progress(budget.share, entries[-1]["photographs_per_second"])
            sums, logged = {}, replace(budget)
            if time.monotonic() - saved_at > _SAVE_SECONDS:
                _save(trainer, folder, budget, asked, entries)
                saved_at = time.monotonic()
    if budget.share < 1:
        _save(trainer, folder, budget, asked, entries)
    else:
        _write_log(folder, entries)
    save_generator(trainer, folder / WEIGHTS)
    record = {"asked": asked, **_record(trainer, budget, entries)}
    text = json.dumps(record, indent=1)
    write_whole(folder / RUN, lambda beside: beside.write_text(text))
    if budget.share == 1:  # the learning rate is 0: nothing to go on with
        for state in (STATE, PREVIOUS_STATE):
            (folder / state).unlink(missing_ok=True)
    return record


def _left(budget: Budget) -> int:
    """Iterations that a budget of iterations leaves; as many as anyone likes for one of time."""
    if budget.iterations is None:
        return _STEPS_ON_GPU
    return budget.iterations - budget.used_iterations


def _check(folder: Path, before: dict[str, Any], asked: dict[str, Any]) -> None:
    """Raise WrongUse if a folder holds a run of other settings."""
    for key, value in asked.items():
        then = before.get(key)  # early runs have no `most`
        if then != value:
            raise WrongUse(
                f"{folder} was trained with {key}={then}, and this command says {value}. "
                "Choose another --out, or repeat the earlier setting."
            )


def _resume(
    trainer: BaseTrainer, folder: Path, budget: Budget, asked: dict[str, Any]
) -> list[Entry]:
    """Go on from the last readable state in a folder, if there is one. Returns the log until
    then."""
    found = last_state(folder / STATE, folder / PREVIOUS_STATE)
    if found is None:
        return []
    state, path = found
    if path != folder / STATE:  # otherwise the next save would replace the good one by it
        (folder / STATE).unlink(missing_ok=True)
    _check(folder, state["asked"], asked)
    if state["faces"] != len(trainer.faces):
        raise WrongUse(
            f"{folder} was trained on {state['faces']} faces, and now there are "
            f"{len(trainer.faces)}. Choose another --out."
        )
    trainer.load_state_dict(state)
    trainer.iteration = state["iteration"]
    budget.used_seconds, budget.used_iterations = state["used_seconds"], state["iteration"]
    return [one for one in read_metrics(folder) if one["iteration"] <= trainer.iteration]


def _entry(
    trainer: BaseTrainer, budget: Budget, logged: Budget, sums: dict[str, list[Tensor]]
) -> Entry:
    """The mean metrics since the last entry. Raises NothingUsable if some are not finite."""
    means = {name: float(torch.stack(values).mean()) for name, values in sums.items()}
    if not torch.tensor(list(means.values())).isfinite().all():
        raise NothingUsable(
            f"The losses are not finite any more (NaN) at iteration {trainer.iteration}."
        )
    photographs = (budget.used_iterations - logged.used_iterations) * trainer.settings.batch
    return {
        "iteration": trainer.iteration,
        "epoch": trainer.iteration / trainer.iterations_per_epoch,
        "share": budget.share,
        "seconds": budget.used_seconds,
        "rate": trainer.learning_rate,
        "photographs_per_second": photographs / (budget.used_seconds - logged.used_seconds),
        **means,
    }


def _save(
    trainer: BaseTrainer,
    folder: Path,
    budget: Budget,
    asked: dict[str, Any],
    entries: list[Entry],
) -> None:
    _write_log(folder, entries)
    state = trainer.state_dict() | {"asked": asked, "used_seconds": budget.used_seconds}
    save_state(folder / STATE, state, folder / PREVIOUS_STATE)


def _write_log(folder: Path, entries: list[Entry]) -> None:
    lines = "".join(json.dumps(entry) + "\n" for entry in entries)
    write_whole(folder / METRICS, lambda beside: beside.write_text(lines))


def _record(trainer: BaseTrainer, budget: Budget, entries: list[Entry]) -> dict[str, Any]:
    device = trainer.device
    steps = 1 if isinstance(trainer, PairedTrainer) else trainer.settings.critic_steps
    return {
        "share": budget.share,
        "iterations": budget.used_iterations,
        "generator_iterations": -(-budget.used_iterations // steps),
        "photographs": budget.used_iterations * trainer.settings.batch,
        "seconds": budget.used_seconds,
        "photographs_per_second": budget.used_iterations
        * trainer.settings.batch
        / budget.used_seconds,
        "faces": len(trainer.faces),
        "parameters": _parameters(trainer.generator),
        "critic_parameters": sum(map(_parameters, trainer.critics)),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "processors": torch.get_num_threads(),
        "machine": platform.platform(),
        "torch": torch.__version__,
        "precision": "bf16" if trainer.bf16 else "fp32",
        "last": entries[-1] if entries else {},
        "settings": asdict(trainer.settings),
    }


def _parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())
