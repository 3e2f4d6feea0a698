"""What a training would take, found out by ten of its iterations; nothing is written."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from ..config import TrainSettings
from ..data import constant_aus, load_faces
from . import validation
from .distributed import join
from .resume import start
from .trainer import Trainer

_MEASURED = 10


@dataclass(frozen=True)
class Plan:
    """What a training would take on this machine."""

    faces: int
    held_out: int
    iterations: int
    generator_steps: int
    generator_parameters: int
    critic_parameters: int
    device: str
    precision: str
    processes: int
    seconds: float
    """From the first iteration to the last."""
    photographs_per_second: float
    memory: int
    """Most that was taken, in bytes: of the device's, or of this process's on a CPU."""
    disk: int
    """Bytes in the run folder, at most, without pictures."""

    def in_words(self) -> str:
        """The plan as lines of text."""
        share = f", in each of {self.processes} processes" if self.processes > 1 else ""
        return "\n".join(
            [
                f"faces       {self.faces:,} to train on, {self.held_out} held out to measure on",
                f"iterations  {self.iterations:,}, of which {self.generator_steps:,} with a step "
                "of the generator",
                f"parameters  generator {self.generator_parameters:,}, critic "
                f"{self.critic_parameters:,}",
                f"device      {self.device}, {self.precision}",
                f"memory      {self.memory / 2**30:.1f} GiB at most{share}",
                f"disk        {self.disk / 2**30:.2f} GiB in the run's folder",
                f"speed       {self.photographs_per_second:.1f} photographs a second",
                f"time        {_duration(self.seconds)}",
                "Nothing was written. The time is without measuring and drawing at each epoch.",
            ]
        )


def measure(
    shards: Path,
    settings: TrainSettings,
    device: torch.device | None = None,
    init: Path | None = None,
) -> Plan:
    """Try a training for ten iterations. Raises what `run.train` raises for its input."""
    settings.validate()
    with join(device) as (workers, device):
        faces = load_faces(shards, "train", settings.size)
        test = load_faces(shards, "test", settings.size, most=validation.MOST)
        constant_aus(faces, settings.generator.aus)
        trainer = start(settings, faces, device, init, workers)
        warmup = min(settings.critic_warmup, trainer.iterations)
        alone = _seconds(trainer, 0, _MEASURED) if warmup else 0.0
        # Whole rounds of critic and generator, as many as make ten iterations.
        rounds = -(-_MEASURED // settings.critic_steps) * settings.critic_steps
        both = _seconds(trainer, settings.critic_warmup, rounds)
        seconds = warmup * alone + (trainer.iterations - warmup) * both
        networks = [_bytes(network) for network in (trainer.generator, trainer.critic)]
        return Plan(
            faces=len(faces),
            held_out=len(test),
            iterations=trainer.iterations,
            generator_steps=-(-(trainer.iterations - warmup) // settings.critic_steps),
            generator_parameters=_parameters(trainer.generator),
            critic_parameters=_parameters(trainer.critic),
            device=str(device),
            precision="bf16" if trainer.bf16 else "fp32",
            processes=workers.count,
            seconds=seconds,
            photographs_per_second=settings.batch / both,
            memory=_peak_memory(device),
            # A state holds networks and two moments of Adam each, and the average; two are kept.
            disk=2 * (3 * sum(networks) + networks[0]) + 2 * networks[0] // 2,
        )


def _seconds(trainer: Trainer, start: int, count: int) -> float:
    """Mean time of an iteration from `start` on, after a first round that is not counted."""
    trainer.iteration = start
    for _ in range(trainer.settings.critic_steps):
        trainer.step()
    trainer.iteration = start
    _wait(trainer.device)
    began = time.perf_counter()
    for _ in range(count):
        trainer.step()
    _wait(trainer.device)
    return (time.perf_counter() - began) / count


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"about {hours} h {minutes} min" if hours else f"about {seconds / 60:.1f} min"


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _bytes(network: torch.nn.Module) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
