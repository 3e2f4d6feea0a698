"""Data-parallel training in the processes that torchrun starts.

GPUs use the NCCL backend, CPUs Gloo. Each process computes its part of every batch, and gradients
are averaged before each optimiser step, so that all processes hold the same weights. Every term of
the objective, the gradient penalty included, is a mean over faces; therefore the mean of the
processes' gradients is the gradient of the whole batch.
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
    """The processes of a training; by default this one alone."""

    rank: int = 0
    """The number of this process, from 0."""
    count: int = 1
    """The number of processes (the world size)."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and calls callbacks: rank 0."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """This process's part of a batch of `batch` faces.

        Raises WrongUse if the batch cannot be divided evenly.
        """
        if batch % self.count:
            raise WrongUse(
                f"--batch {batch} cannot be divided among {self.count} processes: it is the number "
                f"of faces of all of them together. Take a multiple of {self.count}."
            )
        size = batch // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def average_gradients(self, network: nn.Module) -> None:
        """Replace each gradient of `network` by its mean over all processes.

        Raises NothingUsable if another process has ended.
        """
        if self.count == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        with _lost_process_reported():
            pending = [dist.all_reduce(gradient, async_op=True) for gradient in gradients]
            for gradient, work in zip(gradients, pending, strict=True):
                assert work is not None
                work.wait()
                gradient /= self.count

    def gather(self, mine: T) -> list[T]:
        """The values that all processes pass, by rank. Every process must call this.

        Raises NothingUsable if another process has ended.
        """
        if self.count == 1:
            return [mine]
        gathered: list[T] = [mine] * self.count
        with _lost_process_reported():
            dist.all_gather_object(gathered, mine)
        return gathered


def is_first_process() -> bool:
    """Whether this process may print: rank 0, or the only one."""
    return not dist.is_torchelastic_launched() or os.environ["RANK"] == "0"


@contextmanager
def join(device: torch.device | None) -> Iterator[tuple[Workers, torch.device]]:
    """Join the process group if torchrun started this process.

    Args:
        device: None for this process's GPU if there is one, else the CPU.

    Yields the workers and the device to train on. Raises WrongUse if there are more processes than
    GPUs.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not dist.is_torchelastic_launched():
        yield Workers(), device
        return
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
        # torchrun (2.15) keeps its store over a restart, with the addresses of ended processes.
        store = dist.PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count)
    try:
        yield Workers(rank, count), device
        with _lost_process_reported():
            dist.barrier()  # the others wait while the first writes its report
    finally:
        dist.destroy_process_group()


@contextmanager
def _lost_process_reported() -> Iterator[None]:
    """Raise NothingUsable in place of torch's error for a process that cannot be reached."""
    try:
        yield
    except RuntimeError as error:
        raise NothingUsable(
            "Another process of this training has ended or cannot be reached. torchrun with "
            f"--max-restarts restarts all from the last state. ({str(error).splitlines()[0]})"
        ) from error
