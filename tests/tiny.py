"""The smallest training that has all its parts, and shards for it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganim.model.config import CriticSettings, GeneratorSettings, TrainSettings
from ganim.model.data import Faces
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS, COUNT
from ganim.pipeline.faces.crop import encode_jpeg

TINY = TrainSettings(
    size=64,
    batch=4,
    epochs=1,
    decay_epochs=0,
    critic_steps=1,
    precision="fp32",
    generator=GeneratorSettings(8, 1),
    critic=CriticSettings(8, 4),
)


def smooth_faces(count: int, size: int) -> Faces:
    """Random crops that are as smooth as faces, with random AUs."""
    draw = torch.Generator().manual_seed(0)
    small = torch.rand(count, 3, 16, 16, generator=draw)
    images = torch.nn.functional.interpolate(small, (size, size), mode="bicubic").clamp(0, 1)
    names = [f"{number:05d}" for number in range(count)]
    aus = torch.rand(count, COUNT, generator=draw)
    return Faces((images * 255).byte(), aus, names, list(names))


def random_shards(
    folder: Path, faces: dict[str, int], size: int, in_series: int | None = None
) -> None:
    """Write shards of smooth random crops with random AUs.

    faces: how many each split has. size: of the crops in pixels, a multiple of 4. in_series: how
    many are of one series; None: none are.
    """
    draw = np.random.default_rng(0)
    for split, count in faces.items():
        rows: list[dict[str, Any]] = []
        for number in range(count):
            crop = draw.integers(0, 255, (4, 4, 3), np.uint8)
            crop = crop.repeat(size // 4, 0).repeat(size // 4, 1)
            row = {
                "key": f"{split}{number}#0",
                "source": f"{split}{number}",
                "image": {"bytes": encode_jpeg(crop), "path": None},
                "status": shards.OK,
            }
            if in_series is not None:
                row["series"] = f"{split}{number // in_series}"
            rows.append(row | {name: float(draw.uniform(0, 5)) for name in COLUMNS})
        shards.write_shard(folder / f"{split}-00000.parquet", shards.rows_to_table(rows))


def randomise(generator: torch.nn.Module, deviation: float = 0.1) -> None:
    """Random weights for all that is trained; what finds objects before a face is not, and at
    random weights would find all of it covered and keep it still."""
    for parameter in generator.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, 0, deviation)
