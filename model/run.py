"""A run folder: train into it, log, draw, save, and go on after a stop."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event, current_thread, main_thread

import torch
from torch import Tensor

from ..pipeline.files import write_whole
from .checkpoint import load_state, save_state
from .data import Faces, load_faces
from .pictures import GRID_FACES, save_grid
from .training import STATE, WEIGHTS, Trainer, TrainSettings

METRICS = "metrics.jsonl"
SETTINGS = "settings.json"
_LOG_EVERY = 50
_SAVE_SECONDS = 300.0
_GRIDS = 30


def train(
    shards: Path,
    run: Path,
    settings: TrainSettings | None = None,
    device: torch.device | None = None,
    init: Path | None = None,
    on_start: Callable[[int, int], None] = lambda total, done: None,
    on_step: Callable[[dict[str, float]], None] = lambda figures: None,
) -> Path:
    """Train on the train split of `shards` into the folder `run`; return the weights' path.

    A second call goes on from the last state in `run`. on_start is told how many iterations
    there are and how many are done; on_step gets the mean figures of the last ones. Raises
    WrongUse for missing shards or AUs, too few faces, and settings other than the run's.
    """
    settings = settings or TrainSettings()
    settings.validate()
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    faces = load_faces(shards, "train", settings.size)
    shown = load_faces(shards, "test", settings.size, most=GRID_FACES)
    trainer = Trainer(settings, faces, device, init)
    run.mkdir(parents=True, exist_ok=True)
    if (run / STATE).exists():
        trainer.resume(load_state(run / STATE))
    write_whole(
        run / SETTINGS, lambda beside: beside.write_text(json.dumps(asdict(settings), indent=1))
    )
    _forget_after(run / METRICS, trainer.iteration)
    on_start(trainer.iterations, trainer.iteration)
    _run(trainer, shown if len(shown) else faces, run, on_step)
    return run / WEIGHTS


def _run(
    trainer: Trainer, shown: Faces, run: Path, on_step: Callable[[dict[str, float]], None]
) -> None:
    recent: dict[str, list[Tensor]] = {}
    logged = saved = time.monotonic()
    grid_every = max(1, trainer.settings.epochs // _GRIDS)
    with _asked_to_stop() as stopping:
        while trainer.iteration < trainer.iterations:
            for name, value in trainer.step().items():
                recent.setdefault(name, []).append(value)
            now = time.monotonic()
            epoch, position = divmod(trainer.iteration, trainer.iterations_per_epoch)
            if position == 0 or trainer.iteration % _LOG_EVERY == 0:
                figures = _figures(trainer, recent, now - logged)
                with (run / METRICS).open("a") as file:
                    file.write(json.dumps(figures) + "\n")
                on_step(figures)
                recent, logged = {}, now
            if position == 0 and (epoch % grid_every == 0 or epoch == trainer.settings.epochs):
                picture = run / "grids" / f"epoch-{epoch:04d}.png"
                save_grid(picture, trainer.averaged_generator, shown)
            if position == 0 or stopping.is_set() or now - saved > _SAVE_SECONDS:
                _save(trainer, run)
                saved = now
            if stopping.is_set():
                raise KeyboardInterrupt


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


def _figures(trainer: Trainer, recent: dict[str, list[Tensor]], seconds: float) -> dict[str, float]:
    """The mean of each figure since the last line, and where the run stands."""
    photographs = len(recent["critic_aus"]) * trainer.settings.batch
    return {
        "iteration": trainer.iteration,
        "epoch": trainer.iteration / trainer.iterations_per_epoch,
        "rate": trainer.critic_adam.param_groups[0]["lr"],
        "photographs_per_second": photographs / seconds,
    } | {name: float(torch.stack(values).mean()) for name, values in recent.items()}


def _save(trainer: Trainer, run: Path) -> None:
    """The weights first: a run whose state says it is finished has them."""
    trainer.save_generator(run / WEIGHTS)
    save_state(run / STATE, trainer.state())


def _forget_after(metrics: Path, iteration: int) -> None:
    """Drop lines that a killed run wrote after its last state: they will be written again."""
    if not metrics.exists():
        return
    kept = []
    for line in metrics.read_text().splitlines():
        try:
            if json.loads(line)["iteration"] <= iteration:
                kept.append(line + "\n")
        except ValueError:
            continue  # a line cut short by the kill
    write_whole(metrics, lambda beside: beside.write_text("".join(kept)))
