"""Train the network that gives foreheads of results furrows (editing/furrows.py) of a trained
generator.

    python -m ganim.model.training.train_furrows shards/ --weights WEIGHTS --out NEW_WEIGHTS

It sees faces that the generator has edited, and says where their skin is lighter and darker. It
learns that from the AUs that the estimator reads in them, from photographs of the same people that
show what they were asked for, by the histograms of gradients from which AUs are read, and from a
critic, which tells results from photographs and is told AUs. The other weights of the generator
stay as they are. The extra `mouths` is needed.
"""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import click
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import COUNT
from ..config import TrainSettings
from ..data import Faces, load_faces
from ..editing.brows import cut_to_upper_face
from ..editing.furrows import FurrowNetwork
from ..editing.shade import shaded
from ..ema import MovingAverage
from ..estimator.network import Estimator, load_estimator
from ..networks.load import load_flow_generator
from ..pixels import to_model
from .framing import framed
from .furrow_examples import Edits, edited
from .imagenet_features import imagenet_stages
from .part_command import part_command, print_means, save_generator
from .projected_critic import Features, ProjectedCritic, critic_loss, mean_score

LEARNING_RATE = 4e-4
_BETAS, _CRITIC_BETAS = (0.5, 0.99), (0.0, 0.99)
_WARM_UP, _FALLING = 50, 0.35
"""First steps, over which the learning rates rise, and last share, over which they fall to 0."""
_DECAY = 0.995
"""Of the moving average of the weights, which is what is saved."""
_READING, _GRADIENTS, _ADVERSARIAL, _STRENGTH = 2.0, 20.0, 0.2, 1.0
"""Weights of the terms: AUs, histograms of gradients, critic, and how strong furrows are."""
_ALONE, _RAMP = 100, 200
"""Steps without the critic, and those over which its weight then rises."""
_READ, _LOST, _HIGHEST = 0.75, 0.9, 0.8
"""How much of a rise and of a fall of an AU is to be read, as much as in photographs of people; and
what is to be read at most."""
_ASKED, _OTHERS = 0.1, 0.5
"""How much an AU changes that was asked for, and the weight of others."""
_NOISE, _AU_NOISE = 0.03, 0.02
"""Standard deviations of what is added to what the critic sees, and to AUs."""
_FLOOR = 0.02
"""How much the critic counts what is no skin, beside 1 for what is."""
_MISMATCHED, _UNLIKE = 0.5, 0.3
"""Weight of photographs with AUs of others, as results, for the critic; and how much an AU of these
differs at least."""
_SHOWN_AUS, _OFTEN = 0.35, 0.7
"""How much of an AU a photograph shows that has an expression, and which share of those that the
critic sees have one."""
_SHIFT = 4
"""By how many pixels what the critic sees is shifted."""
_MEASURED = 256
"""Photographs in which mean and deviation of features are measured."""
_PRINTED, _SAVED = 50, 250
"""After how many steps a line is printed, and the weights are saved."""


class Step(NamedTuple):
    """What a step yields."""

    critic: float
    """The hinge loss."""
    adversarial: float
    """The negative score of results."""
    reading: float
    """The squared error of AUs."""
    gradients: float
    """The difference of histograms from those of the other photograph of a series."""
    strength: float
    """The mean of the logarithms of the factors."""


def train(
    faces: Faces, edits: Edits, stages: nn.ModuleList, steps: int, batch: int
) -> Iterator[tuple[Step, FurrowNetwork]]:
    """Train a network, and yield what each step measured, and the moving average of the network
    until then.

    faces: photographs in the frame. edits: of these. stages: of the frozen network of the critic,
    as `Features` takes them. Random numbers are drawn from torch's own generator.
    """
    network = FurrowNetwork()
    network.trained.fill_(1)
    average = MovingAverage(network, _DECAY)
    mean = average.module.requires_grad_(False)
    assert isinstance(mean, FurrowNetwork)
    reader = deepcopy(load_estimator()).eval().requires_grad_(False)
    some = torch.randperm(len(faces))[:_MEASURED]
    features = Features(stages, cut_to_upper_face(to_model(faces.images[some])))
    critic = ProjectedCritic(features.channels, COUNT)
    adam = torch.optim.Adam(network.parameters(), LEARNING_RATE, _BETAS)
    critic_adam = torch.optim.Adam(critic.parameters(), LEARNING_RATE, _CRITIC_BETAS)
    expressive = torch.where(faces.aus.amax(1) > _SHOWN_AUS)[0]
    for step in range(steps):
        rate = min((step + 1) / _WARM_UP, 1) * min((1 - step / steps) / _FALLING, 1)
        for group in (*adam.param_groups, *critic_adam.param_groups):
            group["lr"] = LEARNING_RATE * rate
        drawn = edits.where(torch.randint(len(edits.asked), (batch,)))
        before, skin = to_model(drawn.results), drawn.skin.float() / 255
        if torch.rand(()) < 0.5:
            before, skin = before.flip(3), skin.flip(3)
        told = (drawn.asked + _AU_NOISE * torch.randn_like(drawn.asked)).clamp(0, 1)
        upper = cut_to_upper_face(before)
        factors = network(upper, skin, told, drawn.own)
        results = shaded(upper, factors)

        photographs = _drawn_photographs(len(faces), expressive, batch)
        real = cut_to_upper_face(to_model(faces.images[photographs]))
        if torch.rand(()) < 0.5:
            real = real.flip(3)
        noise = _NOISE * torch.randn_like(real)
        shift = torch.randint(-_SHIFT, _SHIFT + 1, (2,)).tolist()
        weight = skin.roll(shift, (2, 3)) + _FLOOR
        seen = features((results + noise).roll(shift, (2, 3)))
        with torch.no_grad():
            of_real = features((real + noise).roll(shift, (2, 3)))
        shown = faces.aus[photographs]
        hinge = _critic_loss(critic, of_real, seen, shown, drawn.asked, weight)
        critic_adam.zero_grad(set_to_none=True)
        hinge.backward()
        critic_adam.step()
        critic.requires_grad_(False)
        adversarial = -mean_score(critic(seen, drawn.asked), weight)
        critic.requires_grad_(True)

        whole = torch.cat([results, before[:, :, upper.shape[2] :]], 2)
        reading, gradients = _errors(reader, whole, faces, drawn)
        strength = factors.abs().mean() + _variation(factors)
        ramp = min(max(step - _ALONE, 0) / _RAMP, 1)
        loss = _READING * reading + _GRADIENTS * gradients + _STRENGTH * strength
        loss = loss + _ADVERSARIAL * ramp * adversarial
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        average.update_parameters(network)
        terms = hinge, adversarial, reading, gradients, factors.abs().mean()
        yield Step(*torch.stack([each.detach() for each in terms]).tolist()), mean


