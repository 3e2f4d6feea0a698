"""The batch of the next iteration, made while the device computes the present one."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

Batch = TypeVar("Batch", bound=tuple[Any, ...])


class Prefetcher(Generic[Batch]):
    """Calls `make` one iteration ahead, in a thread and a stream of its own.

    On a CPU, `make` is called when its batch is wanted: there the cores compute the present batch.

    make: gives the batch of an iteration: a tuple of tensors, None, and further such tuples. It
    must depend on the number of the iteration alone. device: where it puts them.
    """

    def __init__(self, make: Callable[[int], Batch], device: torch.device) -> None:
        self._make = make
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._pool = ThreadPoolExecutor(1)
        self._next: tuple[int, Future[Batch]] | None = None

    def batch(self, iteration: int) -> Batch:
        """The batch of an iteration."""
        if self._stream is None:
            return self._make(iteration)
        if self._next is None or self._next[0] != iteration:
            self._start(iteration)
        assert self._next is not None
        batch = self._next[1].result()
        present = torch.cuda.current_stream(self._stream.device)
        present.wait_stream(self._stream)
        for tensor in _tensors(batch):
            tensor.record_stream(present)  # else its memory is used anew when `make` needs some
        self._start(iteration + 1)
        return batch

    def _start(self, iteration: int) -> None:
        self._next = iteration, self._pool.submit(self._on_stream, iteration)

    def _on_stream(self, iteration: int) -> Batch:
        with torch.cuda.stream(self._stream):
            return self._make(iteration)


def _tensors(batch: tuple[Any, ...]) -> Iterator[Tensor]:
    for each in batch:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, tuple):
            yield from _tensors(each)
