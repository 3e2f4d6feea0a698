"""Paired training of a flow generator: the networks, their optimisers, and one iteration."""

import math
from collections.abc import Callable
from typing import Any

import torch

from ...pipeline.action_units import COUNT, positions
from ...pipeline.errors import WrongUse
from ..config import TrainSettings
from ..data import Faces
from ..landmarks.frame import mean_reference
from ..networks.flow_generator import UNLIMITED, FlowGenerator
from ..networks.paired_critics import PairCritic, ResultCritic
from . import paired_losses
from .au_reading import AuReading
from .base_trainer import BaseTrainer, detached
from .distributed import Workers
from .framing import find_landmarks, framed
from .losses import Terms, weighted_sum
from .pair_sampler import PairBatch, PairSampler
from .prefetch import Prefetcher


class PairedTrainer(BaseTrainer[FlowGenerator]):
    """The networks, their optimisers and the number of the iteration.

    The arguments are those of `Trainer`. Faces are kept at `settings.loaded_size`. The frame is
    that of the initial generator; a new one has the mean of the training faces as its reference.
    Raises WrongUse as `Trainer` does, and for faces without series.
    """

    betas = (0.5, 0.99)
    parts = (
        *("generator", "pair_critic", "result_critic", "average"),
        *("generator_adam", "pair_critic_adam", "result_critic_adam"),
    )
    critic_parts = ("pair_critic", "result_critic")

    def __init__(
        self,
        settings: TrainSettings,
        faces: Faces,
        device: torch.device,
        workers: Workers | None = None,
        initial_generator: Callable[[], FlowGenerator] | None = None,
        warm_average: bool = True,
    ) -> None:
        super().__init__(settings, faces, device, workers)
        self._pairs = self._checked_pairs()
        self._aligned = find_landmarks(faces)
        # The estimator draws random numbers, but only when it is loaded for the first time.
        torch.manual_seed(settings.seed)
        if initial_generator is None:
            generator = FlowGenerator(settings.generator)
            generator.reference.copy_(mean_reference(self._aligned))
        else:
            generator = initial_generator()
        self.generator = generator.to(device)
        self.sampler = self._sampler()
        if torch.equal(generator.whitening, torch.eye(len(generator.whitening), device=device)):
            generator.whiten(self.sampler.whitening)
        if (generator.painting_limit == UNLIMITED).all():
            generator.painting_limit.copy_(self.sampler.largest_changes)
        width = settings.critic.width
        self.pair_critic = PairCritic(width).to(device)
        self.result_critic = ResultCritic(width).to(device)
        self.average = self._average(warm_average)
        self.generator_adam = self._adam(self.generator)
        self.pair_critic_adam = self._adam(self.pair_critic)
        self.result_critic_adam = self._adam(self.result_critic)
        self._au_reading = AuReading().to(device) if settings.pairs.aus else None
        self._prefetcher = Prefetcher(self.batch, device)
        self.iterations_per_epoch = len(faces) // settings.batch
        self._columns = torch.tensor(positions(settings.generator.aus), device=device)
        self._known = torch.zeros(COUNT, device=device).index_fill(0, self._columns, 1)
        self._critic_iterations = 0

    def step(self) -> Terms:
        """One iteration: a step of the critics and one of the generator.

        Returns the metrics of this process's part of the batch: scalars on the device.
        """
        self._set_learning_rate()
        batch = self._prefetcher.batch(self.iteration)
        count = len(batch.sources)
        with self._autocast():
            outputs = self._outputs(batch)
        results = outputs.masks.blend()
        metrics = self._critic_step(batch, results.detach())

        for critic in self.critics:
            critic.requires_grad_(False)
        judged = self._judge(batch, results)
        terms = paired_losses.generator_terms(batch, outputs, results[:count], judged)
        if self.settings.pairs.folds:
            fields = outputs.fields[:, : len(self._columns)]
            terms["folds"] = paired_losses.folds(fields, _strong(batch)[:, self._columns])
        if batch.unpaired is not None and self._au_reading is not None:
            free, edited = batch.unpaired, outputs.part(slice(count, None))
            change = free.change[:, self._columns]
            terms["aus"] = self._au_reading(free.faces, edited, change, results[count:], free.asked)
        free_iterations = self.iteration - self.first_free + 1
        effective = paired_losses.ramped(terms, self._critic_iterations, free_iterations)
        loss = weighted_sum(effective, self.settings.pairs)
        self._update(self.generator, self.generator_adam, loss)
        for critic in self.critics:
            critic.requires_grad_(True)
        self.average.update_parameters(self.generator)
        self.iteration += 1
        self._critic_iterations += 1
        return (
            metrics
            | detached(terms)
            | {
                # As in unpaired training: 1 where the face is kept.
                "attention": 1 - terms["attention"].detach(),
                # The distance of a generator that copies, to compare `reconstruction` with.
                "copy": paired_losses.reconstruction(batch.sources, batch.targets),
            }
        )

    def batch(self, iteration: int) -> PairBatch:
        """This process's part of the batch of an iteration."""
        pairs = self._pairs if iteration >= self.first_free else self.settings.batch
        share = self.workers.rank, self.workers.count
        return self.sampler.batch(iteration, self.device, pairs, share)

    @property
    def first_free(self) -> int:
        """The first iteration with unpaired faces."""
        return math.ceil(self.settings.free_from * self.iterations)

    def as_seen(self, faces: Faces) -> Faces:
        """Faces in the frame, without random changes."""
        return framed(faces, self.generator.reference.cpu(), self.settings.size)

    def state_dict(self) -> dict[str, Any]:
        """As in BaseTrainer, and how long the critics have learned, also in runs before."""
        return super().state_dict() | {"critic_iterations": self._critic_iterations}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the networks and optimisers of a state, and with them its frame."""
        before = self.generator.reference.clone()
        super().load_state_dict(state)
        self._critic_iterations = state.get("critic_iterations", state["iteration"])
        if not torch.equal(before, self.generator.reference):
            self.sampler = self._sampler()

    def _outputs(self, batch: PairBatch) -> paired_losses.FlowOutputs:
        """The generator's for the sources, followed by the unpaired faces."""
        inputs = [batch.sources, batch.aus, batch.change, batch.nuisance]
        if batch.unpaired is not None:
            free = batch.unpaired
            equal = batch.nuisance.new_zeros(len(free.faces), batch.nuisance.shape[1])
            others = [free.faces, free.aus, free.change, equal]
            inputs = [torch.cat(pair) for pair in zip(inputs, others, strict=True)]
        return self.generator.outputs(*inputs)

    def _critic_step(self, batch: PairBatch, results: torch.Tensor) -> Terms:
        """A step of the pair critic, and with unpaired faces one of the result critic.

        results: for the sources, followed by the unpaired faces.
        """
        count, asked = len(batch.sources), self._asked(batch)
        with self._autocast():
            real, _ = self.pair_critic(batch.sources, batch.targets, asked[:count])
            fake, _ = self.pair_critic(batch.sources, results[:count], asked[:count])
        terms = {"critic_pairs": paired_losses.hinge(real, fake)}
        self._update(self.pair_critic, self.pair_critic_adam, terms["critic_pairs"])
        if batch.unpaired is not None:
            free = batch.unpaired
            shown = torch.cat([batch.aus, free.own]) * self._known
            with self._autocast():
                # Of the same faces, so that the critic sees what differs beside the faces.
                real = self.result_critic(torch.cat([batch.targets, free.faces]), shown)
                fake = self.result_critic(results, asked)
                # Photographs, but not of what was asked for: to change nothing is no answer.
                unlike = self.result_critic(torch.cat([batch.sources, free.faces]), asked)
            terms["critic_results"] = paired_losses.hinge(real, fake, unlike)
            self._update(self.result_critic, self.result_critic_adam, terms["critic_results"])
        return detached(terms)

    def _judge(self, batch: PairBatch, results: torch.Tensor) -> paired_losses.Judged:
        count, asked = len(batch.sources), self._asked(batch)
        with self._autocast():
            scores, features = self.pair_critic(batch.sources, results[:count], asked[:count])
            with torch.no_grad():
                _, target_features = self.pair_critic(batch.sources, batch.targets, asked[:count])
            alone = None if batch.unpaired is None else self.result_critic(results, asked)
        return paired_losses.Judged(scores, features, target_features, alone)

    def _asked(self, batch: PairBatch) -> torch.Tensor:
        """The AUs (n, 17) that the sources, followed by the unpaired faces, should have afterwards;
        0 for those that the generator does not know."""
        free = [] if batch.unpaired is None else [batch.unpaired.wanted]
        return torch.cat([batch.aus, *free]) * self._known

    def _sampler(self) -> PairSampler:
        reference = self.generator.reference.cpu()
        return PairSampler(self.faces, self.settings, self._aligned, reference)

    def _checked_pairs(self) -> int:
        """How many pairs a batch with unpaired faces has, over all processes."""
        batch, count = self.settings.batch, self.workers.count
        pairs = max(1, round(self.settings.paired * batch))
        if pairs % count:
            raise WrongUse(
                f"--batch {batch} with --paired {self.settings.paired:g} has {pairs} pairs, which "
                f"cannot be divided among {count} processes. Take another --paired."
            )
        return pairs


def _strong(batch: PairBatch) -> torch.Tensor:
    """(faces, 17): of the sources, followed by the unpaired faces."""
    return torch.cat([batch.strong, *([] if batch.unpaired is None else [batch.unpaired.strong])])
