"""What a run leaves in its folder: log, measures on held-out faces, pictures, states, weights."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ...pipeline.files import write_whole
from ..animation.grids import save_grid, save_sweep
from ..checkpoint import save_state
from ..data import Faces
from . import diagnostics
from .export import save_generator
from .log import Line, Metrics
from .report import write_page
from .trainer import STATE, WEIGHTS, Trainer
from .validation import HeldOut

SETTINGS = "settings.json"
PREVIOUS_STATE = "state-previous.pt"
BEST = "best.safetensors"
GRIDS = "grids"
_SAVE_SECONDS = 300.0
_MOST_GRIDS = 30
_PAGE_SHARE = 0.05
"""Of the time of a run, the most that may go into writing its page anew."""


def _nothing(*_: object) -> None: ...


@dataclass(frozen=True)
class Ears:
    """Who wants to hear of a run while it goes on; by default nobody."""

    on_start: Callable[[int, int], None] = _nothing
    """Told how many iterations there are, and how many were done before."""
    on_step: Callable[[Line], None] = _nothing
    """The mean figures of the last iterations."""
    on_word: Callable[[str], None] = _nothing
    """What a person should know: warnings, and why a run goes on from an earlier state."""


class Scribe:
    """Writes the folder of a run; of several processes only the first has one.

    test: held-out faces; where there are none, pictures show faces that are trained on.
    """

    def __init__(
        self, trainer: Trainer, test: Faces, run: Path, tensorboard: bool, ears: Ears
    ) -> None:
        self._trainer, self._run, self._ears = trainer, run, ears
        self._shown = test if len(test) else trainer.faces
        self._held_out = (
            HeldOut(test, trainer.device, trainer.settings.generator.aus) if len(test) else None
        )
        self._metrics = Metrics(run, trainer.iteration, tensorboard)
        self.saved = trainer.iteration
        """The iteration of the last state that was saved; 0 if none was."""
        self._saved_at = time.monotonic()
        self._page_at, self._page_took = time.monotonic(), 1.0
        for litter in run.glob(".*.tmp"):  # of a process that was killed while it wrote
            litter.unlink()
        text = json.dumps(asdict(trainer.settings), indent=1)
        write_whole(run / SETTINGS, lambda beside: beside.write_text(text))

    def record(self, means: Line | None, epoch_ends: bool, stop: bool) -> None:
        """Write what is due after an iteration: `means` are the figures to log, if it is time."""
        if means is not None:
            self._metrics.append(means)
            self._ears.on_step(means)
        if epoch_ends:
            self._measure()
            self._draw()
        if means is not None:
            self._warn()
        if epoch_ends or stop or time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self._save()
            now = time.monotonic()
            if stop or now - self._page_at > self._page_took / _PAGE_SHARE:
                self.write_page()

    def has_stalled(self, patience: int | None) -> bool:
        """Whether the error on held-out faces has not fallen for `patience` epochs."""
        return patience is not None and diagnostics.stalled(self._metrics.lines, patience)

    def write_page(self) -> None:
        """Write report.html anew."""
        began = time.monotonic()
        write_page(self._run, self._trainer, len(self._shown), self._metrics)
        self._page_at = time.monotonic()
        self._page_took = self._page_at - began

    def _where(self) -> Line:
        trainer = self._trainer
        return {
            "iteration": trainer.iteration,
            "epoch": trainer.iteration / trainer.iterations_per_epoch,
        }

    def _measure(self) -> None:
        if self._held_out is None:
            return
        error = self._held_out.error(self._trainer.averaged_generator)
        before = self._metrics.series("test_aus")[1]
        line = {"test_aus": error, "test_aus_copy": self._held_out.copy_error}
        self._metrics.append(self._where() | line)
        if error < min(before, default=float("inf")):
            save_generator(self._trainer, self._run / BEST)

    def _draw(self) -> None:
        trainer, settings = self._trainer, self._trainer.settings
        epoch = trainer.iteration // trainer.iterations_per_epoch
        if epoch % max(1, settings.epochs // _MOST_GRIDS) == 0 or epoch == settings.epochs:
            folder = self._run / GRIDS
            save_grid(folder / f"epoch-{epoch:04d}.png", trainer.averaged_generator, self._shown)
            save_sweep(
                folder / f"epoch-{epoch:04d}-aus.png", trainer.averaged_generator, self._shown
            )

    def _warn(self) -> None:
        """Say what is new among what looks wrong; it stands in the log, so it is said once."""
        said = {line["warning"] for line in self._metrics.lines if "warning" in line}
        for concern in diagnostics.look(self._metrics.lines, self._trainer.settings.size):
            if concern.kind not in said:
                self._metrics.append(
                    self._where() | {"warning": concern.kind, "text": concern.text}
                )
                self._ears.on_word(concern.text)

    def _save(self) -> None:
        """The weights first: a run whose state says it is finished has them."""
        save_generator(self._trainer, self._run / WEIGHTS)
        save_state(self._run / STATE, self._trainer.state_dict(), self._run / PREVIOUS_STATE)
        self.saved, self._saved_at = self._trainer.iteration, time.monotonic()
