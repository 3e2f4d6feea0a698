"""Train the networks that find lips and fill what is between them (editing/lips.py, mouth.py) of a
trained generator.

    python -m ganim.model.training.train_mouth shards/ --weights WEIGHTS --out NEW_WEIGHTS

The first learns, from photographs with landmarks, where lips are. What lies between them is cut out
of photographs of open mouths then, and the second learns to fill it, as networks of image
inpainting do, so it knows what belongs there. No series are needed. The other weights of the
generator stay as they are. The extra `mouths` is needed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

import click
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import positions
from ...pipeline.errors import WrongUse
from ..config import TrainSettings
from ..data import load_faces
from ..editing.layer_network import LayerNetwork, layer_ends
from ..editing.lips import LAYERS
from ..editing.mouth import MouthNetwork
from ..ema import MovingAverage
from ..networks.load import load_flow_generator
from ..pixels import to_model
from ..warp import moved
from .framing import find_landmarks
from .imagenet_features import imagenet_stages
from .mouth_examples import Mouths, cut_mouths
from .mouth_holes import random_holes
from .part_command import part_command, print_means, save_generator
from .projected_critic import Features, ProjectedCritic, critic_loss, mean_score, weighted_mean
from .train_layers import train_layers

LEARNING_RATE = 2.5e-4
_BETAS, _CRITIC_BETAS = (0.5, 0.99), (0.0, 0.99)
_WARM_UP = 50
_FALLING = 0.35
"""The last share of the steps, over which the learning rates fall to 0."""
_DECAY = 0.995
"""Of the moving average of the weights, which is what is saved."""
_RECONSTRUCTION, _FEATURES, _ADVERSARIAL = 2.0, 1.0, 0.15
"""Weights of the terms."""
_JUDGED_BY = positions((10, 12, 20, 25, 26))
"""Columns of the AUs that say what is seen in a mouth: the critic is told them."""
_ALONE, _RAMP = 200, 300
"""Steps without a critic, and those over which its weight then rises."""
_NOISE, _AU_NOISE = 0.03, 0.03
"""Standard deviations of what is added to what the critic sees, and to the AUs of photographs."""
_FLOOR = 0.02
"""How much the critic counts what is not filled, beside 1 for what is."""
_NEIGHBOURS = 5
"""Pixels around the hole that count as what is in it."""
_LEAST = 0.036
"""How far lips are apart, as a share of the width of what is cut out, below which a mouth is left
out."""
_FOUND_IN = 256
"""Mouths of which it is found at once."""
_MEASURED = 256
"""Photographs in which mean and deviation of features are measured."""
_SHIFT = 0.1, 0.9
"""By how many pixels photographs are moved."""
_MOST = 4
"""By how many pixels what the critic sees is shifted, in steps of 2."""
_MORE = 2
"""Mouths in a batch of the first training, per mouth in one of the second."""
_SHOWN, _SAVED = 50, 500
"""After how many steps a line is printed, and the weights are saved."""


class Step(NamedTuple):
    """What a step yields: means over its mouths."""

    critic: float
    """The hinge loss; 0 without a critic, as the next."""
    adversarial: float
    """The negative score of results."""
    reconstruction: float
    """Distance of results and photographs, in the hole."""
    features: float
    """The same in features of the frozen network."""


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
    lips: LayerNetwork, mouths: Mouths, stages: nn.ModuleList, steps: int, batch: int
) -> Iterator[tuple[Step, MouthNetwork]]:
    """Train a network that fills mouths, and yield what each step measured, and the moving average
    of the network until then.

    lips: is trained, and stays as it is. stages: of the frozen network of the critic, as
    `Features` takes them. Random numbers are drawn from torch's own generator. Raises WrongUse if
    `lips` finds no open mouth.
    """
    network = MouthNetwork()
    network.lips = lips.requires_grad_(False)
    network.trained.fill_(1)
    mouths = _open(lips, mouths)
    network.most.copy_(mouths.most)
    average = MovingAverage(network, _DECAY)
    mean = average.module.requires_grad_(False)
    assert isinstance(mean, MouthNetwork)
    often = mouths.often
    some = torch.randperm(len(mouths.aus))[:_MEASURED]
    features = Features(stages, _moved(to_model(mouths.pixels[some])))
    critic = ProjectedCritic(features.channels, len(_JUDGED_BY))
    learning = [each for each in network.parameters() if each.requires_grad]
    adam = torch.optim.Adam(learning, LEARNING_RATE, _BETAS)
    critic_adam = torch.optim.Adam(critic.parameters(), LEARNING_RATE, _CRITIC_BETAS)
    for step in range(steps):
        rate = min((step + 1) / _WARM_UP, 1) * min((1 - step / steps) / _FALLING, 1)
        for group in (*adam.param_groups, *critic_adam.param_groups):
            group["lr"] = LEARNING_RATE * rate
        drawn = mouths.where(torch.multinomial(often, batch, replacement=True))
        pixels = to_model(drawn.pixels)
        with_hole = torch.cat([pixels, random_holes(pixels, drawn.ends)], 1)
        real, hole = _moved(with_hole).split([3, 1], 1)
        aus = (drawn.aus + _AU_NOISE * torch.randn_like(drawn.aus)).clamp(0, 1)
        results = real + hole * (network(real, hole, aus) - real)
        around = F.max_pool2d(hole, _NEIGHBOURS, 1, _NEIGHBOURS // 2)

        # The same noise for both, so that their features can be compared.
        view, noise = _View.draw(), _NOISE * torch.randn_like(real)
        seen, weight = features(view.of(results + noise)), view.of(around)
        with torch.no_grad():
            of_real = features(view.of(real + noise))
        hinge = adversarial = results.new_zeros(())
        if step >= _ALONE:
            asked, everywhere = drawn.aus[:, _JUDGED_BY], weight + _FLOOR
            pairs = zip(of_real, seen, strict=True)
            both = [torch.cat([one, other.detach()]) for one, other in pairs]
            halves = [each.chunk(2) for each in critic(both, asked.repeat(2, 1))]
            of_photographs, of_results = zip(*halves, strict=True)
            hinge = critic_loss(of_photographs, of_results, everywhere)
            critic_adam.zero_grad(set_to_none=True)
            hinge.backward()
            critic_adam.step()
            critic.requires_grad_(False)
            adversarial = -mean_score(critic(seen, asked), everywhere)
            critic.requires_grad_(True)

        error = weighted_mean((results - real).abs(), hole)
        # Not the pixels, which `error` compares.
        distances = [
            weighted_mean((one - other).abs(), weight)
            for one, other in zip(seen[:-1], of_real[:-1], strict=True)
        ]
        distance = torch.stack(distances).mean()
        ramp = min(max(step - _ALONE, 0) / _RAMP, 1)
        loss = _RECONSTRUCTION * error + _FEATURES * distance + _ADVERSARIAL * ramp * adversarial
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        average.update_parameters(network)
        yield Step(*torch.stack([hinge, adversarial, error, distance]).tolist()), mean


@torch.no_grad()
def _open(lips: LayerNetwork, mouths: Mouths) -> Mouths:
    """The open mouths, with the lips that a network finds in place of those of landmarks."""
    parts = mouths.pixels.split(_FOUND_IN)
    mouths = mouths._replace(ends=torch.cat([layer_ends(lips(to_model(part))) for part in parts]))
    enough = mouths.gap > _LEAST
    if not enough.any():
        raise WrongUse("No photograph shows an open mouth. Add some, or use more --lips-steps.")
    return mouths.where(enough)


def _moved(pictures: Tensor) -> Tensor:
    """Pictures (n, 3, h, w), each moved by parts of a pixel, so that they are as blurred as faces
    that a flow has moved."""
    count, _, height, width = pictures.shape
    lowest, highest = _SHIFT
    pixels = lowest + (highest - lowest) * torch.rand(count, 2)
    straight = torch.eye(2).expand(count, -1, -1)
    return moved(pictures, straight, pixels * 2 / torch.tensor([width, height]))


@part_command(__doc__, steps=4500)
@click.option("--lips-steps", type=click.IntRange(min=1), default=2200)
def main(
    shards: Path, weights: Path, out: Path, lips_steps: int, steps: int, batch: int, seed: int
) -> None:
    generator, size = load_flow_generator(weights)
    stages = imagenet_stages()
    decoded = TrainSettings(size=size, paired=1, generator=generator.settings).loaded_size
    faces = load_faces(shards, "train", decoded)
    mouths = cut_mouths(faces, find_landmarks(faces), generator.reference, size, seed)
    print(f"{len(mouths.aus)} mouths")

    torch.manual_seed(seed)
    lips = LayerNetwork(LAYERS)
    print("  step error in px", flush=True)
    errors: list[tuple[float]] = []
    for error in train_layers(lips, mouths.pixels, mouths.ends, lips_steps, _MORE * batch):
        errors.append((error,))
        print_means(errors, _SHOWN)

    print("  step  critic adversarial reconstruction features", flush=True)
    taken: list[Step] = []
    for step, generator.mouth in train(lips, mouths, stages, steps, batch):
        taken.append(step)
        print_means(taken, _SHOWN)
        if len(taken) % _SAVED == 0 or len(taken) == steps:
            save_generator(generator, weights, out)


if __name__ == "__main__":
    main()
