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
from typing import Any

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
STEPS = 400
"""Optimiser steps of a classifier."""

Scorer = Callable[[Tensor], Tensor]
"""Crops (n, 3, h, w) uint8 to scores (n,); higher for what looks edited."""
Learner = Callable[[Tensor, Tensor, torch.Generator, int], Scorer]
"""Photographs, edits, the draws and the number of steps to a scorer."""


@dataclass(frozen=True)
class Distinguishability:
    """How well a classifier tells edits from photographs, on people that it was not trained on."""

    ranks: np.ndarray
    """(edits,) in 0-1: the share of photographs that look less edited. Their mean over some edits
    is the AUC of these."""
    scores: np.ndarray
    """(edits,): what the classifier says, in standard deviations of the photographs from their
    mean; higher for what looks edited. It orders edits of equal rank."""

    @property
    def overall(self) -> float:
        """AUC over all edits together."""
        return float(self.ranks.mean())

    def by(self, labels: np.ndarray) -> dict[Any, float]:
        """AUC of the edits with each label; labels: (edits,)."""
        return {label: float(self.ranks[labels == label].mean()) for label in np.unique(labels)}


def distinguish(
    photographs: np.ndarray,
    edits: np.ndarray,
    people: np.ndarray,
    edit_people: np.ndarray,
    kind: str = "convolutional",
    seed: int = 0,
    steps: int = STEPS,
) -> Distinguishability:
    """Train and test a classifier in three folds of people.

    Args:
        photographs: (n, h, w, 3) uint8.
        edits: (m, h, w, 3) uint8.
        people, edit_people: (n,) and (m,), who is in each; no person is trained and tested on.
        kind: one of KINDS.
        seed: decides the folds, the network's first weights and its batches.
        steps: of the network's training.

    Raises ValueError if there are fewer than three people.
    """
    draw = torch.Generator().manual_seed(seed)
    edited = np.unique(edit_people)
    if min(len(edited), len(np.unique(people))) < _FOLDS:
        raise ValueError(f"a classifier needs photographs and edits of {_FOLDS} people or more")
    fold_of = {
        name: number % _FOLDS
        for group in (edited, np.setdiff1d(people, edited))
        for number, name in enumerate(group[torch.randperm(len(group), generator=draw).numpy()])
    }
    of_real, of_fake = (np.array([fold_of[name] for name in who]) for who in (people, edit_people))
    real, fake = (torch.from_numpy(rows).permute(0, 3, 1, 2) for rows in (photographs, edits))
    ranks, scores = torch.full((len(fake),), torch.nan), torch.full((len(fake),), torch.nan)
    for fold in range(_FOLDS):
        score = KINDS[kind](real[of_real != fold], fake[of_fake != fold], draw, steps)
        tested = of_fake == fold
        among, found = score(real[of_real == fold]), score(fake[tested])
        ranks[tested] = _ranked(found, among)
        scores[tested] = (found - among.mean()) / among.std().clamp(min=1e-6)
    return Distinguishability(ranks.numpy(), scores.numpy())


def floor(
    photographs: np.ndarray,
    people: np.ndarray,
    kind: str = "convolutional",
    seed: int = 0,
    steps: int = STEPS,
) -> float:
    """The AUC of photographs of half of the people against photographs of the others: what chance
    gives with so many pictures, 0.5 on average. The arguments are those of `distinguish`."""
    names = np.random.default_rng(seed).permutation(np.unique(people))
    half = np.isin(people, names[: len(names) // 2])
    return distinguish(
        photographs[~half], photographs[half], people[~half], people[half], kind, seed, steps
    ).overall


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
        halves = [
            crops[torch.randint(len(crops), (_BATCH // 2,), generator=draw)]
            for crops in (real, fake)
        ]
        batch = to_model(torch.cat(halves))
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
        return torch.cat([network(to_model(part))[:, 0] for part in crops.split(_BATCH)])

    return score


def _statistics(crops: Tensor) -> Tensor:
    """(n, features): mean and spread of luma and chroma, and the strength of detail at two scales,
    in each cell."""
    return torch.cat([_cell_statistics(to_model(part)) for part in crops.split(_BATCH)])


def _cell_statistics(crops: Tensor) -> Tensor:
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
