"""The dry run of a training: time, memory and disk space, estimated from a few iterations."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from ..config import TrainSettings
from ..data import constant_aus, load_faces
from . import validation
from .distributed import join
from .paired_trainer import PairedTrainer
from .resume import AnyTrainer, start

_ITERATIONS = 10


@dataclass(frozen=True)
class Plan:
    """What a training takes on this machine."""

    faces: int
    """Training faces."""
    held_out: int
    """Test faces that are used for validation."""
    iterations: int
    generator_steps: int
    """Iterations in which the generator is trained."""
    generator_parameters: int
    critic_parameters: int
    device: str
    precision: str
    """`bf16` or `fp32`."""
    processes: int
    seconds: float
    """Time of all iterations, without validation and pictures."""
    photographs_per_second: float
    """Over all processes together."""
    memory: int
    """Peak memory in bytes: of the GPU, or of this process on a CPU."""
    disk: int
    """Size of the run folder in bytes, without pictures, at most."""

    def in_words(self) -> str:
        """The plan as text, one line for each item."""
        share = f", in each of {self.processes} processes" if self.processes > 1 else ""
        return "\n".join(
            [
                f"faces       {self.faces:,} to train on, {self.held_out} held out for validation",
                f"iterations  {self.iterations:,}, of which {self.generator_steps:,} with a step "
                "of the generator",
                f"parameters  generator {self.generator_parameters:,}, critic "
                f"{self.critic_parameters:,}",
                f"device      {self.device}, {self.precision}",
                f"memory      {self.memory / 2**30:.1f} GiB at most{share}",
                f"disk        {self.disk / 2**30:.2f} GiB in the run folder",
                f"speed       {self.photographs_per_second:.1f} photographs a second",
                f"time        {_duration(self.seconds)}",
                "Nothing was written. The time does not include validation and pictures.",
            ]
        )


def measure(
    shards: Path,
    settings: TrainSettings,
    device: torch.device | None = None,
    init: Path | None = None,
) -> Plan:
    """Train for ten iterations of each phase without writing anything. The phases are the warm-up
    and what follows it; with pairs, pairs alone and then unpaired faces, too.

    The arguments, and the errors raised for them, are those of `run.train`.
    """
    settings.validate()
    with join(device) as (workers, device):
        faces = load_faces(shards, "train", settings.loaded_size)
        test = load_faces(shards, "test", settings.loaded_size, most=validation.MAX_FACES)
        constant_aus(faces, settings.generator.aus)
        trainer = start(settings, faces, device, init, workers)
        if isinstance(trainer, PairedTrainer):
            warmup, critic_steps, turn = 0, 1, trainer.first_free
        else:
            turn = warmup = min(settings.critic_warmup, trainer.iterations)
            critic_steps = settings.critic_steps
        # A multiple of critic_steps, so that the generator's share of the time is right.
        count = -(-_ITERATIONS // critic_steps) * critic_steps
        seconds = sum(
            length * _seconds_per_iteration(trainer, first, measured)
            for first, length, measured in (
                (0, turn, _ITERATIONS),
                (turn, trainer.iterations - turn, count),
            )
            if length
        )
        generator_bytes = _bytes(trainer.generator)
        critic_bytes = sum(map(_bytes, trainer.critics))
        # A state holds both networks with two moments of Adam each, and the averaged generator.
        # The folder holds two states, and two weights files in half precision.
        state_bytes = 3 * (generator_bytes + critic_bytes) + generator_bytes
        return Plan(
            faces=len(faces),
            held_out=len(test),
            iterations=trainer.iterations,
            generator_steps=-(-(trainer.iterations - warmup) // critic_steps),
            generator_parameters=_parameters(trainer.generator),
            critic_parameters=sum(map(_parameters, trainer.critics)),
            device=str(device),
            precision="bf16" if trainer.bf16 else "fp32",
            processes=workers.count,
            seconds=seconds,
            photographs_per_second=settings.batch * trainer.iterations / seconds,
            memory=_peak_memory(device),
            disk=2 * state_bytes + 2 * generator_bytes // 2,
        )


def _seconds_per_iteration(trainer: AnyTrainer, start: int, count: int) -> float:
    """Mean time of `count` iterations from `start` on, after critic_steps that are not timed."""
    trainer.iteration = start
    for _ in range(trainer.settings.critic_steps):
        trainer.step()
    trainer.iteration = start
    _synchronize(trainer.device)
    began = time.perf_counter()
    for _ in range(count):
        trainer.step()
    _synchronize(trainer.device)
    return (time.perf_counter() - began) / count


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"about {hours} h {minutes} min" if hours else f"about {seconds / 60:.1f} min"


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def _parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _bytes(network: torch.nn.Module) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
