"""Train the estimator on annotated shards.

    python -m ganim.model.train_estimator --shards shards/ --out estimator.safetensors

Held out: photographs of the shards' test split. With `--persons`, a table with the columns
`photo` and `person`, the photographs it covers are split by person instead; and a photograph
from a folder the table covers, but which it does not name, could show anybody and is left out.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import click
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from ..pipeline.action_units import MAX_INTENSITY, NUMBERS
from ..pipeline.errors import GanimError
from .checkpoint import save_weights
from .data import Faces, load_faces
from .ema import averaged
from .estimator import SIZE, Estimator

VERSION = "1"


@dataclass(frozen=True)
class EstimatorSettings:
    """The recipe of the shipped estimator."""

    epochs: int = 24
    batch: int = 64
    rate: float = 2e-3
    """Peak learning rate of AdamW, reached after a tenth of the steps, then a cosine to zero."""
    weight_decay: float = 0.05
    ema: float = 0.998
    seed: int = 0


def split_faces(shards: Path, persons: Path | None, held_out: float = 0.1) -> tuple[Faces, Faces]:
    """Training and held-out faces, no photograph and no known person on both sides."""
    train, test = (load_faces(shards, split, SIZE) for split in ("train", "test"))
    if persons is None:
        return train, test
    person_of = pd.read_csv(persons, dtype=str).set_index("photo")["person"].to_dict()
    covered = {Path(str(photo)).parent for photo in person_of}

    def side(source: str, split: str) -> str | None:
        if source in person_of:
            digest = hashlib.sha1(person_of[source].encode()).digest()
            return "test" if digest[0] < held_out * 256 else "train"
        return None if Path(source).parent in covered else split

    everything = Faces(
        torch.cat([train.images, test.images]),
        torch.cat([train.aus, test.aus]),
        train.keys + test.keys,
        train.sources + test.sources,
    )
    splits = ["train"] * len(train) + ["test"] * len(test)
    sides = np.array([side(*pair) for pair in zip(everything.sources, splits, strict=True)])
    return everything.subset(np.flatnonzero(sides == "train")), everything.subset(
        np.flatnonzero(sides == "test")
    )


def augment(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Crops (n, 3, size, size) in 0-1, varied as photographs in the wild are: mirrored, moved,
    scaled, turned, blurred, darker or brighter, greyer."""
    n, _, size, _ = crops.shape

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=generator) * (high - low) + low

    angle, scale = uniform(-0.14, 0.14), uniform(0.88, 1.14)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = torch.cos(angle) * scale * mirror, -torch.sin(angle) * scale
    matrix[:, 1, 0], matrix[:, 1, 1] = torch.sin(angle) * scale * mirror, torch.cos(angle) * scale
    matrix[:, 0, 2], matrix[:, 1, 2] = uniform(-0.12, 0.12), uniform(-0.12, 0.12)
    grid = F.affine_grid(matrix, list(crops.shape), align_corners=False)
    crops = F.grid_sample(crops, grid, padding_mode="border", align_corners=False)

    blurred = F.interpolate(
        F.interpolate(crops, scale_factor=0.5, mode="area"), (size, size), mode="bilinear"
    )
    amount = uniform(-1.0, 1.0).clamp(min=0.0)[:, None, None, None]
    crops = torch.lerp(crops, blurred, amount)

    grey = crops.mean(1, keepdim=True)
    crops = torch.lerp(crops, grey, uniform(-0.3, 0.6)[:, None, None, None])
    crops = crops.clamp(0.0, 1.0).pow(torch.exp(uniform(-0.5, 0.5))[:, None, None, None])
    mean = crops.mean((1, 2, 3), keepdim=True)
    crops = (crops - mean) * uniform(0.75, 1.25)[:, None, None, None] + mean
    return crops.clamp(0.0, 1.0)


def censored_loss(predicted: Tensor, target: Tensor, deviation: Tensor) -> Tensor:
    """Mean squared error in units of each AU's standard deviation, one-sided at zero.

    OpenFace clips at 0: where it says 0, any prediction below is as right (Tobin 1958).
    """
    error = torch.where(target > 0, predicted - target, predicted.clamp(min=0.0))
    return (error / deviation).square().mean()