def _drawn_photographs(count: int, expressive: Tensor, batch: int) -> Tensor:
    """(batch,) integers: photographs for the critic, most of which show an expression."""
    any_ = torch.randint(count, (batch,))
    if not len(expressive):
        return any_
    those = expressive[torch.randint(len(expressive), (batch,))]
    return torch.where(torch.rand(batch) < _OFTEN, those, any_)


def _critic_loss(
    critic: ProjectedCritic,
    real: list[Tensor],
    seen: list[Tensor],
    shown: Tensor,
    asked: Tensor,
    weight: Tensor,
) -> Tensor:
    """Photographs above results; and above photographs that show other AUs than the critic is told
    (Reed et al. 2016, Generative adversarial text to image synthesis)."""
    both = [torch.cat([one, other.detach()]) for one, other in zip(real, seen, strict=True)]
    halves = [each.chunk(2) for each in critic(both, torch.cat([shown, asked]))]
    of_photographs, of_results = zip(*halves, strict=True)
    others = shown[torch.randperm(len(shown))]
    unlike = ((others - shown).abs().amax(1) > _UNLIKE).float()[:, None, None, None]
    mismatched = [(F.relu(1 + each) * unlike).mean() for each in critic(real, others)]
    loss = critic_loss(of_photographs, of_results, weight)
    return loss + _MISMATCHED * torch.stack(mismatched).mean()


def _errors(
    reader: Estimator, results: Tensor, faces: Faces, drawn: Edits
) -> tuple[Tensor, Tensor]:
    """The errors of AUs, and of histograms of gradients where there is a target."""
    read, histograms = _read(reader, results)
    with torch.no_grad():
        own, _ = _read(reader, to_model(faces.images[drawn.source]))
    change = drawn.asked - drawn.own
    wanted = own.clamp(min=0) + torch.where(change > 0, _READ, _LOST) * change
    error = (read - wanted.clamp(0, _HIGHEST)).square()
    reading = (torch.where(change.abs() > _ASKED, 1.0, _OTHERS) * error).sum(1).mean()
    paired = torch.where(drawn.target >= 0)[0]
    if not len(paired):
        return reading, results.new_zeros(())
    with torch.no_grad():
        _, real = _read(reader, to_model(faces.images[drawn.target[paired]]))
    return reading, (histograms[paired] - real).abs().mean()


def _read(reader: Estimator, faces: Tensor) -> tuple[Tensor, Tensor]:
    """AUs (n, 17) of faces, not clamped, and their histograms of gradients."""
    _, histograms, features = reader.features(faces)
    learned = reader.network(histograms)
    aus = reader.linear["openface"](features) + reader.correction["openface"](learned)
    return aus, histograms


def _variation(values: Tensor) -> Tensor:
    """The total variation of values (n, 1, h, w), as a mean."""
    down, right = values.diff(dim=2).abs().mean(), values.diff(dim=3).abs().mean()
    return down + right


@part_command(__doc__, steps=1500)
@click.option("--edits", type=click.IntRange(min=1), default=4320)
def main(
    shards: Path, weights: Path, out: Path, edits: int, steps: int, batch: int, seed: int
) -> None:
    generator, size = load_flow_generator(weights)
    stages = imagenet_stages()
    decoded = TrainSettings(size=size, paired=1, generator=generator.settings).loaded_size
    faces = framed(load_faces(shards, "train", decoded), generator.reference, size)
    generator.furrows.trained.fill_(0)
    examples = edited(generator, faces, edits, torch.Generator().manual_seed(seed))
    print(f"{edits} edits of {len(faces)} faces")

    torch.manual_seed(seed)
    print("  step  critic adversarial reading gradients strength", flush=True)
    taken: list[Step] = []
    for step, generator.furrows in train(faces, examples, stages, steps, batch):
        taken.append(step)
        print_means(taken, _PRINTED)
        if len(taken) % _SAVED == 0 or len(taken) == steps:
            save_generator(generator, weights, out)


if __name__ == "__main__":
    main()
