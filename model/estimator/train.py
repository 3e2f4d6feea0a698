"""Train the estimator on shards that OpenFace annotated, and on human coding where there is any.

    python -m ganim.model.estimator.train --shards shards/ --out estimator.safetensors

Held out are the photographs of the shards' test split. `--human` names a table of what trained
coders saw: columns `photo`, `person` and `aus` (as `1C 12D 15LB`). Its photographs teach a second
reading, on the coders' scale, and are split by person.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import cast

import click
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ...pipeline.action_units import COUNT
from ...pipeline.errors import GanimError
from ..checkpoint import save_weights
from ..ema import averaged
from ..landmarks.alignment import mean_face
from ..pixels import to_model
from .agreement import agreement, by_folder, mean_r
from .annotator import CODINGS, SIZE, Coding
from .augment import Augmentation, augment, spoil
from .data import Examples, load_examples
from .losses import EstimatorWeights, Objective, presumed_codes
from .network import FEATURES, Estimator
from .ridge import Moments

VERSION = "2"
READING = Augmentation(
    shift=0.05,
    scale=0.07,
    turn=0.1,
    mirror=0.0,
    gamma=0.4,
    blur=0.12,
    jpeg=0.15,
    occlusion=0.08,
)
"""How crops are varied while AUs are learned; for landmarks, by more. The view evens out where a
face stands, and what is spoilt too often costs accuracy on what is not. They are not mirrored:
OpenFace's models weigh left and right differently, so of a mirrored face it says something else."""


@dataclass(frozen=True)
class EstimatorSettings:
    """The recipe of the shipped estimator: three lessons, each built on the one before."""

    landmark_epochs: int = 16
    ridge_passes: int = 2
    """Times the faces are gone through for the linear reading: once as they are, then varied."""
    ridge: float = 2e-3
    """Ridge on the linear weights, as a share of the faces gone through."""
    epochs: int = 8
    """Of the correction."""
    batch: int = 64
    landmark_rate: float = 2e-3
    """Peak learning rate of AdamW, reached after a tenth of the steps, then a cosine to zero."""
    rate: float = 5e-4
    """The same for the correction; at 2e-3 it does not settle."""
    weight_decay: float = 0.1
    ema: float = 0.998
    spoilt: int = 4
    """Crops of a batch from which nothing can be read: they teach doubt alone."""
    coded_share: float = 0.08
    """Share of a batch drawn again from the faces that human coders scored."""
    weights: EstimatorWeights = field(default_factory=EstimatorWeights)
    seed: int = 0


def train(examples: Examples, held_out: Examples, settings: EstimatorSettings) -> Estimator:
    """Train on examples; print a line an epoch, with the agreement on those held out."""
    torch.manual_seed(settings.seed)
    estimator = Estimator()
    with torch.no_grad():
        estimator.view.mean_face.copy_(mean_face(examples.landmarks))
        estimator.aligner.head.bias.copy_(examples.landmarks.mean(0).flatten())
    learn_landmarks(estimator, examples, held_out, settings)
    learn_to_read(estimator, examples, settings)
    print(f"linear: {_agreements(estimator, held_out)}", flush=True)
    estimator = learn_to_correct(estimator, examples, held_out, settings)
    calibrate_confidence(estimator, examples)
    return estimator


def learn_landmarks(
    estimator: Estimator, examples: Examples, held_out: Examples, settings: EstimatorSettings
) -> None:
    """First lesson: where the face is."""
    aligner = estimator.aligner.to(memory_format=torch.channels_last)
    optimizer, schedule, steps = _optimizer(
        aligner.parameters(),
        examples,
        replace(settings, rate=settings.landmark_rate),
        settings.landmark_epochs,
    )
    count = steps * settings.landmark_epochs
    batches = _batches(examples, replace(settings, spoilt=0), count, Augmentation())
    for epoch in range(settings.landmark_epochs):
        aligner.train()
        total = 0.0
        for _ in range(steps):
            _, crops, landmarks = next(batches)
            with torch.autocast("cpu", torch.bfloat16):
                found = aligner(crops)
            loss = (found - landmarks).abs().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() / steps
        aligner.eval()
        with torch.inference_mode():
            parts = held_out.faces.images.split(64)
            found = torch.cat([aligner(to_model(part)) for part in parts])
        error = (found - held_out.landmarks).norm(dim=-1).mean() * SIZE / 2
        print(f"landmarks {epoch + 1:3d}  loss {total:.4f}  held-out {error:.2f} px", flush=True)