def train(faces: Faces, held_out: Faces, settings: EstimatorSettings) -> Estimator:
    """Train on faces; print a line an epoch with the agreement on those held out."""
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    estimator = Estimator().to(memory_format=torch.channels_last)
    average = averaged(estimator, settings.ema)
    optimizer = torch.optim.AdamW(
        estimator.parameters(), settings.rate, weight_decay=settings.weight_decay
    )
    steps = settings.epochs * (len(faces) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.rate, total_steps=steps, pct_start=0.1
    )
    deviation = faces.aus.std(0).clamp(min=0.02)
    for epoch in range(settings.epochs):
        estimator.train()
        losses = []
        order = torch.randperm(len(faces), generator=generator)
        for chosen in order.split(settings.batch)[: len(faces) // settings.batch]:
            crops = augment(faces.images[chosen].float() / 255, generator) * 2 - 1
            with torch.autocast("cpu", torch.bfloat16):
                predicted = estimator(crops.contiguous(memory_format=torch.channels_last))
            loss = censored_loss(predicted.float(), faces.aus[chosen], deviation)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(estimator)
            losses.append(loss.item())
        r = agreement(cast(Estimator, average.module), held_out)["r"]
        print(
            f"epoch {epoch + 1:3d}  loss {np.mean(losses):.4f}  held-out r {r.mean():.4f}",
            flush=True,
        )
    return cast(Estimator, average.module).eval()


def predict(estimator: Estimator, faces: Faces) -> Tensor:
    """AUs (faces, 17) in 0-1, unclamped output clamped."""
    estimator.eval()
    with torch.autocast("cpu", torch.bfloat16):
        return torch.cat([estimator.read(batch) for batch in faces.images.split(128)])


def agreement(estimator: Estimator, faces: Faces) -> pd.DataFrame:
    """A row an AU: Pearson r, mean absolute error (0-5), standard deviation of the reference."""
    predicted, reference = predict(estimator, faces).numpy(), faces.aus.numpy()
    rows = [
        {
            "AU": f"AU{number:02d}",
            "r": np.corrcoef(predicted[:, index], reference[:, index])[0, 1],
            "MAE": np.abs(predicted[:, index] - reference[:, index]).mean() * MAX_INTENSITY,
            "sd": reference[:, index].std() * MAX_INTENSITY,
        }
        for index, number in enumerate(NUMBERS)
    ]
    return pd.DataFrame(rows).set_index("AU")


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path), required=True)
@click.option("--persons", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--epochs", type=click.IntRange(min=1), default=EstimatorSettings.epochs)
def main(shards: Path, persons: Path | None, out: Path, epochs: int) -> None:
    """Train, print the agreement by set, and write the weights."""
    settings = EstimatorSettings(epochs=epochs)
    try:
        faces, held_out = split_faces(shards, persons)
    except GanimError as error:
        raise click.ClickException(str(error)) from error
    print(f"{len(faces)} faces to train on, {len(held_out)} held out", flush=True)
    estimator = train(faces, held_out, settings)
    save_weights(
        out,
        estimator.state_dict(),
        "estimator",
        estimator.settings | {"version": VERSION, "recipe": asdict(settings)},
    )
    report(estimator, held_out)


def report(estimator: Estimator, held_out: Faces) -> None:
    """Print the agreement on the held-out faces, per AU and per folder of photographs."""
    table = agreement(estimator, held_out)
    print(table.round(3).to_string())
    print(f"mean r {table.r.mean():.4f}, MAE {table.MAE.mean():.3f}")
    folders = np.array([str(Path(source).parent) for source in held_out.sources])
    for folder in np.unique(folders):
        chosen = np.flatnonzero(folders == folder)
        mean = agreement(estimator, held_out.subset(chosen)).r.mean()
        print(f"{folder}: {len(chosen)} faces, mean r {mean:.4f}")


if __name__ == "__main__":
    main()
