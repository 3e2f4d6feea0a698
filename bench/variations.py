"""Train every variation of `ganim train` on the same small budget and compare them in one table.

python bench/variations.py --shards shards/ [--iterations 1000] [--warmup 2000] [--faces 128]

All start from the same critic, which was trained to measure AUs only, and train on the same faces
in the same order, at 64 px with narrow networks. The columns, on the same held-out faces: the AU
error (mean squared, 0-1) that the estimator measures, divided by that of the unedited photographs;
the distance of face_recognition's descriptors before and after (the same person below 0.6); the
mean attention; processor seconds per iteration. The budget is far too small for good pictures: the
table compares how fast each variation begins to learn, not the quality it reaches. `--only` selects
variations.
"""

import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from ganim.model.config import CriticSettings, GeneratorSettings, LossWeights, TrainSettings
from ganim.model.data import load_faces
from ganim.model.landmarks.dlib_models import descriptors, hog_box
from ganim.model.networks.generator import Generator
from ganim.model.pixels import from_model, to_model
from ganim.model.training.trainer import Trainer
from ganim.model.training.validation import Validation

SIZE = 64
SETTINGS = TrainSettings(
    size=SIZE,
    batch=8,
    decay_epochs=0,
    critic_steps=1,
    lr=2e-4,
    ema=0.99,
    critic=CriticSettings(24, 5),
)
BASE = GeneratorSettings(16, 3, "nearest", "adain", "residual")
VARIATIONS: dict[str, dict[str, Any]] = {
    "adain, residual, nearest": {},
    "as published": {"conditioning": "concat", "colour": "absolute", "upsampling": "transposed"},
    "concat": {"conditioning": "concat"},
    "absolute colour": {"colour": "absolute"},
    "transposed": {"upsampling": "transposed"},
    "no attention": {"attention": False},
    "no attention loss": {"weights": LossWeights(attention=0.0, tv=0.0)},
    "not affine": {"affine": False},
    "relative AUs": {"relative": True},
    "perceptual identity": {"weights": LossWeights(perceptual=1.0)},
    "half single AUs": {"single_au": 0.5},
    "balanced AUs": {"balanced_aus": True},
    "motion": {"motion": True},
}


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path), required=True)
@click.option("--iterations", type=int, default=1000, help="Iterations of both networks.")
@click.option(
    "--warmup",
    type=int,
    default=2000,
    help="Of the critic only, before all variations.",
)
@click.option("--faces", "count", type=int, default=128, help="Held-out faces.")
@click.option("--most", type=int, default=8000, help="Training faces.")
@click.option("--only", multiple=True, type=click.Choice(list(VARIATIONS)))
def main(
    shards: Path, iterations: int, warmup: int, count: int, most: int, only: tuple[str, ...]
) -> None:
    """Train the variations and print a row for each."""
    faces = load_faces(shards, "train", SIZE, most=most)
    held_out = Validation(load_faces(shards, "test", SIZE, most=count), torch.device("cpu"))
    box = hog_box(shards, SIZE)
    epochs = -(-max(iterations, warmup) * SETTINGS.batch // len(faces))
    settings = replace(SETTINGS, epochs=epochs)
    print(f"{len(faces)} faces, {warmup} + {iterations} iterations of 8; {count} held out")
    print(f"{'':<26} {'AU error ÷ unedited':>19} {'identity':>9} {'attention':>9} {'s/iter':>7}")
    warmed_up = Trainer(replace(settings, critic_warmup=warmup), faces, torch.device("cpu"))
    for _ in range(warmup):
        warmed_up.step()
    for name in only or VARIATIONS:
        changes = VARIATIONS[name]
        of_generator = {k: v for k, v in changes.items() if k in GeneratorSettings.__annotations__}
        others = {k: v for k, v in changes.items() if k not in of_generator}
        variation = replace(settings, generator=replace(BASE, **of_generator), **others)
        trainer = Trainer(variation, faces, torch.device("cpu"))
        trainer.critic.load_state_dict(warmed_up.critic.state_dict())
        trainer.critic_adam.load_state_dict(warmed_up.critic_adam.state_dict())
        seconds = []
        for _ in range(iterations):
            began = time.process_time()
            trainer.step()
            seconds.append(time.process_time() - began)
        generator = trainer.averaged_generator
        error = held_out.error(generator) / held_out.copy_error
        identity, attention = identity_and_attention(generator, held_out, box)
        step = statistics.median(seconds)
        print(f"{name:<26} {error:19.3f} {identity:9.3f} {attention:9.3f} {step:7.3f}", flush=True)


@torch.inference_mode()
def identity_and_attention(
    generator: Generator, held_out: Validation, box: list[int]
) -> tuple[float, float]:
    """Mean distance of the descriptors before and after, and mean attention, 0-1."""
    images = to_model(held_out.faces.images)
    masks = generator(images, held_out.targets, held_out.faces.aus)
    before, after = (
        descriptors(from_model(pictures).round().byte(), box)
        for pictures in (images, masks.blend())
    )
    distance = np.linalg.norm(before - after, axis=1).mean()
    return float(distance), float(masks.attention.mean())


if __name__ == "__main__":
    main()
