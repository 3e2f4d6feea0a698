"""Compare fine-tuning on a few AUs with training on them from random weights.

python bench/other_aus.py --shards shards/ --weights v1.safetensors [--aus 1,4,12,25,45]
    [--iterations 400] [--warmup 600]

Both generators are trained on the same batches, each with its own critic, which regresses these AUs
only. The validation error of both is measured on the same held-out faces: the mean squared error of
these AUs, by the estimator, divided by that of the unchanged photographs. Below 1, generated faces
show the target AUs better than the photographs.
"""

from dataclasses import replace
from pathlib import Path

import click
import torch

from ganim.model.config import CriticSettings, TrainSettings
from ganim.model.data import load_faces
from ganim.model.networks.load import load_generator
from ganim.model.training.resume import start
from ganim.model.training.validation import Validation
from ganim.pipeline.action_units import in_words, parse_numbers

CPU = torch.device("cpu")


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path), required=True)
@click.option("--aus", default="1,4,12,25,45")
@click.option("--iterations", type=int, default=400, help="Iterations after the warmup.")
@click.option("--warmup", type=int, default=600, help="Iterations of the critic alone.")
@click.option("--every", type=int, default=100, help="Iterations between validations.")
@click.option("--faces", "count", type=int, default=128, help="Held-out faces.")
@click.option("--most", type=int, default=4000, help="Faces to train on.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    required=True,
    help="To start from: of the paper's generator, as one of --architecture flow keeps its AUs.",
)
def main(
    shards: Path,
    aus: str,
    iterations: int,
    warmup: int,
    every: int,
    count: int,
    most: int,
    weights: Path,
) -> None:
    before, size = load_generator(weights)
    known = parse_numbers(aus)
    faces = load_faces(shards, "train", size, most=most)
    validation = Validation(load_faces(shards, "test", size, most=count), CPU, known)
    settings = TrainSettings(
        size=size,
        batch=8,
        epochs=-(-(iterations + warmup) * 8 // len(faces)),
        decay_epochs=0,
        critic_steps=1,
        critic_warmup=warmup,
        lr=2e-4,
        ema=0.99,
        generator=replace(before.settings, aus=known),
        critic=CriticSettings(32, 5),
    )
    trainers = {
        "fine-tuned": start(settings, faces, CPU, weights),
        "from random": start(settings, faces, CPU),
    }
    print(f"{len(faces)} faces of {size} px, batch 8, critics warmed up for {warmup} iterations")
    print(f"AU error ÷ that of the photographs, of {in_words(known)}")
    print(f"{len(validation.faces)} held-out faces")
    print(f"{weights.name} before training: {validation.error(before) / validation.copy_error:.3f}")
    print(f"{'iterations':>10}" + "".join(f"{name:>14}" for name in trainers), flush=True)
    for done in range(0, iterations + 1, every):
        ratios = []
        for trainer in trainers.values():
            while trainer.iteration < warmup + done:
                trainer.step()
            ratios.append(validation.error(trainer.averaged_generator) / validation.copy_error)
        print(f"{done:10}" + "".join(f"{ratio:14.3f}" for ratio in ratios), flush=True)


if __name__ == "__main__":
    main()
