"""The batches of the next iteration, made in a thread on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from ganim.model.training.prefetch import Prefetcher

CPU = torch.device("cpu")


class Inner(NamedTuple):
    b: Tensor


class Made(NamedTuple):
    a: Tensor
    inner: Inner | None


class Stream:
    """What the prefetcher uses of a CUDA stream, without a GPU."""

    device = torch.device("cuda")
    waited = 0

    def wait_stream(self, other: Any) -> None:
        Stream.waited += 1


def make(iteration: int) -> Made:
    return Made(torch.full((2,), iteration), Inner(torch.zeros(1)) if iteration % 2 else None)


def test_on_a_cpu_a_batch_is_made_when_it_is_wanted() -> None:
    made = []
    prefetcher = Prefetcher(lambda i: (made.append(i), make(i))[1], CPU)
    assert prefetcher.batch(3).a.tolist() == [3, 3]
    assert made == [3]


def test_on_a_gpu_the_next_batch_is_made_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    recorded: list[Tensor] = []

    @contextmanager
    def stream(of: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    monkeypatch.setattr(Tensor, "record_stream", lambda self, stream: recorded.append(self))

    def counted(iteration: int) -> Made:
        made.append(iteration)
        return make(iteration)

    prefetcher = Prefetcher(counted, torch.device("cuda"))
    for iteration in (5, 6, 7):
        batch = prefetcher.batch(iteration)
        assert batch.a.tolist() == [iteration, iteration]
    # The tensors of the inner tuples, too, belong to the stream that computes.
    assert len(recorded) == 3 + 2 and Stream.waited == 3
    assert prefetcher.batch(20).a.tolist() == [20, 20]  # after another state was loaded
    assert made[:4] == [5, 6, 7, 8] and made.count(6) == 1 and 20 in made


def test_the_error_of_a_batch_is_raised_where_it_is_wanted() -> None:
    def fails(iteration: int) -> Made:
        raise ValueError("no such face")

    with pytest.raises(ValueError, match="no such face"):
        Prefetcher(fails, CPU).batch(0)
