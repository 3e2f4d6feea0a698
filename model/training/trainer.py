"""The training of a GANimation generator: the networks, their optimisers, and one iteration."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...pipeline.action_units import positions
from ..config import TrainSettings
from ..data import Faces
from ..editing.masks import Masks
from ..networks.critic import Critic, CriticOutput
from ..networks.generator import Generator
from . import losses
from .base_trainer import BaseTrainer, detached
from .distributed import Workers
from .perceptual import Perceptual
from .prefetch import Prefetcher
from .sampler import Batch, Sampler

STATE, PREVIOUS_STATE = "state.pt", "state-previous.pt"
WEIGHTS = "generator.safetensors"


class Trainer(BaseTrainer[Generator]):
    """The networks, their optimisers and the number of the iteration.

    `resume.py` makes one from earlier weights or from an earlier training.

    faces: the training faces. workers: the processes that train together; of each batch this
    process makes its part. initial_generator: builds the generator to start from; without it the
    weights are random. warm_average: see `averaged`; false for a generator that is trained already.
    Raises WrongUse for settings out of range, and for fewer faces than a batch has.
    """

    betas = (0.5, 0.999)
    parts = ("generator", "critic", "average", "generator_adam", "critic_adam")
    critic_parts = ("critic",)

    def __init__(
        self,
        settings: TrainSettings,
        faces: Faces,
        device: torch.device,
        workers: Workers | None = None,
        initial_generator: Callable[[], Generator] | None = None,
        warm_average: bool = True,
    ) -> None:
        super().__init__(settings, faces, device, workers)
        generator = initial_generator() if initial_generator else Generator(settings.generator)
        if generator.motion is not None and not generator.motion.learned:
            generator.motion.learn(faces)
        self.generator = generator.to(device)
        known = positions(settings.generator.aus)
        self._known = torch.tensor(known, device=device)
        self.critic = Critic(settings.size, settings.critic, len(known)).to(device)
        self.average = self._average(warm_average)
        self.generator_adam, self.critic_adam = map(self._adam, (self.generator, self.critic))
        # Its weights are constant, so they are not part of the state.
        self._perceptual = Perceptual().to(device) if settings.weights.perceptual else None
        self.sampler = Sampler(faces, settings)
        self._prefetcher = Prefetcher(self._batch, device)
        self.iterations_per_epoch = self.sampler.per_epoch

    def step(self) -> losses.Terms:
        """One iteration: a step of the critic, and in every `critic_steps`-th one of the generator.

        Returns the metrics of this process's part of the batch: scalars on the device.
        """
        self._set_learning_rate()
        batch = self._prefetcher.batch(self.iteration)
        since_warmup = self.iteration - self.settings.critic_warmup
        self.iteration += 1
        if since_warmup < 0:
            return self._warmup_step(batch)
        generator_steps = since_warmup % self.settings.critic_steps == 0
        # The critic's step does not change the generator, so both steps use one forward pass.
        with self._autocast(), torch.set_grad_enabled(generator_steps):
            generated = self.generator(batch.faces, batch.target_aus, batch.own_aus)
            fakes = generated.blend()
        metrics = self._critic_step(batch, fakes.detach())
        if generator_steps:
            metrics |= self._generator_step(batch, generated, fakes)
        return metrics

    def _batch(self, iteration: int) -> Batch:
        return self.sampler.batch(iteration, self.device, self._part)

    def _warmup_step(self, batch: Batch) -> losses.Terms:
        """The critic learns AUs only."""
        own_aus = batch.own_aus[:, self._known]
        with self._autocast():
            real = self.critic(batch.augmented(batch.faces))
            terms = {"critic_aus": losses.au_loss(real.aus, own_aus, batch.au_weight)}
        self._minimise(self.critic, self.critic_adam, terms)
        return detached(terms)

    def _critic_step(self, batch: Batch, fakes: Tensor) -> losses.Terms:
        own_aus, target_aus = batch.own_aus[:, self._known], batch.target_aus[:, self._known]
        faces, fakes = batch.augmented(batch.faces), batch.augmented(fakes)
        with self._autocast():
            both = self.critic(torch.cat([faces, fakes]))  # one pass costs less than two
        count = len(faces)
        real = CriticOutput(both.scores[:count], both.aus[:count])
        fake = CriticOutput(both.scores[count:], both.aus[count:])
        # In full precision: bf16 has too few digits for the difference of a norm and 1.
        gradient = self.critic.slope(losses.interpolated(faces, fakes, batch.alpha))
        terms = losses.critic_terms(real, fake, gradient, own_aus, batch.au_weight)
        self._minimise(self.critic, self.critic_adam, terms)
        # The error of a generator that copies its input, to compare the metric `aus` with.
        copy_aus = losses.au_loss(real.aus.detach(), target_aus, batch.au_weight)
        return detached(terms) | {"copy_aus": copy_aus}

    def _generator_step(self, batch: Batch, generated: Masks, fakes: Tensor) -> losses.Terms:
        target_aus = batch.target_aus[:, self._known]
        self.critic.requires_grad_(False)
        with self._autocast():
            fake = self.critic(batch.augmented(fakes))
            restored = self.generator(fakes, batch.own_aus, batch.target_aus)
            terms = losses.generator_terms(
                batch.faces,
                generated,
                restored,
                fake,
                target_aus,
                batch.target_weight,
                self._perceptual,
            )
        self._minimise(self.generator, self.generator_adam, terms)
        self.critic.requires_grad_(True)
        self.average.update_parameters(self.generator)
        return detached(terms) | {
            # Without the weights of single AUs, so that it is comparable with `copy_aus`.
            "aus": losses.au_loss(fake.aus.detach(), target_aus, batch.au_weight),
            # The terms are sums over two passes; the metrics are means.
            "attention": terms["attention"].detach() / 2,
            "tv": terms["tv"].detach() / 2,
        }

    def _minimise(
        self, network: nn.Module, optimiser: torch.optim.Optimizer, terms: losses.Terms
    ) -> None:
        self._update(network, optimiser, losses.weighted_sum(terms, self.settings.weights))
