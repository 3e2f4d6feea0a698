"""What all trainings share: settings, learning rate, optimiser steps, the average and the state."""

from abc import ABC, abstractmethod
from dataclasses import asdict
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from ...pipeline.errors import WrongUse
from ..config import TrainSettings
from ..data import Faces
from ..ema import MovingAverage
from ..networks.load import AnyGenerator
from ..precision import computes_bf16
from . import losses
from .distributed import Workers

Network = TypeVar("Network", bound=AnyGenerator)


class BaseTrainer(ABC, Generic[Network]):
    """A generator, its average, critics, their optimisers and the number of the iteration.

    A subclass sets `generator`, `average`, `iterations_per_epoch`, and what `parts` names.

    settings: of the training. faces: the training faces. device: where to compute. workers: the
    processes that train together; of each batch this process computes its part.
    Raises WrongUse for settings out of range, and for fewer faces than a batch has.
    """

    betas: ClassVar[tuple[float, float]]
    """Of Adam."""
    parts: ClassVar[tuple[str, ...]]
    """Attributes with a state dict of their own within the state of the trainer."""
    critic_parts: ClassVar[tuple[str, ...]]
    """Those of them that are critics. The optimiser of a network `x` is `x_adam`."""
    generator: Network
    generator_adam: torch.optim.Adam
    average: MovingAverage
    iterations_per_epoch: int

    def __init__(
        self,
        settings: TrainSettings,
        faces: Faces,
        device: torch.device,
        workers: Workers | None = None,
    ) -> None:
        settings.validate()
        self.workers = workers or Workers()
        self._part = self.workers.part(settings.batch)
        if len(faces) < settings.batch:
            raise WrongUse(
                f"{len(faces)} annotated faces are fewer than a batch of {settings.batch}: add "
                f"photographs, or train with --batch {len(faces)}."
            )
        self.settings, self.faces, self.device = settings, faces, device
        self.iteration = 0
        self.unlogged: dict[str, list[Tensor]] = {}
        """Metrics since the last line of the log. They are part of the state, so that a training
        that was stopped between two lines logs the same means as an uninterrupted one."""
        self.bf16 = settings.precision == "bf16" or (
            settings.precision == "auto" and computes_bf16(device)
        )
        self._autocast = partial(torch.autocast, device.type, torch.bfloat16, enabled=self.bf16)
        torch.manual_seed(settings.seed)

    @abstractmethod
    def step(self) -> losses.Terms:
        """One iteration. Returns the metrics of this process's part of the batch: scalars."""

    def as_seen(self, faces: Faces) -> Faces:
        """Other faces as the generator sees those of the training."""
        return faces

    @property
    def iterations(self) -> int:
        """The length of the training."""
        return self.iterations_per_epoch * self.settings.epochs

    @property
    def critics(self) -> list[nn.Module]:
        """The networks that judge the generator."""
        return [getattr(self, name) for name in self.critic_parts]

    @property
    def averaged_generator(self) -> Network:
        """The generator whose weights are the running average; the one that is exported."""
        return cast(Network, self.average.module)

    @property
    def learning_rate(self) -> float:
        """Constant, then falling linearly towards 0 over the last `decay_epochs` epochs."""
        left = self.iterations - self.iteration
        decay = self.settings.decay_epochs * self.iterations_per_epoch
        return self.settings.lr * min(1.0, left / decay if decay else 1.0)

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        parameters = [each for each in network.parameters() if each.requires_grad]
        # Fused: one pass over the weights, a tenth of the time on a CPU.
        return torch.optim.Adam(parameters, self.settings.lr, self.betas, fused=True)

    def _average(self, warm: bool) -> MovingAverage:
        return MovingAverage(self.generator, self.settings.ema, warm)

    def _set_learning_rate(self) -> None:
        lr = self.learning_rate
        for name in ("generator", *self.critic_parts):
            for group in getattr(self, f"{name}_adam").param_groups:
                group["lr"] = lr

    def _update(self, network: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        """A step of the optimiser of a network, by the mean gradient over all processes."""
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.workers.average_gradients(network)
        optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed training needs: nested tensors, numbers and texts."""
        return {
            "settings": asdict(self.settings),
            "faces": len(self.faces),
            "iteration": self.iteration,
            "unlogged": {name: torch.stack(each) for name, each in self.unlogged.items()},
            **{name: getattr(self, name).state_dict() for name in self.parts},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the networks and optimisers of a state, and neither its iteration nor metrics."""
        for name in self.parts:
            getattr(self, name).load_state_dict(state[name])


def detached(terms: losses.Terms) -> losses.Terms:
    """The terms without their graphs, to log them."""
    return {name: term.detach() for name, term in terms.items()}
