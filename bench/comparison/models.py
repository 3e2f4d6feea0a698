"""The models that are compared: what each is, how it is trained, how its weights are loaded."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ganim.model.animation.animator import SHIPPED, Animator
from ganim.model.animation.networks import Networks
from ganim.model.checkpoint import fill, load_weights
from ganim.model.config import (
    CriticSettings,
    GeneratorSettings,
    LossWeights,
    PairWeights,
    TrainSettings,
)
from ganim.model.editing.masks import Masks
from ganim.model.estimator.network import load_estimator
from ganim.model.networks.flow_generator import FaceFeatures, FlowGenerator, FlowOutputs
from ganim.model.networks.load import AnyGenerator, load_generator
from ganim.model.networks.torch_renderer import TorchRenderer
from ganim.model.training.base_trainer import BaseTrainer
from ganim.model.training.paired_trainer import PairedTrainer
from ganim.model.training.trainer import Trainer

from .ablations import WithoutClips, WithoutLinearFlow, WithoutNuisance, WithoutUnpaired
from .stargan import LabelGenerator, StarGANTrainer


@dataclass(frozen=True)
class Model:
    """A model that is trained for the comparison."""

    title: str
    settings: TrainSettings
    trainer: type[BaseTrainer] = Trainer
    load: Callable[[Path], tuple[AnyGenerator, int]] = load_generator
    """Gives the generator and its size, as `load_generator` does."""


def _load_stargan(path: Path) -> tuple[LabelGenerator, int]:
    tensors, settings = load_weights(path, kind="generator")
    generator = LabelGenerator(GeneratorSettings(**settings["generator"]))
    fill(generator, tensors, path)
    return generator.eval(), settings["size"]


PUBLISHED = TrainSettings()
MODELS = {
    "ganimation": Model("GANimation as published", PUBLISHED),
    "no-attention": Model(
        "GANimation without attention",
        replace(PUBLISHED, generator=GeneratorSettings(attention=False)),
    ),
    "no-attention-loss": Model(
        "GANimation without attention loss",
        replace(PUBLISHED, weights=LossWeights(attention=0.0, tv=0.0)),
    ),
    # Targets are whole expressions, so no noise is added to their AUs. Batch 16, and a learning
    # rate that falls over the second half, are the paper's.
    "stargan": Model(
        "StarGAN, eight expressions",
        replace(
            PUBLISHED,
            batch=16,
            decay_epochs=15,
            au_noise=0.0,
            generator=GeneratorSettings(attention=False),
        ),
        StarGANTrainer,
        _load_stargan,
    ),
    "adain": Model(
        "GANimation by AdaIN",
        replace(PUBLISHED, generator=GeneratorSettings(conditioning="adain")),
    ),
    # The settings of docs/weights.sh, in batches of 16: to a GPU, 8 faces are little more work.
    "pairs": Model(
        "Ours, with pairs",
        TrainSettings(
            size=160,
            batch=16,
            epochs=6,
            decay_epochs=1,
            lr=2e-4,
            paired=0.6,
            free_from=0.5,
            whole_expressions=0.3,
            generator=GeneratorSettings(width=32, architecture="flow"),
            critic=CriticSettings(width=40),
            pairs=PairWeights(result_adversarial=0.2),
        ),
        PairedTrainer,
    ),
}
"""By the name that commands and folders use."""
_PAIRS = MODELS["pairs"]


def _weights(**weights: float) -> TrainSettings:
    return replace(_PAIRS.settings, pairs=replace(_PAIRS.settings.pairs, **weights))


ABLATIONS = {
    "no-nuisance": Model("Ours, nuisance not told", _PAIRS.settings, WithoutNuisance),
    "no-fields": Model("Ours, flow not linear", _weights(rest=0.5), WithoutLinearFlow),
    "no-landmarks": Model("Ours, flow not supervised", _weights(landmarks=0.0), PairedTrainer),
    "no-matching": Model("Ours, no feature matching", _weights(matching=0.0), PairedTrainer),
    "no-free": Model(
        "Ours, no free targets", replace(_PAIRS.settings, free_from=1.0), PairedTrainer
    ),
    "no-unpaired": Model("Ours, no unpaired faces", _PAIRS.settings, WithoutUnpaired),
    "no-clips": Model("Ours, no clips", _PAIRS.settings, WithoutClips),
}
"""Ours without one of its parts each. `no-fields`: the flow that is not linear has a penalty of 0.5
instead of 10, as it is all that there is."""
ALL = MODELS | ABLATIONS
REFERENCES = {
    "copy": "Copying",
    "moved": "Shipped weights, moving alone",
    "shipped": "Shipped weights",
}
"""What is measured beside them and not trained here."""


def small(settings: TrainSettings) -> TrainSettings:
    """The same training with a quarter of the channels, at 64 px, in batches of 16 at most: so a
    CPU trains for tens of epochs in an hour, and not for one."""
    generator, critic = settings.generator, settings.critic
    return replace(
        settings,
        size=64,
        batch=min(16, settings.batch),
        generator=replace(generator, width=generator.width // 4),
        critic=replace(critic, width=critic.width // 4),
    )


class Copy(nn.Module):
    """A generator that returns the face as it is."""

    settings = GeneratorSettings()

    def forward(self, faces: Tensor, aus: Tensor, own_aus: Tensor | None = None) -> Masks:
        return Masks(torch.ones_like(faces[:, :1]), faces, faces)


class Moving(FlowGenerator):
    """A flow generator that moves the face and paints nothing."""

    def animate(self, face: FaceFeatures, aus: Tensor, own_aus: Tensor) -> Masks:
        return super().animate(face, aus, own_aus).without_paint()

    def outputs(self, faces: Tensor, aus: Tensor, change: Tensor, nuisance: Tensor) -> FlowOutputs:
        made = super().outputs(faces, aus, change, nuisance)
        return made._replace(masks=made.masks.without_paint())


def animator_of(
    weights: Path, generator: nn.Module, size: int, device: str | torch.device
) -> Animator:
    """An Animator of a generator that is there already.

    weights: what tables call it, and where it is from.
    """
    renderer = TorchRenderer(generator, size, device)  # type: ignore[arg-type]
    return Animator.of(Networks(renderer, load_estimator()), weights)


def trained(name: str, weights: Path, device: str | torch.device = "cpu") -> Animator:
    """An Animator of the weights that the model `name` of ALL has left."""
    return animator_of(weights, *ALL[name].load(weights), device)


def reference(name: str, device: str | torch.device = "cpu") -> Animator:
    """An Animator of one of REFERENCES."""
    if name == "copy":
        return animator_of(Path(name), Copy(), 128, device)
    generator, size = load_generator(SHIPPED)
    if name == "moved":
        assert isinstance(generator, FlowGenerator)
        moving = Moving(generator.settings)
        moving.load_state_dict(generator.state_dict())
        generator = moving
    return animator_of(SHIPPED, generator, size, device)
