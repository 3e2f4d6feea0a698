"""Train the network that paints mouths that open (networks/mouth.py) of a trained generator.

    python -m ganim.model.training.train_mouth shards/ --weights WEIGHTS --out NEW_WEIGHTS

A quarter of what it learns from are pairs of a series. The others are faces that are asked for AUs
of which there is no photograph: a critic compares them with photographs of nearly these AUs, of the
same collection, since collections differ in blur and compression, and a critic tells them by that.
The other weights of the generator stay as they are. The extra `mouths` is needed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple, Self

import click
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.errors import GanimError, WrongUse
from ..checkpoint import load_weights, save_weights
from ..config import TrainSettings
from ..data import load_faces
from ..ema import MovingAverage
from ..networks.flow_generator import FlowGenerator
from ..networks.load import load_flow_generator
from ..networks.mouth import MouthNetwork
from ..pixels import to_model
from ..warp import moved
from .framing import find_landmarks
from .imagenet_features import imagenet_stages
from .mouth_examples import JUDGED_BY, Examples, Mouths, MouthSampler, make_examples
from .pair_sampler import MIN_SERIES
from .paired_losses import feature_matching, reconstruction
from .projected_critic import Features, ProjectedCritic, critic_loss, mean_score

LEARNING_RATE = 2e-4
_BETAS, _CRITIC_BETAS = (0.5, 0.99), (0.0, 0.99)
_WARM_UP = 50
_FALLING = 0.35
"""The last share of the steps, over which the learning rates fall to 0."""
_DECAY = 0.997
"""Of the moving average of the weights, which is what is saved."""
_RECONSTRUCTION, _FEATURES, _ADVERSARIAL = 3.0, 0.3, 0.4
"""Weights of the terms. The first two are of pairs, and count by their share of the batch."""
_RAMP = 150
"""Steps over which the weight of the critic rises from 0."""
_PAIRS = 0.25
"""Share of a batch."""
_NOISE = 0.04
"""Standard deviation of what is added to photographs and results before the critic sees them."""
_FLOOR = 0.1
"""How much the critic counts what is not between the lips, beside 1 between them."""
_NEIGHBOURS = 5
"""The lips themselves, so far from the opening, count as what is between them; px at half size."""
_FIRST_WEIGHTS, _FIRST_OPACITY = 0.3, -2.0
"""Factor of the last layer's random weights, and the logit of the opacity, at the start."""
_MEASURED = 256
"""Photographs in which mean and deviation of features are measured."""
_SHIFT = 0.1, 0.9
"""By how many pixels photographs are moved."""
_MOST = 2
"""By how many pixels of half the resolution what the critic sees is shifted."""
_SHOWN, _SAVED = 50, 500
"""After how many steps a line is printed, and the weights are saved."""


class Step(NamedTuple):
    """What a step yields: means over its faces."""

    critic: float
    """The hinge loss."""
    adversarial: float
    """The negative score of results."""
    reconstruction: float
    """Distance of results and targets of pairs."""
    before: float
    """The same of what is painted over."""
    opacity: float
    """Share of what is cut that is painted."""


class _View(NamedTuple):
    """A shift and perhaps a mirror image of all that the critic sees in a step, so that it learns
    its photographs by heart later (Zhao et al. 2020, Differentiable Augmentation)."""

    down: int
    right: int
    mirrored: bool

    @classmethod
    def draw(cls) -> Self:
        down, right = torch.randint(-_MOST, _MOST + 1, (2,)).tolist()
        return cls(down, right, bool(torch.rand(()) < 0.5))

    def of(self, pictures: Tensor, unit: int) -> Tensor:
        """Pictures (n, channels, h, w), shifted by `unit` px for each of the shift's; their border
        pixels repeat."""
        most, (height, width) = _MOST * unit, pictures.shape[2:]
        top, left = (most + shift * unit for shift in (self.down, self.right))
        padded = F.pad(pictures, (most,) * 4, "replicate")
        shifted = padded[:, :, top : top + height, left : left + width]
        return shifted.flip(3) if self.mirrored else shifted