@torch.inference_mode()
def learn_to_read(estimator: Estimator, examples: Examples, settings: EstimatorSettings) -> None:
    """Second lesson: AUs linearly from histograms and shape, by ridge regression in closed form,
    which finds the fine directions that stochastic gradients take for ever to find."""
    estimator.eval()
    scored = ~examples.facs.isnan()
    targets = {
        "openface": examples.faces.aus,
        "facs": torch.where(scored, examples.facs, presumed_codes(examples)),
    }
    # Coders' own scores count in full, what they would presumably say as much as it does later.
    weight_of = {
        "openface": torch.ones(len(examples)),
        "facs": torch.where(scored.any(1), 1.0, settings.weights.presumed),
    }
    sums = {coding: Moments(FEATURES, COUNT) for coding in CODINGS}
    generator = torch.Generator().manual_seed(settings.seed)
    for number in range(settings.ridge_passes):
        for chosen in torch.arange(len(examples)).split(settings.batch):
            crops = examples.faces.images[chosen].float() / 255
            if number:
                images, landmarks = examples.faces.images[chosen], examples.landmarks[chosen]
                crops, _ = augment(images, landmarks, generator, READING)
            features = estimator.features(crops * 2 - 1)[2]
            for coding, moments in sums.items():
                moments.add(features, targets[coding][chosen], weight_of[coding][chosen])
    for coding, moments in sums.items():
        linear = cast(nn.Linear, estimator.linear[coding])
        weight, bias = moments.ridge(settings.ridge)
        linear.weight.copy_(weight)
        linear.bias.copy_(bias)


def learn_to_correct(
    estimator: Estimator, examples: Examples, held_out: Examples, settings: EstimatorSettings
) -> Estimator:
    """Third lesson: what the linear reading gets wrong, and when to doubt. Returns the average."""
    objective = Objective(examples, settings.weights)
    average = averaged(estimator, settings.ema)
    estimator.requires_grad_(False)
    learning = [estimator.network, estimator.correction, estimator.doubt, objective]
    for part in learning:
        part.requires_grad_(True)
    optimizer, schedule, steps = _optimizer(
        [parameter for part in learning for parameter in part.parameters()],
        examples,
        settings,
        settings.epochs,
    )
    batches = _batches(examples, settings, steps * settings.epochs, READING)
    for epoch in range(settings.epochs):
        estimator.network.train()
        losses: Counter[str] = Counter()
        for _ in range(steps):
            chosen, crops, _ = next(batches)
            terms = objective(estimator(crops), chosen, settings.batch - settings.spoilt)
            optimizer.zero_grad(set_to_none=True)
            sum(terms.values(), torch.zeros(())).backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(estimator)
            losses.update({name: term.item() / steps for name, term in terms.items()})
        shown = "  ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
        agreements = _agreements(cast(Estimator, average.module), held_out)
        print(f"correction {epoch + 1:3d}  {shown}  {agreements}", flush=True)
    return cast(Estimator, average.module).eval()


def _optimizer(
    parameters: Iterable[nn.Parameter], examples: Examples, settings: EstimatorSettings, epochs: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, int]:
    """AdamW, its one cycle, and the steps of an epoch."""
    steps = len(examples) // settings.batch
    optimizer = torch.optim.AdamW(parameters, settings.rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.rate, total_steps=epochs * steps, pct_start=0.1
    )
    return optimizer, schedule, steps


