"""The weights file of a training, which `ganim animate` and `ganim evaluate` read."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from ..checkpoint import load_weights, save_weights
from .base_trainer import BaseTrainer


def save_generator(trainer: BaseTrainer[Any], path: Path) -> None:
    """Write the averaged generator, with what is needed to build it and how it was trained."""
    training = asdict(trainer.settings)
    settings = {
        "generator": training["generator"],
        "size": trainer.settings.size,
        "training": training,
        "faces": len(trainer.faces),
        "iteration": trainer.iteration,
    }
    save_weights(path, trainer.averaged_generator.state_dict(), "generator", settings)


def save_gains(path: Path, gains: Tensor) -> None:
    """Replace the gains (17,) of the flow generator in a weights file."""
    tensors, settings = load_weights(path, kind="generator")
    save_weights(path, tensors | {"gain": gains}, "generator", settings)