def train(
    generator: FlowGenerator, examples: Examples, stages: nn.ModuleList, steps: int, batch: int
) -> Iterator[Step]:
    """Train `generator.mouth` anew, and yield what each step measured; after each, `mouth` is the
    moving average of the weights until then.

    stages: of the frozen network of the critic, as `Features` takes them. batch: 4 or more. Random
    numbers are drawn from torch's own generator.
    """
    network = _new(generator.mouth)
    average = MovingAverage(network, _DECAY)
    mean = average.module.requires_grad_(False)
    assert isinstance(mean, MouthNetwork)
    generator.mouth = mean
    photographs = examples.photographs[torch.randperm(len(examples.photographs))[:_MEASURED]]
    features = Features(stages, _moved(to_model(photographs)))
    critic = ProjectedCritic(features.channels, len(JUDGED_BY))
    adam = torch.optim.Adam(network.parameters(), LEARNING_RATE, _BETAS)
    critic_adam = torch.optim.Adam(critic.parameters(), LEARNING_RATE, _CRITIC_BETAS)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(
            each,
            lambda step: min((step + 1) / _WARM_UP, 1) * min((1 - step / steps) / _FALLING, 1),
        )
        for each in (adam, critic_adam)
    ]
    for step in range(steps):
        mouths, targets, photographs, shown = _drawn(examples, batch)
        pairs = len(targets)
        asked = mouths.aus[:, JUDGED_BY]
        opacity, colour = network(*mouths[:4])
        results = mouths.faces + opacity * (colour - mouths.faces)
        weight = F.max_pool2d(mouths.opening, _NEIGHBOURS, 1, _NEIGHBOURS // 2) + _FLOOR
        view = _View.draw()
        weight = view.of(weight, 1)
        seen = features(view.of(_noisy(results), 2))
        with torch.no_grad():
            real = features(view.of(_noisy(_moved(photographs)), 2))
            wanted = features(view.of(targets, 2))

        both = [torch.cat([one, other.detach()]) for one, other in zip(real, seen, strict=True)]
        scores = critic(both, torch.cat([shown, asked]))
        halves = [each.chunk(2) for each in scores]
        hinge = critic_loss([one for one, _ in halves], [other for _, other in halves], weight)
        critic_adam.zero_grad(set_to_none=True)
        hinge.backward()
        critic_adam.step()

        critic.requires_grad_(False)
        adversarial = -mean_score(critic(seen, asked), weight)
        critic.requires_grad_(True)
        error = reconstruction(results[:pairs], targets)
        # Not the pixels, which `error` compares.
        distance = feature_matching([each[:pairs] for each in seen[:-1]], wanted[:-1])
        of_pairs = _RECONSTRUCTION * error + _FEATURES * distance
        ramp = min(step / _RAMP, 1)
        loss = of_pairs * (pairs / batch) + _ADVERSARIAL * ramp * adversarial
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        for schedule in schedules:
            schedule.step()
        average.update_parameters(network)
        before = reconstruction(mouths.faces[:pairs], targets)
        numbers = torch.stack([hinge, adversarial, error, before, opacity.mean()])
        yield Step(*numbers.tolist())


def _new(like: MouthNetwork) -> MouthNetwork:
    """A network of the same size with random weights, which paints a little between the lips."""
    network = deepcopy(like).requires_grad_(True)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.InstanceNorm2d):
            layer.reset_parameters()
    assert network.last.bias is not None
    with torch.no_grad():
        network.last.weight.mul_(_FIRST_WEIGHTS)
        network.last.bias.zero_()
        network.last.bias[0] = _FIRST_OPACITY
    return network


