"""Batches of equal size."""

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def batch_size(faces: int, max_size: int, workers: int) -> int:
    """The size of batches that keeps all workers equally busy, at most `max_size`.

    Starting a batch may take as long as reading some crops, so batches have at least a third of
    `max_size`, however few the faces are.
    """
    batches_per_worker = math.ceil(faces / (max_size * workers))
    equal = math.ceil(faces / max(1, batches_per_worker * workers))
    return max(equal, max_size // 3, 1)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Divide items into lists of `size`; the last one may be shorter.

    As `itertools.batched` of Python 3.12.
    """
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
