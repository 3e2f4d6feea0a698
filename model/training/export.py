"""The weights file of a training, which `ganim animate` and `ganim evaluate` read."""

from dataclasses import asdict
from pathlib import Path

from ..checkpoint import save_weights
from .trainer import Trainer


def save_generator(trainer: Trainer, path: Path) -> None:
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
