"""The run folder of a training: settings, metrics log, validation, pictures, states and weights."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...pipeline.files import write_whole
from ..animation.grids import save_grid, save_sweep
from ..checkpoint import save_state
from ..data import Faces
from ..networks.flow_generator import FlowGenerator
from ..networks.load import load_generator
from . import diagnostics
from .base_trainer import BaseTrainer
from .calibration import calibrated_gains
from .export import save_gains, save_generator
from .log import Entry, MetricsLog
from .report import write_page
from .trainer import PREVIOUS_STATE, STATE, WEIGHTS
from .validation import MAX_FACES, Validation

SETTINGS = "settings.json"
BEST = "best.safetensors"
GRIDS = "grids"
GAINS = "gains"
"""The entry of the log with the gains of the 17 AUs."""
_SAVE_SECONDS = 300.0
"""The longest time between two saved states."""
_MAX_GRIDS = 30
_PAGE_SHARE = 0.05
"""The largest fraction of the training time that may be spent on writing the report."""


def _ignore(*_: object) -> None: ...


@dataclass(frozen=True)
class Callbacks:
    """Functions that are called during a training. By default none is."""

    on_start: Callable[[int, int], None] = _ignore
    """Called once with the total number of iterations and the number that are already done."""
    on_step: Callable[[Entry], None] = _ignore
    """Called with each entry of mean metrics that is appended to the log."""
    on_message: Callable[[str], None] = _ignore
    """Called with each warning, and with the reason if an earlier state is resumed from."""


class RunFolder:
    """Writes everything that a training leaves on disk. Only the first process has one.

    Args:
        trainer: the trainer whose progress is written.
        test: held-out faces for validation and pictures, as the generator sees them. If there are
            none, nothing is validated, and the pictures show training faces.
        folder: the run folder, which may hold an earlier part of the same training.
        tensorboard: also write TensorBoard event files.
        callbacks: `on_step` and `on_message` are called from here.

    Raises OSError if the folder cannot be written to.
    """

    def __init__(
        self,
        trainer: BaseTrainer[Any],
        test: Faces,
        folder: Path,
        tensorboard: bool,
        callbacks: Callbacks,
    ) -> None:
        self._trainer, self._folder, self._callbacks = trainer, folder, callbacks
        self._pictured = test if len(test) else self._some_training_faces()
        self._validation = (
            Validation(test, trainer.device, trainer.settings.generator.aus) if len(test) else None
        )
        self._log = MetricsLog(folder, trainer.iteration, tensorboard)
        self.saved_iteration = trainer.iteration
        """The iteration of the last saved state; 0 if there is none."""
        self._saved_at = time.monotonic()
        self._page_at, self._page_seconds = time.monotonic(), 1.0
        for temporary in folder.glob(".*.tmp"):  # left by a process that was killed while it wrote
            temporary.unlink()
        text = json.dumps(asdict(trainer.settings), indent=1)
        write_whole(folder / SETTINGS, lambda beside: beside.write_text(text))

    def update(self, metrics: Entry | None, epoch_ends: bool, stop: bool) -> None:
        """Write what is due after an iteration.

        Args:
            metrics: mean metrics to append to the log, or None between two entries.
            epoch_ends: whether this iteration is the last of an epoch: validate, draw and save.
            stop: whether training stops after this iteration: save.
        """
        if metrics is not None:
            self._log.append(metrics)
            self._callbacks.on_step(metrics)
        if epoch_ends:
            self._validate()
            self._draw()
        if metrics is not None:
            self._warn()
        if epoch_ends or stop or time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self._save()
            now = time.monotonic()
            if stop or now - self._page_at > self._page_seconds / _PAGE_SHARE:
                self.write_page()

    def has_stalled(self, patience: int | None) -> bool:
        """Whether the validation error has not decreased for `patience` epochs."""
        return patience is not None and diagnostics.stalled(self._log.entries, patience)

    def write_page(self) -> None:
        """Write report.html."""
        began = time.monotonic()
        write_page(self._folder, self._trainer, len(self._pictured), self._log)
        self._page_at = time.monotonic()
        self._page_seconds = self._page_at - began

    def calibrate(self) -> None:
        """Set the gains of a flow generator, once the training has ended, and save it again."""
        trainer = self._trainer
        done = any(
            entry["iteration"] == trainer.iteration for entry in self._log.entries if GAINS in entry
        )
        if not isinstance(trainer.averaged_generator, FlowGenerator) or done:
            return
        gains = calibrated_gains(trainer.averaged_generator, self._pictured)
        for generator in (trainer.generator, trainer.averaged_generator):
            generator.gain.copy_(gains)
        best = self._folder / BEST
        if best.exists():
            generator = load_generator(best)[0].to(trainer.device)
            assert isinstance(generator, FlowGenerator)
            save_gains(best, calibrated_gains(generator, self._pictured))
        self._save()
        self._log.append(self._position() | {GAINS: [round(one, 2) for one in gains.tolist()]})

    def _some_training_faces(self) -> Faces:
        faces = self._trainer.faces
        some = np.arange(min(len(faces), MAX_FACES))
        return self._trainer.as_seen(faces.subset(some))

    def _position(self) -> Entry:
        trainer = self._trainer
        return {
            "iteration": trainer.iteration,
            "epoch": trainer.iteration / trainer.iterations_per_epoch,
        }

    def _validate(self) -> None:
        """Log the validation error, and save the weights if it is the lowest so far."""
        if self._validation is None:
            return
        error = self._validation.error(self._trainer.averaged_generator)
        earlier = self._log.series("test_aus")[1]
        errors = {"test_aus": error, "test_aus_copy": self._validation.copy_error}
        self._log.append(self._position() | errors)
        if error < min(earlier, default=float("inf")):
            save_generator(self._trainer, self._folder / BEST)

    def _draw(self) -> None:
        """Save pictures, at the end of at most about _MAX_GRIDS epochs."""
        trainer, settings = self._trainer, self._trainer.settings
        epoch = trainer.iteration // trainer.iterations_per_epoch
        if epoch % max(1, settings.epochs // _MAX_GRIDS) == 0 or epoch == settings.epochs:
            name = f"epoch-{epoch:04d}"
            grids = self._folder / GRIDS
            save_grid(grids / f"{name}.png", trainer.averaged_generator, self._pictured)
            save_sweep(grids / f"{name}-aus.png", trainer.averaged_generator, self._pictured)

    def _warn(self) -> None:
        """Log the diagnostics of which there is no entry yet, and pass them to the callback."""
        logged = {entry["warning"] for entry in self._log.entries if "warning" in entry}
        for found in diagnostics.diagnose(self._log.entries, self._trainer.settings.size):
            if found.kind not in logged:
                self._log.append(self._position() | {"warning": found.kind, "text": found.text})
                self._callbacks.on_message(found.text)

    def _save(self) -> None:
        # The weights first, so that a folder whose state is of the last iteration has them.
        save_generator(self._trainer, self._folder / WEIGHTS)
        save_state(self._folder / STATE, self._trainer.state_dict(), self._folder / PREVIOUS_STATE)
        self.saved_iteration, self._saved_at = self._trainer.iteration, time.monotonic()
