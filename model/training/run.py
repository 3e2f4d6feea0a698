"""A training from start to end: resume, train, log, stop."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, current_thread, main_thread

import torch
from torch import Tensor

from ...pipeline.errors import NothingUsable, WrongUse
from ..config import TrainSettings
from ..data import constant_aus, load_faces
from ..precision import use_fast_kernels
from . import validation
from .distributed import join
from .log import Entry
from .resume import AnyTrainer, resume, start
from .run_folder import BEST, Callbacks, RunFolder
from .trainer import WEIGHTS

_LOG_EVERY = 50
"""Iterations per log entry."""
_CHECK_EVERY = 10
"""Iterations between two checks for NaN and signals on a GPU, as each check waits for it."""


def train(
    shards: Path,
    folder: Path,
    settings: TrainSettings | None = None,
    device: torch.device | None = None,
    init: Path | None = None,
    patience: int | None = None,
    tensorboard: bool = False,
    callbacks: Callbacks | None = None,
) -> Path:
    """Train a generator on the train split of a shard set.

    A second call resumes from the last state in `folder`. Under torchrun, every process calls this;
    the first writes the run folder and calls the callbacks.

    Args:
        shards: the shard set, annotated.
        folder: the run folder.
        settings: the settings; the paper's if None.
        device: a GPU if there is one, else the CPU, if None.
        init: weights or a run folder to start from; see `Trainer`.
        patience: stop when the validation error has not decreased for this many epochs.
        tensorboard: also write TensorBoard event files.
        callbacks: functions to call while training.

    Returns the path of the weights: those of the best epoch with `patience`, else the last.

    Raises:
        WrongUse: if shards or AUs are missing, faces are too few, settings are not those of the
            state in `folder`, or `folder` cannot be written to.
        NothingUsable: if losses are not finite.
        KeyboardInterrupt: after SIGINT or SIGTERM, when the state has been saved.
    """
    settings, callbacks = settings or TrainSettings(), callbacks or Callbacks()
    settings.validate()
    with join(device) as (workers, device):
        if device.type == "cuda":
            use_fast_kernels()
        faces = load_faces(shards, "train", settings.loaded_size)
        test = load_faces(shards, "test", settings.loaded_size, most=validation.MAX_FACES)
        if patience is not None and not len(test):
            raise WrongUse(
                f"{shards} has no test faces, which --patience needs: prepare with "
                "--test-fraction 0.1, or leave out --patience."
            )
        constant = constant_aus(faces, settings.generator.aus)
        if not workers.first:
            callbacks = Callbacks()
        trainer = start(settings, faces, device, init, workers, callbacks.on_message)
        for name in constant:
            callbacks.on_message(
                f"{name} is the same in every face: the generator cannot learn it."
            )
        try:
            resume(trainer, folder, callbacks.on_message)
            callbacks.on_start(trainer.iterations, trainer.iteration)
            run_folder = (
                RunFolder(trainer, trainer.as_seen(test), folder, tensorboard, callbacks)
                if workers.first
                else None
            )
            _train(trainer, run_folder, patience)
        except OSError as error:
            raise WrongUse(
                f"{folder} cannot be written to: {error.strerror or error}. What was saved before "
                "is intact: make room, and the same command resumes from there."
            ) from error
    best = patience is not None and (folder / BEST).exists()
    return folder / (BEST if best else WEIGHTS)


def _train(trainer: AnyTrainer, run_folder: RunFolder | None, patience: int | None) -> None:
    """The training loop, to the last iteration, early stopping or a signal.

    run_folder: None in all processes but the first.
    """
    workers = trainer.workers
    logged_iteration, logged_at = trainer.iteration, time.monotonic()

    def has_stalled() -> bool:
        mine = run_folder is not None and run_folder.has_stalled(patience)
        return any(workers.gather(mine))

    with _deferred_signals() as stop_requested:
        done = has_stalled()
        while trainer.iteration < trainer.iterations and not done:
            metrics = trainer.step()
            for name, value in metrics.items():
                trainer.unlogged.setdefault(name, []).append(value)
            epoch_ends = trainer.iteration % trainer.iterations_per_epoch == 0
            log = epoch_ends or trainer.iteration % _LOG_EVERY == 0
            check = trainer.device.type == "cpu" or trainer.iteration % _CHECK_EVERY == 0
            if not (log or check):
                continue
            checks = workers.gather((stop_requested.is_set(), _are_finite(metrics)))
            stop = any(requested for requested, _ in checks)
            if not all(finite for _, finite in checks):
                raise NothingUsable(_divergence(trainer, run_folder))
            entry = None
            if log:
                iterations = trainer.iteration - logged_iteration
                entry = _log_entry(trainer, iterations, time.monotonic() - logged_at)
                logged_iteration, logged_at = trainer.iteration, time.monotonic()
            if run_folder is not None:
                run_folder.update(entry, epoch_ends, stop)
            if stop:
                raise KeyboardInterrupt
            done = epoch_ends and has_stalled()
    if run_folder is not None:
        run_folder.calibrate()
        run_folder.write_page()


def _are_finite(metrics: dict[str, Tensor]) -> bool:
    return bool(torch.stack(list(metrics.values())).isfinite().all())


def _divergence(trainer: AnyTrainer, run_folder: RunFolder | None) -> str:
    """The error message for losses that are not finite. Also writes the report."""
    text = f"The losses are not finite any more (NaN) at iteration {trainer.iteration}."
    if run_folder is None:
        return text
    run_folder.write_page()
    advice = f"a --lr lower than {trainer.settings.lr:g}"
    if trainer.bf16:
        advice += ", or --precision fp32"
    if not run_folder.saved_iteration:
        return f"{text} No state was saved yet: start again with {advice}."
    return (
        f"{text} The run folder still holds the state and weights of iteration "
        f"{run_folder.saved_iteration}, from before. Continue from them with --init, another "
        f"--run, and {advice}."
    )


def _log_entry(trainer: AnyTrainer, iterations: int, seconds: float) -> Entry:
    """Average the metrics since the last log entry over iterations and processes.

    Args:
        iterations: how many this process has made since then. There may be more in the means, from
            before the state that was resumed.
        seconds: the time they took.
    """
    mine = {name: float(torch.stack(values).mean()) for name, values in trainer.unlogged.items()}
    trainer.unlogged.clear()
    workers = trainer.workers
    mine["speed"] = iterations * trainer.settings.batch / workers.count / seconds
    gathered = workers.gather(mine)
    speeds = [metrics.pop("speed") for metrics in gathered]
    entry: Entry = {
        "iteration": trainer.iteration,
        "epoch": trainer.iteration / trainer.iterations_per_epoch,
        "rate": trainer.generator_adam.param_groups[0]["lr"],
        "seconds": seconds,
        "photographs_per_second": sum(speeds),
    }
    if workers.count > 1:
        entry["photographs_per_second_by_rank"] = speeds
    return entry | {
        name: sum(metrics[name] for metrics in gathered) / workers.count for name in gathered[0]
    }


@contextmanager
def _deferred_signals() -> Iterator[Event]:
    """Handle SIGINT and SIGTERM by setting an event, as only whole iterations can be saved."""
    requested = Event()
    if current_thread() is not main_thread():
        yield requested  # only the main thread may install signal handlers
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    earlier = [signal.signal(number, lambda *_: requested.set()) for number in signals]
    try:
        yield requested
    finally:
        for number, handler in zip(signals, earlier, strict=True):
            signal.signal(number, handler)