def _batches(
    examples: Examples, settings: EstimatorSettings, count: int, how: Augmentation
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Positions, crops in -1..1 and landmarks of one batch after the other, prepared ahead in a
    thread. The last crops of each are spoilt, and have no landmarks."""
    generator = torch.Generator().manual_seed(settings.seed)
    again = round(settings.batch * settings.coded_share) if len(examples.coded) else 0
    coded = torch.from_numpy(examples.coded)
    clear = settings.batch - settings.spoilt

    def positions() -> Iterator[Tensor]:
        fresh = settings.batch - again
        while True:
            for part in torch.randperm(len(examples), generator=generator).split(fresh):
                if len(part) == fresh:
                    more = torch.randint(max(1, len(coded)), (again,), generator=generator)
                    yield torch.cat([coded[more], part]) if again else part

    def prepare(chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        crops, landmarks = augment(
            examples.faces.images[chosen], examples.landmarks[chosen], generator, how
        )
        if settings.spoilt:
            crops[clear:] = spoil(crops[clear:], generator)
        crops = (crops * 2 - 1).contiguous(memory_format=torch.channels_last)
        return chosen, crops, landmarks[:clear]

    order = positions()
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(prepare, next(order)) for _ in range(4)]
        for _ in range(count):
            ahead.append(pool.submit(prepare, next(order)))
            yield ahead.pop(0).result()


def _agreements(estimator: Estimator, held_out: Examples) -> str:
    shown = [f"r with {of} {mean_r(table):.4f}" for of, table in tables(estimator, held_out)]
    return ", ".join(shown)


def calibrate_confidence(estimator: Estimator, examples: Examples, count: int = 1000) -> None:
    """Set the confidence to 0.95 at the median of clear crops, to 0.05 at that of spoilt ones."""
    generator = torch.Generator().manual_seed(0)
    crops = examples.faces.images[torch.randperm(len(examples), generator=generator)[:count]]
    clear = crops.float() / 255
    spoilt = spoil(clear, generator)
    with torch.inference_mode():
        low, high = (
            torch.cat([estimator(part * 2 - 1).doubt for part in which.split(64)]).median()
            for which in (clear, spoilt)
        )
    estimator.half_doubt.fill_((low + high) / 2)
    estimator.doubt_scale.fill_(((high - low) / 2 / np.log(19)).clamp(min=1e-3))


def predict(estimator: Estimator, images: Tensor, coding: Coding) -> np.ndarray:
    """AUs (n, 17) in 0-1 of crops (n, 3, size, size) uint8."""
    estimator.eval()
    return torch.cat([estimator.read(batch, coding).aus for batch in images.split(64)]).numpy()


def tables(estimator: Estimator, held_out: Examples) -> Iterator[tuple[str, pd.DataFrame]]:
    """Agreement with OpenFace on all held-out faces, then with coders on those they scored."""
    read = predict(estimator, held_out.faces.images, "openface")
    yield "OpenFace", agreement(read, held_out.faces.aus.numpy())
    coded = held_out.subset(held_out.coded)
    if len(coded):
        read = predict(estimator, coded.faces.images, "facs")
        yield "human coders", agreement(read, coded.facs.numpy())


def report(estimator: Estimator, held_out: Examples) -> None:
    """Print the agreement on the held-out faces: with OpenFace, by folder, with human coders."""
    for reference, table in tables(estimator, held_out):
        print(f"\nAgreement with {reference}\n{table.round(3).to_string()}")
    read = predict(estimator, held_out.faces.images, "openface")
    aus = held_out.faces.aus.numpy()
    print("\nMean r with OpenFace over the AUs whose sd exceeds 0.2, by folder")
    for folder, chosen in by_folder(held_out.faces.sources).items():
        print(f"{folder}: {len(chosen)} faces, {mean_r(agreement(read[chosen], aus[chosen])):.4f}")


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path), required=True)
@click.option("--human", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--epochs", type=click.IntRange(min=1), default=EstimatorSettings.epochs)
def main(shards: Path, human: Path | None, out: Path, epochs: int) -> None:
    """Train, write the weights, and print the agreement on the held-out faces."""
    settings = EstimatorSettings(epochs=epochs)
    try:
        examples, held_out = load_examples(shards, human, SIZE)
    except GanimError as error:
        raise click.ClickException(str(error)) from error
    print(f"{len(examples)} faces to train on, {len(examples.coded)} of them coded;", end=" ")
    print(f"{len(held_out)} held out, {len(held_out.coded)} of them coded", flush=True)
    estimator = train(examples, held_out, settings)
    save_weights(
        out,
        estimator.state_dict(),
        "estimator",
        estimator.settings | {"version": VERSION, "recipe": asdict(settings)},
    )
    report(estimator, held_out)


if __name__ == "__main__":
    main()
