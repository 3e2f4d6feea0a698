"""Train the network that paints mouths that open (networks/mouth.py) of a trained generator.

    python -m ganim.model.training.train_mouth shards/ --weights WEIGHTS --out NEW_WEIGHTS

It fills holes. Half of a batch are photographs of open mouths from which the mouth is cut out, as
for a network of image inpainting, so it knows what belongs there; a quarter are edits for which
another photograph of the series shows it. The rest are edits that a critic alone judges, beside
photographs of nearly these AUs of the same collection, since collections differ in blur and
compression, and a critic tells them by that.
The other weights of the generator stay as they are. The extra `mouths` is needed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import click
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import positions
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
from .mouth_holes import random_holes
from .pair_sampler import MIN_SERIES
from .projected_critic import Features, ProjectedCritic, critic_loss, mean_score, weighted_mean

LEARNING_RATE = 2.5e-4
_BETAS, _CRITIC_BETAS = (0.5, 0.99), (0.0, 0.99)
_WARM_UP = 50
_FALLING = 0.35
"""The last share of the steps, over which the learning rates fall to 0."""
_DECAY = 0.995
"""Of the moving average of the weights, which is what is saved."""
_RECONSTRUCTION, _FEATURES, _ADVERSARIAL, _GLARE = 2.0, 1.0, 0.1, 3.0
"""Weights of the terms. The first two are of photographs and pairs, the last is of edits. With
three times as much for the critic, which asks for contrast, mouths had white blots for teeth."""
_SHADED, _BRIGHT, _SMILE = 0.95, 1.35, 0.4
"""How bright a result may be, of what is around: without a smile, and from so much of AU12 on. In
half of the photographs of open mouths that do not smile nothing is brighter than 0.93 of the skin,
and in half of the smiles than 1.3."""
_ALONE, _RAMP = 200, 300
"""Steps without a critic, and those over which its weight then rises."""
_PHOTOGRAPHS, _PAIRS = 0.5, 0.25
"""Shares of a batch."""
_NOISE, _AU_NOISE = 0.03, 0.03
"""Standard deviations of what is added to what the critic sees, and to the AUs of photographs."""
_FLOOR = 0.02
"""How much the critic counts what is not filled, beside 1 for what is."""
_NEIGHBOURS = 5
"""Pixels around the hole that count as what is in it."""
_MEASURED = 256
"""Photographs in which mean and deviation of features are measured."""
_HOLES = 64
"""Edits of whose holes some photographs get one, anew in each step."""
_SHIFT = 0.1, 0.9
"""By how many pixels photographs are moved."""
_MOST = 4
"""By how many pixels what the critic sees is shifted, in steps of 2."""
_SHOWN, _SAVED = 50, 500
"""After how many steps a line is printed, and the weights are saved."""


class Step(NamedTuple):
    """What a step yields: means over its faces."""

    critic: float
    """The hinge loss; 0 without a critic, as the next."""
    adversarial: float
    """The negative score of results."""
    reconstruction: float
    """Distance of results and targets, of photographs and pairs, in the hole."""
    features: float
    """The same in features of the frozen network."""


class _Batch(NamedTuple):
    """n mouths: photographs, pairs, and other edits."""

    mouths: Mouths
    targets: Tensor
    """(photographs and pairs, 3, h, w) in -1..1: what they should be."""
    real: Tensor
    """(n, 3, h, w): photographs to compare with, of which the targets are the first."""
    shown: Tensor
    """(n, 17): their AUs."""


class _View(NamedTuple):
    """A shift of all that the critic sees in a step, so that it learns its photographs by heart
    later (Zhao et al. 2020, Differentiable Augmentation)."""

    down: int
    right: int

    @classmethod
    def draw(cls) -> Self:
        down, right = torch.randint(-_MOST // 2, _MOST // 2 + 1, (2,)).tolist()
        return cls(2 * down, 2 * right)

    def of(self, pictures: Tensor) -> Tensor:
        """Pictures (n, channels, h, w), shifted; their border pixels repeat."""
        height, width = pictures.shape[2:]
        padded = F.pad(pictures, (_MOST,) * 4, "replicate")
        top, left = _MOST + self.down, _MOST + self.right
        return padded[:, :, top : top + height, left : left + width]


def train(
    generator: FlowGenerator, examples: Examples, stages: nn.ModuleList, steps: int, batch: int
) -> Iterator[Step]:
    """Train `generator.mouth` anew, and yield what each step measured; after each, `mouth` is the
    moving average of the weights until then.

    stages: of the frozen network of the critic, as `Features` takes them. batch: 4 or more. Random
    numbers are drawn from torch's own generator.
    """
    network = _new(examples.most)
    average = MovingAverage(network, _DECAY)
    mean = average.module.requires_grad_(False)
    assert isinstance(mean, MouthNetwork)
    generator.mouth = mean
    photographs = examples.photographs.faces
    some = photographs[torch.randperm(len(photographs))[:_MEASURED]]
    features = Features(stages, _moved(to_model(some)))
    critic = ProjectedCritic(features.channels, len(JUDGED_BY))
    adam = torch.optim.Adam(network.parameters(), LEARNING_RATE, _BETAS)
    critic_adam = torch.optim.Adam(critic.parameters(), LEARNING_RATE, _CRITIC_BETAS)
    for step in range(steps):
        mouths, targets, real, shown = _drawn(examples, batch)
        known = len(targets)
        rate = min((step + 1) / _WARM_UP, 1) * min((1 - step / steps) / _FALLING, 1)
        for group in (*adam.param_groups, *critic_adam.param_groups):
            group["lr"] = LEARNING_RATE * rate
        colours = network(*mouths)
        results = mouths.faces + mouths.hole * (colours - mouths.faces)
        around = F.max_pool2d(mouths.hole, _NEIGHBOURS, 1, _NEIGHBOURS // 2)

        hinge = adversarial = results.new_zeros(())
        if step >= _ALONE:
            view, asked = _View.draw(), mouths.aus[:, JUDGED_BY]
            weight = view.of(around + _FLOOR)
            seen = features(view.of(_noisy(results)))
            with torch.no_grad():
                of_real = features(view.of(_noisy(real)))
            pairs = zip(of_real, seen, strict=True)
            both = [torch.cat([one, other.detach()]) for one, other in pairs]
            scores = critic(both, torch.cat([shown[:, JUDGED_BY], asked]))
            halves = [each.chunk(2) for each in scores]
            hinge = critic_loss([one for one, _ in halves], [other for _, other in halves], weight)
            critic_adam.zero_grad(set_to_none=True)
            hinge.backward()
            critic_adam.step()
            critic.requires_grad_(False)
            adversarial = -mean_score(critic(seen, asked), weight)
            critic.requires_grad_(True)

        error = weighted_mean((results[:known] - targets).abs(), mouths.hole[:known])
        with torch.no_grad():
            wanted = features(targets)
        # Not the pixels, which `error` compares.
        distances = [
            weighted_mean((one - other).abs(), around[:known])
            for one, other in zip(features(results[:known])[:-1], wanted[:-1], strict=True)
        ]
        distance = torch.stack(distances).mean()
        edits = slice(round(_PHOTOGRAPHS * batch), None)
        ramp = min(max(step - _ALONE, 0) / _RAMP, 1)
        loss = (
            _RECONSTRUCTION * error
            + _FEATURES * distance
            + _ADVERSARIAL * ramp * adversarial
            + _GLARE * _glare(mouths.where(edits), results[edits])
        )
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        average.update_parameters(network)
        yield Step(*torch.stack([hinge, adversarial, error, distance]).tolist())


def _glare(mouths: Mouths, results: Tensor) -> Tensor:
    """By how much results (n, 3, h, w) in -1..1 are brighter, in the hole, than they may be.

    Teeth are shaded where lips part without a smile.
    """
    smile = (mouths.aus[:, positions((12,))] / _SMILE).clamp(max=1)[:, :, None, None]
    seen = 1 - mouths.hole
    around = ((mouths.faces + 1).mean(1, keepdim=True) * seen).sum((2, 3), keepdim=True)
    most = (_SHADED + (_BRIGHT - _SHADED) * smile) * around / seen.sum((2, 3), keepdim=True)
    excess = ((results + 1).mean(1, keepdim=True) - most).clamp(min=0)
    return weighted_mean(excess, mouths.hole)


def _new(most: Tensor) -> MouthNetwork:
    """A network with random weights."""
    network = MouthNetwork()
    network.trained.fill_(1)
    network.most.copy_(most)
    return network


def _drawn(examples: Examples, batch: int) -> _Batch:
    """A random batch."""
    count, pairs = round(_PHOTOGRAPHS * batch), round(_PAIRS * batch)
    alone = torch.multinomial(examples.weights, count)
    photographs = examples.photographs.part(alone)
    edits = examples.unpaired.hole[torch.randint(len(examples.near), (_HOLES,))] / 255
    hole = random_holes(photographs.hole, examples.lips[alone] / 255, edits)
    aus = photographs.aus + _AU_NOISE * torch.randn_like(photographs.aus)
    photographs = Mouths(_moved(photographs.faces), hole, aus.clamp(0, 1))

    chosen = torch.randint(len(examples.targets), (pairs,))
    free = torch.randint(len(examples.near), (batch - count - pairs,))
    near = examples.near[free, torch.randint(examples.near.shape[1], (len(free),))]
    paired, unpaired = examples.pairs.part(chosen), examples.unpaired.part(free)
    kinds = photographs, paired, unpaired
    mouths = Mouths(*(torch.cat(each) for each in zip(*kinds, strict=True)))
    targets = torch.cat([photographs.faces, to_model(examples.targets[chosen])])
    others = examples.photographs.part(near)
    real = torch.cat([targets, _moved(others.faces)])
    shown = torch.cat([mouths.aus[: len(targets)], others.aus])
    return _Batch(mouths, targets, real, shown)


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
@click.option("--steps", type=click.IntRange(min=1), default=1900)
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
    print("  step  critic adversarial reconstruction features", flush=True)
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
    critic, adversarial, error, distance = torch.tensor(steps).mean(0).tolist()
    return f"{critic:7.3f} {adversarial:11.3f} {error:14.4f} {distance:8.4f}"


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
