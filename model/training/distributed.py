"""Training in several processes that torchrun starts: on GPUs through nccl, on CPUs through gloo.

Each process makes its part of every batch; gradients are averaged before each optimiser step, so
that all hold the same weights. Since every term of the objective is a mean over faces, the mean of
the parts' gradients is the gradient of the whole batch, that of the penalty included.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from ...pipeline.errors import NothingUsable, WrongUse

T = TypeVar("T")


@dataclass(frozen=True)
class Workers:
    """The processes of this training, of which one, by itself, is the rule."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """This process's part of a batch. Raises WrongUse if it cannot be divided evenly."""
        if batch % self.count:
            raise WrongUse(
                f"--batch {batch} cannot be divided among {self.count} processes: it counts the "
                f"faces of all of them together. Take a multiple of {self.count}."
            )
        size = batch // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def average_gradients(self, network: nn.Module) -> None:
        """Put the mean over all processes in place of each gradient."""
        if self.count == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        with _company():
            under_way = [dist.all_reduce(gradient, async_op=True) for gradient in gradients]
            for gradient, work in zip(gradients, under_way, strict=True):
                assert work is not None
                work.wait()
                gradient /= self.count

    def gather(self, mine: T) -> list[T]:
        """What each process has, by rank; all must ask at the same time."""
        if self.count == 1:
            return [mine]
        everyones: list[T] = [mine] * self.count
        with _company():
            dist.all_gather_object(everyones, mine)
        return everyones


def speaks() -> bool:
    """Whether this process may print: the first of those that torchrun started, or the only one."""
    return not dist.is_torchelastic_launched() or os.environ["RANK"] == "0"


@contextmanager
def join(device: torch.device | None) -> Iterator[tuple[Workers, torch.device]]:
    """Join the processes that torchrun started, if it did; say who we are and what to train on.

    device: None for this process's GPU where there is one, else the CPU.
    """
    if not dist.is_torchelastic_launched():
        yield Workers(), device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        local, present = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= present:
            raise WrongUse(
                f"torchrun started more processes than this machine has GPUs ({present}): "
                f"--nproc-per-node {present}, or --device cpu."
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    store, rank, count = next(dist.rendezvous("env://"))
    if os.environ["GROUP_WORLD_SIZE"] == "1":
        # torchrun keeps its store over a restart (2.15), and in it the addresses of the lost.
        store = dist.PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count)
    try:
        yield Workers(rank, count), device
        with _company():
            dist.barrier()  # all leave together: the first still writes its page
    finally:
        dist.destroy_process_group()


@contextmanager
def _company() -> Iterator[None]:
    """Turns the loss of another process into a sentence."""
    try:
        yield
    except RuntimeError as error:
        raise NothingUsable(
            "Another process of this training has ended or cannot be reached; torchrun with "
            f"--max-restarts starts all again from the last state. ({str(error).splitlines()[0]})"
        ) from error
