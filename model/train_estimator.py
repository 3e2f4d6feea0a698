"""Train the estimator on shards that OpenFace annotated, and on human coding where there is any.

    python -m ganim.model.train_estimator --shards shards/ --out estimator.safetensors

Held out are the photographs of the shards' test split. `--human` names a table of what trained
coders saw: columns `photo`, `person` and `aus` (as `1C 12D 15LB`). Its photographs teach a second
reading, on the coders' scale, and are split by person.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import click
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..pipeline.errors import GanimError
from .agreement import agreement, by_folder, mean_r
from .alignment import mean_face
from .augment import augment, spoil
from .checkpoint import save_weights
from .ema import averaged
from .estimator import Estimator, Outputs
from .estimator_data import Examples, load_examples
from .estimator_losses import EstimatorWeights, Objective
from .readers import SIZE, Coding

VERSION = "2"


@dataclass(frozen=True)
class EstimatorSettings:
    """The recipe of the shipped estimator."""

    epochs: int = 28
    batch: int = 64
    rate: float = 2e-3
    """Peak learning rate of AdamW, reached after a tenth of the steps, then a cosine to zero."""
    weight_decay: float = 0.05
    ema: float = 0.998
    spoilt: int = 4
    """Crops of a batch from which nothing can be read: they teach doubt alone."""
    coded_share: float = 0.08
    """Share of a batch drawn again from the faces that human coders scored."""
    weights: EstimatorWeights = field(default_factory=EstimatorWeights)
    seed: int = 0


def train(examples: Examples, held_out: Examples, settings: EstimatorSettings) -> Estimator:
    """Train on examples; print a line an epoch with the agreement on those held out."""
    torch.manual_seed(settings.seed)
    estimator = Estimator().to(memory_format=torch.channels_last)
    with torch.no_grad():
        estimator.view.mean_face.copy_(mean_face(examples.landmarks))
        estimator.aligner.head.bias.copy_(examples.landmarks.mean(0).flatten())
    objective = Objective(examples, settings.weights)
    average = averaged(estimator, settings.ema)
    optimizer = torch.optim.AdamW(
        [*estimator.parameters(), *objective.parameters()],
        settings.rate,
        weight_decay=settings.weight_decay,
    )
    steps = len(examples) // settings.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.rate, total_steps=settings.epochs * steps, pct_start=0.1
    )
    batches = _batches(examples, settings, steps * settings.epochs)
    for epoch in range(settings.epochs):
        estimator.train()
        losses: Counter[str] = Counter()
        for _ in range(steps):
            chosen, crops, landmarks = next(batches)
            with torch.autocast("cpu", torch.bfloat16):
                outputs = estimator(crops)
            terms = objective(Outputs(*(value.float() for value in outputs)), chosen, landmarks)
            optimizer.zero_grad(set_to_none=True)
            sum(terms.values(), torch.zeros(())).backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(estimator)
            losses.update({name: term.item() / steps for name, term in terms.items()})
        agreements = tables(cast(Estimator, average.module), held_out)
        shown = [f"{name} {loss:.4f}" for name, loss in losses.items()]
        shown += [f"r with {of} {mean_r(table):.4f}" for of, table in agreements]
        print(f"epoch {epoch + 1:3d}  {'  '.join(shown)}", flush=True)
    estimator = cast(Estimator, average.module).eval()
    calibrate_confidence(estimator, examples)
    return estimator


def _batches(
    examples: Examples, settings: EstimatorSettings, count: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Positions, crops in -1..1 and landmarks of one batch after the other, prepared ahead in a
    thread. The last crops of each are spoilt, and have no landmarks."""
    generator = torch.Generator().manual_seed(settings.seed)
    again = round(settings.batch * settings.coded_share) if len(examples.coded) else 0
    coded = torch.from_numpy(examples.coded)

    def positions() -> Iterator[Tensor]:
        fresh = settings.batch - again
        while True:
            for part in torch.randperm(len(examples), generator=generator).split(fresh):
                if len(part) == fresh:
                    more = torch.randint(max(1, len(coded)), (again,), generator=generator)
                    yield torch.cat([coded[more], part]) if again else part

    def prepare(chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        crops, landmarks = augment(
            examples.faces.images[chosen], examples.landmarks[chosen], generator
        )
        crops[-settings.spoilt :] = spoil(crops[-settings.spoilt :], generator)
        crops = (crops * 2 - 1).contiguous(memory_format=torch.channels_last)
        return chosen, crops, landmarks[: -settings.spoilt]

    order = positions()
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(prepare, next(order)) for _ in range(4)]
        for _ in range(count):
            ahead.append(pool.submit(prepare, next(order)))
            yield ahead.pop(0).result()


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
