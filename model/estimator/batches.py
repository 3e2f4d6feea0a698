"""Batches of augmented crops, and the optimiser, for the training of the estimator."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .augment import Augmentation, augment, corrupt
from .data import Examples

_AHEAD = 4
"""Batches that are prepared in advance."""


class Batch(NamedTuple):
    """One batch of n examples, of which the last are corrupted."""

    chosen: Tensor
    """(n,), positions of the examples."""
    crops: Tensor
    """(n, 3, size, size) in -1..1, channels last in memory."""
    landmarks: Tensor
    """(n - corrupted, 68, 2) in -1..1 across the crop."""


def batches(
    examples: Examples,
    count: int,
    how: Augmentation,
    *,
    size: int,
    seed: int,
    corrupted: int = 0,
    coded_share: float = 0.0,
) -> Iterator[Batch]:
    """Yield `count` batches, prepared in a thread while the caller computes.

    Args:
        how: the augmentation.
        size: examples per batch.
        corrupted: how many of them, at the end of each batch, are corrupted.
        coded_share: the fraction of each batch that is drawn from the examples that human coders
            scored, if there are any. The others are drawn without replacement in each epoch.
    """
    generator = torch.Generator().manual_seed(seed)
    coded = torch.from_numpy(examples.coded)
    drawn_again = round(size * coded_share) if len(coded) else 0
    clear = size - corrupted

    def positions() -> Iterator[Tensor]:
        fresh = size - drawn_again
        while True:
            for part in torch.randperm(len(examples), generator=generator).split(fresh):
                if len(part) == fresh:
                    more = torch.randint(max(1, len(coded)), (drawn_again,), generator=generator)
                    yield torch.cat([coded[more], part]) if drawn_again else part

    def prepare(chosen: Tensor) -> Batch:
        crops, landmarks = augment(
            examples.faces.images[chosen], examples.landmarks[chosen], generator, how
        )
        if corrupted:
            crops[clear:] = corrupt(crops[clear:], generator)
        crops = (crops * 2 - 1).contiguous(memory_format=torch.channels_last)
        return Batch(chosen, crops, landmarks[:clear])

    order = positions()
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(prepare, next(order)) for _ in range(_AHEAD)]
        for _ in range(count):
            ahead.append(pool.submit(prepare, next(order)))
            yield ahead.pop(0).result()


def one_cycle(
    parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW, and its learning rate schedule over `steps`.

    The rate rises to `lr` in the first tenth of the steps, and then falls to nearly zero.
    """
    optimizer = torch.optim.AdamW(parameters, lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.1)
    return optimizer, schedule
