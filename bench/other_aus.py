"""Generators of a few AUs: fine-tuned from one of all 17, and trained from nothing.

python bench/other_aus.py --shards shards/ [--aus 1,4,12,25,45] [--iterations 400] [--warmup 600]

Both train side by side on the same faces in the same order, each with a critic of its own that
reads these AUs alone, and are judged on the same held-out faces: the error of these AUs that the
estimator reads (mean squared, 0-1), over that of the photographs as they are. Below 1 the AUs asked
for are seen.
"""

from dataclasses import replace
from pathlib import Path

import click
import torch

from ganim.model.animation.animator import SHIPPED
from ganim.model.config import CriticSettings, TrainSettings
from ganim.model.data import load_faces
from ganim.model.networks.generator import load_generator
from ganim.model.training.trainer import Trainer
from ganim.model.training.validation import HeldOut
from ganim.pipeline.action_units import in_words, parse_numbers

CPU = torch.device("cpu")


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path), required=True)
@click.option("--aus", default="1,4,12,25,45")
@click.option("--iterations", type=int, default=400, help="With the generator.")
@click.option("--warmup", type=int, default=600, help="Of the critic alone, before.")
@click.option("--every", type=int, default=100, help="Iterations from one measure to the next.")
@click.option("--faces", "count", type=int, default=128, help="Held-out faces to judge on.")
@click.option("--most", type=int, default=4000, help="Faces to train on.")
@click.option("--weights", type=click.Path(path_type=Path), default=SHIPPED)
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
    start, size = load_generator(weights)
    known = parse_numbers(aus)
    faces = load_faces(shards, "train", size, most=most)
    held_out = HeldOut(load_faces(shards, "test", size, most=count), CPU, known)
    settings = TrainSettings(
        size=size,
        batch=8,
        epochs=-(-(iterations + warmup) * 8 // len(faces)),
        decay_epochs=0,
        critic_steps=1,
        critic_warmup=warmup,
        lr=2e-4,
        ema=0.99,
        generator=replace(start.settings, aus=known),
        critic=CriticSettings(32, 5),
    )
    trainers = {
        "fine-tuned": Trainer(settings, faces, CPU, weights),
        "from nothing": Trainer(settings, faces, CPU),
    }
    print(f"{len(faces)} faces of {size} px, batch 8, critics warmed up for {warmup} iterations")
    print(f"AU error ÷ that of copying: {in_words(known)}; {len(held_out.faces)} held-out faces")
    print(f"{weights.name} as it is: {held_out.error(start) / held_out.copy_error:.3f}")
    print(f"{'iterations':>10}" + "".join(f"{name:>14}" for name in trainers), flush=True)
    for done in range(0, iterations + 1, every):
        ratios = []
        for trainer in trainers.values():
            while trainer.iteration < warmup + done:
                trainer.step()
            ratios.append(held_out.error(trainer.averaged_generator) / held_out.copy_error)
        print(f"{done:10}" + "".join(f"{ratio:14.3f}" for ratio in ratios), flush=True)


if __name__ == "__main__":
    main()
