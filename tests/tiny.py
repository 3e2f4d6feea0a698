"""The smallest training that has all its parts."""

import torch

from ganim.model.config import CriticSettings, GeneratorSettings, TrainSettings
from ganim.model.data import Faces
from ganim.pipeline.action_units import COUNT

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
