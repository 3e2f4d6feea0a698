"""StarGAN (Choi et al., CVPR 2018) on eight expressions, as a variation of GANimation's training.

GANimation took networks and adversarial training from StarGAN, so both are ours without attention.
What differs: the generator is asked for one of eight expressions by a label, the critic names the
expression instead of regressing AUs, and the way back is to the label that the face began with.
"""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganim.model.config import GeneratorSettings, TrainSettings
from ganim.model.data import Faces
from ganim.model.editing.masks import Masks
from ganim.model.networks.critic import Critic, CriticOutput
from ganim.model.networks.generator import Generator
from ganim.model.training import losses
from ganim.model.training.base_trainer import detached
from ganim.model.training.sampler import Batch
from ganim.model.training.trainer import Trainer
from ganim.pipeline.action_units import COUNT, NUMBERS
from ganim.pipeline.expressions import expression_aus

_BASIC = ("neutral", "happy", "sad", "fearful", "angry", "surprised", "disgusted")
CLASSES = (*_BASIC, "contemptuous")
"""The eight expressions of RaFD (Langner et al. 2010), on which StarGAN was shown."""
_CONTEMPT = {14: 0.5}
"""Contempt is not in the table of Du et al.; RaFD's actors were asked for AU14."""
_BLINK = NUMBERS.index(45)  # no part of an expression
ADVERSARIAL, GP, CLASSIFICATION, CYCLE = 0.25, 10.0, 1.0, 10.0
"""The paper's weights 1, 10, 1 and 10. The first is 0.25 for the same reason as that of
`LossWeights.adversarial`."""


def _prototypes() -> Tensor:
    """(8, 17) in 0-1: the AUs of each class."""
    aus = [np.nan_to_num(expression_aus(name)) for name in _BASIC]
    contempt = np.zeros(COUNT, np.float32)
    for number, value in _CONTEMPT.items():
        contempt[NUMBERS.index(number)] = value
    return torch.from_numpy(np.stack([*aus, contempt]))


PROTOTYPES = _prototypes()


def classes_of(aus: Tensor) -> Tensor:
    """(n,) positions in CLASSES: the expression whose AUs are nearest to `aus` (n, 17) in 0-1.

    AU45 does not count, as eyes may blink in any expression.
    """
    known = [column for column in range(COUNT) if column != _BLINK]
    return torch.cdist(aus[:, known].float(), PROTOTYPES[:, known].to(aus.device)).argmin(1)


class LabelGenerator(Generator):
    """The generator of StarGAN: GANimation's without attention, given a label instead of AUs.

    It is called with AUs as others are, and takes the label that is nearest to them; so whatever
    animates by AUs can use it.
    """

    def __init__(self, settings: GeneratorSettings) -> None:
        # The label stands where GANimation has its first eight AUs.
        super().__init__(replace(settings, aus=NUMBERS[: len(CLASSES)], attention=False))
        self.settings = replace(settings, attention=False)

    def forward(self, faces: Tensor, aus: Tensor, own_aus: Tensor | None = None) -> Masks:
        label = F.one_hot(classes_of(aus), len(CLASSES)).to(faces.dtype)
        return super().forward(faces, F.pad(label, (0, COUNT - len(CLASSES))))


class StarGANTrainer(Trainer):
    """The training of StarGAN, from random weights."""

    def __init__(self, settings: TrainSettings, faces: Faces, device: torch.device) -> None:
        super().__init__(
            settings,
            faces,
            device,
            initial_generator=lambda: LabelGenerator(settings.generator),
        )
        # Its output `aus` are the logits of the classes.
        self.critic = Critic(settings.size, settings.critic, len(CLASSES)).to(device)
        self.critic_adam = self._adam(self.critic)

    def _critic_step(self, batch: Batch, fakes: Tensor) -> losses.Terms:
        with self._autocast():
            real, fake = self.critic(batch.faces), self.critic(fakes)
        gradient = self.critic.slope(losses.interpolated(batch.faces, fakes, batch.alpha))
        terms = {
            "critic_adversarial": losses.critic_adversarial_loss(real.scores, fake.scores),
            "critic_classes": F.cross_entropy(real.aus, classes_of(batch.own_aus)),
            "gp": losses.gradient_penalty(gradient),
        }
        loss = (
            ADVERSARIAL * terms["critic_adversarial"]
            + CLASSIFICATION * terms["critic_classes"]
            + GP * terms["gp"]
        )
        self._update(self.critic, self.critic_adam, loss)
        return detached(terms)

    def _generator_step(self, batch: Batch, generated: Masks, fakes: Tensor) -> losses.Terms:
        self.critic.requires_grad_(False)
        with self._autocast():
            fake: CriticOutput = self.critic(fakes)
            restored = self.generator(fakes, batch.own_aus).blend()
        terms = {
            "adversarial": losses.generator_adversarial_loss(fake.scores),
            "classes": F.cross_entropy(fake.aus, classes_of(batch.target_aus)),
            "cycle": losses.cycle_loss(restored, batch.faces),
        }
        loss = (
            ADVERSARIAL * terms["adversarial"]
            + CLASSIFICATION * terms["classes"]
            + CYCLE * terms["cycle"]
        )
        self._update(self.generator, self.generator_adam, loss)
        self.critic.requires_grad_(True)
        self.average.update_parameters(self.generator)
        return detached(terms)
