"""What a training may take, and trainers whose schedule follows it."""

import sys
import time
from dataclasses import dataclass
from typing import Any

import torch

from ganim.model.training.base_trainer import BaseTrainer
from ganim.model.training.paired_trainer import PairedTrainer


@dataclass
class Budget:
    """The seconds, or else the iterations, that a training may take, and what it has taken."""

    seconds: float | None = None
    iterations: int | None = None
    used_seconds: float = 0.0
    """In iterations; loading, saving and logging do not count. See `seconds`."""
    used_iterations: int = 0

    @property
    def share(self) -> float:
        """What is used, 0-1."""
        if self.iterations is not None:
            return min(1.0, self.used_iterations / self.iterations)
        assert self.seconds is not None
        return min(1.0, self.used_seconds / self.seconds)


def seconds(device: torch.device) -> float:
    """The clock of budgets: time on a GPU, and processor time divided by the threads on a CPU, so
    that other work on the machine takes nothing from a model."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time() / torch.get_num_threads()


def within(budget: Budget, kind: type[BaseTrainer]) -> type[BaseTrainer]:
    """A kind of trainer, with a schedule by the share of a budget instead of by epochs."""

    class Within(kind):  # type: ignore[misc, valid-type]
        @property
        def learning_rate(self) -> float:
            decay = self.settings.decay_epochs / self.settings.epochs
            left = 1 - budget.share
            return self.settings.lr * min(1.0, left / decay if decay else 1.0)

    class WithinPaired(Within):
        _first_free: int | None = None

        @property
        def first_free(self) -> int:
            if self._first_free is None and budget.share >= self.settings.free_from:
                self._first_free = self.iteration + 2  # the batch before it may be made already
            return sys.maxsize if self._first_free is None else self._first_free

        def state_dict(self) -> dict[str, Any]:
            return super().state_dict() | {"first_free": self._first_free}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            super().load_state_dict(state)
            self._first_free = state["first_free"]

    return WithinPaired if issubclass(kind, PairedTrainer) else Within
