"""A run: train into a folder, go on after a stop, stop when asked, when done, or when lost."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, current_thread, main_thread

import torch
from torch import Tensor

from ...pipeline.errors import NothingUsable, WrongUse
from ..checkpoint import load_state
from ..config import TrainSettings
from ..data import constant_aus, load_faces
from . import validation
from .distributed import join
from .log import Line
from .run_folder import BEST, PREVIOUS_STATE, Ears, Scribe
from .trainer import STATE, WEIGHTS, Trainer

_LOG_EVERY = 50
_LOOK_EVERY = 10


def train(
    shards: Path,
    run: Path,
    settings: TrainSettings | None = None,
    device: torch.device | None = None,
    init: Path | None = None,
    patience: int | None = None,
    tensorboard: bool = False,
    ears: Ears | None = None,
) -> Path:
    """Train on the train split of `shards` into the folder `run`; return the weights' path.

    A second call goes on from the last state in `run`. patience: stop when the AU error on the
    test split has not fallen for so many epochs, and return the best epoch's weights. Under
    torchrun, one of several processes; the first writes, and its ears hear.

    Raises WrongUse for missing shards or AUs, too few faces, settings other than the run's and a
    folder that cannot be written; NothingUsable when figures are no numbers any more.
    """
    settings, ears = settings or TrainSettings(), ears or Ears()
    settings.validate()
    with join(device) as (workers, device):
        faces = load_faces(shards, "train", settings.size)
        test = load_faces(shards, "test", settings.size, most=validation.MOST)
        if patience is not None and not len(test):
            raise WrongUse(
                f"{shards} holds no test faces to stop early by: prepare with --test-fraction 0.1, "
                "or leave out --patience."
            )
        constant = constant_aus(faces, settings.generator.aus)
        trainer = Trainer(settings, faces, device, init, workers)
        if not workers.first:
            ears = Ears()
        for name in constant:
            ears.on_word(f"{name} is the same in every face: the generator cannot learn it.")
        try:
            _resume(trainer, run, ears)
            ears.on_start(trainer.iterations, trainer.iteration)
            scribe = Scribe(trainer, test, run, tensorboard, ears) if workers.first else None
            _run(trainer, scribe, patience)
        except OSError as error:
            raise WrongUse(
                f"{run} cannot be written to: {error.strerror or error}. What was saved before is "
                "whole: make room, and the same command goes on from there."
            ) from error
    best = patience is not None and (run / BEST).exists()
    return run / (BEST if best else WEIGHTS)


def _run(trainer: Trainer, scribe: Scribe | None, patience: int | None) -> None:
    """Train to the end, or until asked to stop. scribe: who writes, in the first process."""
    workers = trainer.workers
    logged, logged_at = trainer.iteration, time.monotonic()

    def enough() -> bool:
        return any(workers.gather(scribe is not None and scribe.has_stalled(patience)))

    with _asked_to_stop() as stopping:
        done = enough()
        while trainer.iteration < trainer.iterations and not done:
            figures = trainer.step()
            for name, value in figures.items():
                trainer.unlogged.setdefault(name, []).append(value)
            epoch_ends = trainer.iteration % trainer.iterations_per_epoch == 0
            log = epoch_ends or trainer.iteration % _LOG_EVERY == 0
            if not (log or trainer.device.type == "cpu" or trainer.iteration % _LOOK_EVERY == 0):
                continue  # to look at a figure is to wait for the GPU
            looks = workers.gather((stopping.is_set(), _finite(figures)))
            stop = any(asked for asked, _ in looks)
            if not all(finite for _, finite in looks):
                raise NothingUsable(_diverged(trainer, scribe))
            if log:
                means = _means(trainer, trainer.iteration - logged, time.monotonic() - logged_at)
                logged, logged_at = trainer.iteration, time.monotonic()
            if scribe is not None:
                scribe.record(means if log else None, epoch_ends, stop)
            if stop:
                raise KeyboardInterrupt
            done = epoch_ends and enough()
    if scribe is not None:
        scribe.write_page()


def _finite(figures: dict[str, Tensor]) -> bool:
    return bool(torch.stack(list(figures.values())).isfinite().all())


def _diverged(trainer: Trainer, scribe: Scribe | None) -> str:
    """What to say when the losses are no numbers any more."""
    text = f"The losses are no numbers any more (NaN) at iteration {trainer.iteration}."
    if scribe is None:
        return text
    scribe.write_page()
    advice = f"a --lr lower than {trainer.settings.lr:g}"
    if trainer.bf16:
        advice += ", or --precision fp32"
    if not scribe.saved:
        return f"{text} Nothing was saved yet: begin anew with {advice}."
    return (
        f"{text} The run's folder still holds the state and weights of iteration {scribe.saved}, "
        f"from before. Go on from there with --init, another --run, and {advice}."
    )


def _means(trainer: Trainer, iterations: int, seconds: float) -> Line:
    """The mean of each figure since the last line, over all processes, and where the run stands.

    iterations: made here in so many seconds; a run that was resumed made others before.
    """
    mine = {name: float(torch.stack(values).mean()) for name, values in trainer.unlogged.items()}
    trainer.unlogged.clear()
    workers = trainer.workers
    mine["speed"] = iterations * trainer.settings.batch / workers.count / seconds
    everyones = workers.gather(mine)
    speeds = [figures.pop("speed") for figures in everyones]
    line: Line = {
        "iteration": trainer.iteration,
        "epoch": trainer.iteration / trainer.iterations_per_epoch,
        "rate": trainer.critic_adam.param_groups[0]["lr"],
        "seconds": seconds,
        "photographs_per_second": sum(speeds),
    }
    if workers.count > 1:
        line["photographs_per_second_by_rank"] = speeds
    return line | {
        name: sum(figures[name] for figures in everyones) / workers.count for name in everyones[0]
    }


def _resume(trainer: Trainer, run: Path, ears: Ears) -> None:
    """Go on from the last state that can be read, if there is one."""
    damage: WrongUse | None = None
    for path in (run / STATE, run / PREVIOUS_STATE):
        if not path.exists():
            continue
        try:
            state = load_state(path)
        except WrongUse as error:
            damage = error
            continue
        trainer.resume(state)
        if damage is not None:
            ears.on_word(
                f"{run / STATE} is damaged: going on from the state before it, of iteration "
                f"{trainer.iteration}."
            )
            if trainer.workers.first:  # or the next save would put it in the good one's place
                (run / STATE).unlink(missing_ok=True)
        break
    else:
        if damage is not None:
            raise damage
    if len(set(trainer.workers.gather(trainer.iteration))) > 1:
        raise WrongUse(
            f"The processes do not find the same state in {run}: it must be a folder that all of "
            "them share."
        )


@contextmanager
def _asked_to_stop() -> Iterator[Event]:
    """Set by Ctrl-C and SIGTERM, which then wait for the end of an iteration: half of one cannot
    be saved."""
    asked = Event()
    if current_thread() is not main_thread():
        yield asked  # only the main thread may handle signals
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    earlier = [signal.signal(number, lambda *_: asked.set()) for number in signals]
    try:
        yield asked
    finally:
        for number, handler in zip(signals, earlier, strict=True):
            signal.signal(number, handler)
