"""Can a network trained anew tell edited faces from photographs? A classifier two-sample test.

A generator is trained against its own critics, so what they let pass says little. Here a classifier
that no generator has seen is trained to tell edits from photographs of some people and tested on
other people (Lopez-Paz & Oquab 2017, Revisiting Classifier Two-Sample Tests). An area under the ROC
curve of 0.5 means that it cannot tell them apart; 1 that it always can. It counts faults and does
not weigh them: a soft tooth and a moustache that is none may have the same AUC, so look at the
pictures, too.

Two kinds of classifier are used, lest a generator be trained to please one of them: a convolutional
network, as the critics in training are, and a logistic regression on local statistics, which is
unlike any of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..pixels import to_model

_FOLDS = 3
_BATCH = 32
_SHIFT = 6
"""Crops are shifted by up to so many pixels and mirrored while the network learns."""
_CELLS = 8
"""The logistic regression looks at 8x8 cells of a crop."""
_RIDGE = 1e-2

Scorer = Callable[[Tensor], Tensor]
"""Crops (n, 3, h, w) in -1..1 to scores (n,); higher for what looks edited."""
Learner = Callable[[Tensor, Tensor, torch.Generator, int], Scorer]
"""Photographs, edits, the draws and the number of steps to a scorer."""


@dataclass(frozen=True)
class Distinguishability:
    """How well a classifier tells edits from photographs, on people that it was not trained on."""

    overall: float
    """AUC over all edits together."""
    by_edit: np.ndarray
    """(edits,) AUC of each kind of edit."""
    scores: np.ndarray
    """(people, edits): a rank in 0-1 among the photographs; 1 looks more edited than all."""


def distinguish(
    photographs: np.ndarray,
    edits: np.ndarray,
    kind: str = "convolutional",
    seed: int = 0,
    steps: int = 400,
) -> Distinguishability:
    """Train and test a classifier in three folds of people.

    photographs: (people, h, w, 3) uint8. edits: (people, edits, h, w, 3) uint8, of the same people
    in the same order. kind: one of KINDS. steps: of the network's training.
    """
    draw = torch.Generator().manual_seed(seed)
    people, count = edits.shape[:2]
    fold = torch.randperm(people, generator=draw) % _FOLDS
    real = to_model(torch.from_numpy(photographs).permute(0, 3, 1, 2))
    fake = to_model(torch.from_numpy(edits).permute(0, 1, 4, 2, 3))
    of_real, of_fake = torch.empty(people), torch.empty(people, count)
    for number in range(_FOLDS):
        seen, unseen = fold != number, fold == number
        score = KINDS[kind](real[seen], fake[seen].flatten(0, 1), draw, steps)
        of_real[unseen] = _ranked(score(real[unseen]), score(real[unseen]))
        tested = score(fake[unseen].flatten(0, 1))
        of_fake[unseen] = _ranked(tested, score(real[unseen])).view(-1, count)
    ranks = of_fake.numpy()
    return Distinguishability(float(ranks.mean()), ranks.mean(0), ranks)


def _ranked(scores: Tensor, among: Tensor) -> Tensor:
    """(n,): share of the photographs' scores that lie below each score, ties by half. The mean over
    edits is the AUC (Mann-Whitney)."""
    below = (among[None] < scores[:, None]).float().mean(1)
    equal = (among[None] == scores[:, None]).float().mean(1)
    return below + equal / 2


def _convolutional(real: Tensor, fake: Tensor, draw: torch.Generator, steps: int) -> Scorer:
    """A network of four strided convolutions, trained from nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=draw)))
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 32), (32, 64), (64, 96), (96, 128)):
            layers += [
                nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(0.2),
            ]
        network = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(4), nn.Flatten(), nn.Dropout(0.3))
        network.append(nn.Linear(128 * 16, 1))
    adam = torch.optim.AdamW(network.parameters(), 5e-4, weight_decay=1e-2)
    labels = torch.cat([torch.zeros(_BATCH // 2), torch.ones(_BATCH // 2)])
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = 5e-4 * (1 - step / steps)
        batch = torch.cat(
            [
                crops[torch.randint(len(crops), (_BATCH // 2,), generator=draw)]
                for crops in (real, fake)
            ]
        )
        down, across = torch.randint(-_SHIFT, _SHIFT + 1, (2,), generator=draw).tolist()
        batch = batch.roll((down, across), (2, 3))
        if torch.rand((), generator=draw) < 0.5:
            batch = batch.flip(3)
        loss = F.binary_cross_entropy_with_logits(network(batch)[:, 0], labels)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
    network.eval()

    @torch.no_grad()
    def score(crops: Tensor) -> Tensor:
        return torch.cat([network(part)[:, 0] for part in crops.split(64)])

    return score


def _statistics(crops: Tensor) -> Tensor:
    """(n, features): mean and spread of luma and chroma, and the strength of detail at two scales,
    in each cell."""
    red, green, blue = crops.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = torch.stack([luma, red - luma, blue - luma], 1)
    size = crops.shape[-1] // _CELLS
    means = F.avg_pool2d(planes, size)
    spreads = (F.avg_pool2d(planes.square(), size) - means.square()).clamp(min=0).sqrt()
    details = []
    for width in (3, 7):
        smooth = F.avg_pool2d(planes[:, :1], width, 1, width // 2, count_include_pad=False)
        details.append(F.avg_pool2d((planes[:, :1] - smooth).abs(), size).clamp(min=1e-4).log())
    return torch.cat([means, spreads, *details], 1).flatten(1)


def _logistic(real: Tensor, fake: Tensor, _: torch.Generator, steps: int) -> Scorer:
    """Logistic regression on local statistics, photographs and edits weighted alike."""
    features = torch.cat([_statistics(real), _statistics(fake)]).double()
    labels = torch.cat([torch.zeros(len(real)), torch.ones(len(fake))]).double()
    counts = torch.cat(
        [torch.full((len(part),), 0.5 / len(part)) for part in (real, fake)]
    ).double()
    mean, spread = features.mean(0), features.std(0).clamp(min=1e-6)
    features = (features - mean) / spread
    weights = torch.zeros(features.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        logits = features @ weights[1:] + weights[0]
        errors = F.binary_cross_entropy_with_logits(logits, labels, counts, reduction="sum")
        total = errors + _RIDGE * weights[1:].square().sum()
        total.backward()
        return total

    optimiser.step(loss)
    found = weights.detach()

    def score(crops: Tensor) -> Tensor:
        return (((_statistics(crops).double() - mean) / spread) @ found[1:] + found[0]).float()

    return score


KINDS: dict[str, Learner] = {"convolutional": _convolutional, "statistics": _logistic}
