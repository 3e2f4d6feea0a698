"""Third stage of the training of the estimator: the correction and the doubt, by gradient descent;
then the confidence."""

from collections import Counter
from typing import cast

import numpy as np
import torch

from ..ema import MovingAverage
from .augment import corrupt
from .batches import batches, one_cycle
from .data import Examples
from .losses import Objective
from .network import Estimator
from .settings import READING, EstimatorSettings
from .validation import agreement_summary


def train_correction(
    estimator: Estimator, examples: Examples, held_out: Examples, settings: EstimatorSettings
) -> Estimator:
    """Train the correction of the linear reading and the doubt, and return the averaged estimator.

    Landmarks and linear weights stay fixed. Prints one line per epoch, with the agreement on the
    held-out examples.
    """
    objective = Objective(examples, settings.weights)
    average = MovingAverage(estimator, settings.ema)
    estimator.requires_grad_(False)
    trained = [estimator.network, estimator.correction, estimator.doubt, objective]
    for part in trained:
        part.requires_grad_(True)
    steps = len(examples) // settings.batch
    optimizer, schedule = one_cycle(
        [parameter for part in trained for parameter in part.parameters()],
        settings.lr,
        settings.weight_decay,
        steps * settings.epochs,
    )
    loader = batches(
        examples,
        steps * settings.epochs,
        READING,
        size=settings.batch,
        seed=settings.seed,
        corrupted=settings.corrupted,
        coded_share=settings.coded_share,
    )
    for epoch in range(settings.epochs):
        estimator.network.train()
        losses: Counter[str] = Counter()
        for _ in range(steps):
            batch = next(loader)
            clear = settings.batch - settings.corrupted
            terms = objective(estimator(batch.crops), batch.chosen, clear)
            optimizer.zero_grad(set_to_none=True)
            sum(terms.values(), torch.zeros(())).backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(estimator)
            losses.update({name: term.item() / steps for name, term in terms.items()})
        shown = "  ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
        agreement = agreement_summary(cast(Estimator, average.module), held_out)
        print(f"correction {epoch + 1:3d}  {shown}  {agreement}", flush=True)
    return cast(Estimator, average.module).eval()


def calibrate_confidence(estimator: Estimator, examples: Examples, count: int = 1000) -> None:
    """Set the logistic function from doubt to confidence, on `count` random examples.

    The median doubt of clear crops gets a confidence of 0.95, that of corrupted crops 0.05.
    """
    generator = torch.Generator().manual_seed(0)
    crops = examples.faces.images[torch.randperm(len(examples), generator=generator)[:count]]
    clear = crops.float() / 255
    corrupted = corrupt(clear, generator)
    with torch.inference_mode():
        low, high = (
            torch.cat([estimator(part * 2 - 1).doubt for part in which.split(64)]).median()
            for which in (clear, corrupted)
        )
    estimator.half_doubt.fill_((low + high) / 2)
    # logit(0.95) = log(19)
    estimator.doubt_scale.fill_(((high - low) / 2 / np.log(19)).clamp(min=1e-3))