def _drawn(examples: Examples, batch: int) -> tuple[Mouths, Tensor, Tensor, Tensor]:
    """A random batch: mouths, pairs first; the pairs' targets; photographs to compare each of the
    batch with, which are the targets for pairs; and what these show: the AUs in JUDGED_BY."""
    pairs = round(_PAIRS * batch)
    chosen = torch.randint(len(examples.targets), (pairs,))
    free = torch.randint(len(examples.near), (batch - pairs,))
    which = torch.randint(examples.near.shape[1], (batch - pairs,))
    paired, unpaired = examples.pairs.part(chosen), examples.unpaired.part(free)
    mouths = Mouths(*(torch.cat(each) for each in zip(paired, unpaired, strict=True)))
    near = examples.near[free, which]
    targets = to_model(examples.targets[chosen])
    photographs = torch.cat([targets, to_model(examples.photographs[near])])
    shown = torch.cat([paired.aus, examples.shown[near]])[:, JUDGED_BY]
    return mouths, targets, photographs, shown


def _moved(pictures: Tensor) -> Tensor:
    """Pictures (n, 3, h, w), each moved by parts of a pixel, so that they are as blurred as faces
    that a flow has moved."""
    count, _, height, width = pictures.shape
    lowest, highest = _SHIFT
    pixels = lowest + (highest - lowest) * torch.rand(count, 2)
    straight = torch.eye(2).expand(count, -1, -1)
    return moved(pictures, straight, pixels * 2 / torch.tensor([width, height]))


def _noisy(pictures: Tensor) -> Tensor:
    return pictures + _NOISE * torch.randn_like(pictures)


@click.command(help=__doc__)
@click.argument("shards", type=click.Path(path_type=Path, exists=True))
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--examples", type=click.IntRange(min=1), default=9000)
@click.option("--steps", type=click.IntRange(min=1), default=1500)
@click.option("--batch", type=click.IntRange(min=4), default=16)
@click.option("--seed", type=int, default=0)
def main(
    shards: Path, weights: Path, out: Path, examples: int, steps: int, batch: int, seed: int
) -> None:
    try:
        _run(shards, weights, out, examples, steps, batch, seed)
    except GanimError as error:
        raise click.ClickException(str(error)) from error


def _run(
    shards: Path, weights: Path, out: Path, examples: int, steps: int, batch: int, seed: int
) -> None:
    generator, size = load_flow_generator(weights)
    stages = imagenet_stages()
    sampler = _sampler(shards, generator, size, seed)

    def tell(edited: int) -> None:
        if edited % 480 == 0:
            print(f"{edited:6d} of {examples} faces are edited", flush=True)

    made = make_examples(generator.requires_grad_(False), sampler, examples, tell)
    print(f"{len(made.targets)} pairs and {len(made.near)} other faces open their mouths")
    print("  step  critic adversarial reconstruction before opacity", flush=True)
    _, settings = load_weights(weights, "generator")
    torch.manual_seed(seed)
    taken: list[Step] = []
    for step in train(generator, made, stages, steps, batch):
        taken.append(step)
        if len(taken) % _SHOWN == 0:
            print(f"{len(taken):6d} {_means(taken[-_SHOWN:])}", flush=True)
        if len(taken) % _SAVED == 0 or len(taken) == steps:
            save_weights(out, generator.state_dict(), "generator", settings)


def _means(steps: Sequence[Step]) -> str:
    critic, adversarial, error, before, opacity = torch.tensor(steps).mean(0).tolist()
    return f"{critic:7.3f} {adversarial:11.3f} {error:14.4f} {before:6.4f} {opacity:7.4f}"


def _sampler(shards: Path, generator: FlowGenerator, size: int, seed: int) -> MouthSampler:
    settings = TrainSettings(size=size, paired=1, seed=seed, generator=generator.settings)
    faces = load_faces(shards, "train", settings.loaded_size)
    known = Counter(name for name in faces.series if name is not None)
    if max(known.values(), default=0) < MIN_SERIES:
        raise WrongUse(
            f"{shards} has no series of {MIN_SERIES} faces or more to learn from. Prepare "
            "photographs or clips of persons with several expressions with --series."
        )
    return MouthSampler(faces, settings, find_landmarks(faces), generator.reference)


if __name__ == "__main__":
    main()
