"""Every variation of `ganim train` on the same small budget, in one table.

python bench/variations.py --shards shards/ [--iterations 400] [--warmup 300] [--faces 64]

Each trains on the same faces in the same order, at 64 px with narrow networks, and is then judged
on the same held-out faces: the AU error that the estimator reads (mean squared, 0-1), over that of
the photographs as they are; the distance of face_recognition's descriptors before and after (same
person: below 0.6); the mean attention; processor seconds of an iteration. The budget is far too
small for good faces: it compares how fast each begins to learn, not where it ends.
"""

import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from ganim.model.critic import CriticSettings
from ganim.model.data import Faces, from_model, load_faces, to_model
from ganim.model.dlib_faces import descriptors
from ganim.model.generator import Generator, GeneratorSettings
from ganim.model.held_out import HeldOut
from ganim.model.losses import LossWeights
from ganim.model.train_settings import TrainSettings
from ganim.model.training import Trainer

BASE = GeneratorSettings(16, 3, "nearest", "adain", "residual")
VARIATIONS: dict[str, dict[str, Any]] = {
    "adain, residual, nearest": {},
    "as published": {"conditioning": "concat", "colour": "absolute", "upsampling": "transposed"},
    "concat": {"conditioning": "concat"},
    "absolute colour": {"colour": "absolute"},
    "transposed": {"upsampling": "transposed"},
    "no attention": {"attention": False},
    "no attention loss": {"weights": LossWeights(attention=0.0, smoothness=0.0)},
    "not affine": {"affine": False},
    "relative AUs": {"relative": True},
    "perceptual identity": {"weights": LossWeights(perceptual=1.0)},
    "half single AUs": {"single_au": 0.5},
}


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path), required=True)
@click.option("--iterations", type=int, default=400, help="With the generator.")
@click.option("--warmup", type=int, default=300, help="Of the critic alone.")
@click.option("--faces", "count", type=int, default=64, help="Held-out faces to judge on.")
@click.option("--most", type=int, default=2000, help="Faces to train on.")
def main(shards: Path, iterations: int, warmup: int, count: int, most: int) -> None:
    faces = load_faces(shards, "train", 64, most=most)
    held_out = HeldOut(load_faces(shards, "test", 64, most=count), torch.device("cpu"))
    epochs = -(-(iterations + warmup) * 8 // len(faces))
    settings = TrainSettings(
        size=64,
        batch=8,
        epochs=max(epochs, 1),
        decay_epochs=0,
        critic_steps=1,
        critic_warmup=warmup,
        rate=3e-4,
        ema=0.99,
        critic=CriticSettings(24, 5),
    )
    print(f"{len(faces)} faces, {warmup} + {iterations} iterations of 8; {count} held out")
    print(f"{'':<26} {'AU error ÷ copy':>15} {'identity':>9} {'attention':>9} {'s/step':>7}")
    for name, changes in VARIATIONS.items():
        of_generator = {k: v for k, v in changes.items() if k in GeneratorSettings.__annotations__}
        others = {k: v for k, v in changes.items() if k not in of_generator}
        asked = replace(settings, generator=replace(BASE, **of_generator), **others)
        trainer = Trainer(asked, faces, torch.device("cpu"))
        seconds = []
        for _ in range(warmup + iterations):
            began = time.process_time()
            trainer.step()
            seconds.append(time.process_time() - began)
        generator = trainer.averaged_generator
        error = held_out.error(generator) / held_out.copy_error
        identity, attention = look(generator, held_out.faces, held_out.asked)
        step = statistics.median(seconds[warmup:])
        print(f"{name:<26} {error:15.3f} {identity:9.3f} {attention:9.3f} {step:7.3f}", flush=True)


@torch.inference_mode()
def look(generator: Generator, faces: Faces, asked: torch.Tensor) -> tuple[float, float]:
    """Mean distance of descriptors before and after, and mean attention."""
    images = to_model(faces.images)
    masks = generator(images, asked, faces.aus)
    box = [0, 0, images.shape[-1], images.shape[-1]]
    before, after = (
        descriptors(from_model(pictures).round().byte(), box)
        for pictures in (images, masks.blend(images))
    )
    distance = np.linalg.norm(before - after, axis=1).mean()
    return float(distance), float(masks.attention.mean())


if __name__ == "__main__":
    main()
