"""Fit the expression ratio images (editing/expression_ratios.py) of a trained generator.

    python -m ganim.model.training.train_ratios shards/ --weights WEIGHTS --out NEW_WEIGHTS

A linear regression for each pixel, on the rises of all AUs, of how many times lighter photographs
are than faces that the generator has edited. The weights of the generator stay as they are. A step
is a batch of pairs of photographs.
"""

from pathlib import Path

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from ...pipeline.action_units import COUNT
from ..config import TrainSettings
from ..data import load_faces
from ..editing.cheeks import ellipse
from ..editing.expression_ratios import BOTTOM, SIDE, TOP
from ..networks.load import load_flow_generator
from ..warp import resized
from .framing import framed
from .part_command import part_command, print_means, save_generator
from .ratio_examples import Examples, ratio_examples

_UNALIGNED = 0.09
"""Mean ratio of skin, as a logarithm, from which on a photograph counts as not aligned: one in 20
does."""
_MOST = 0.4
"""Largest ratio that counts."""
_FINE = 1 / 20
"""Standard deviation, in sides of the frame, of the Gaussian whose result is taken off: broad
light differs between any two photographs."""
_RIDGE = 0.005
"""Penalty, per example."""
_NOSTRILS = (0.0, 0.3), (0.2, 0.07)
"""Centre and half axes, in half sides, of the ellipse in which there are no ratios: nostrils are
seen more or less as heads are turned up or down, which goes with some expressions."""
_FADING = 8
"""Over how many rows ratios begin and end."""
_PRINTED = 20
"""After how many steps a line is printed."""


class Regression:
    """The sums of a weighted linear regression for each pixel of the left half of the picture. The
    right half of a face is another left one."""

    def __init__(self) -> None:
        pixels = SIDE * SIDE // 2
        self.count = 0
        self._squares = torch.zeros(COUNT * COUNT, pixels)
        self._products = torch.zeros(COUNT, pixels)

    def add(self, examples: Examples) -> float:
        """Take more examples, and return the mean ratio of their skin."""
        weight = examples.skin
        off = (examples.ratios.abs() * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1)
        aligned = off < _UNALIGNED
        ratios = fine(examples.ratios.clamp(-_MOST, _MOST), weight)
        ratios, weight = (_at_side(each[aligned]) for each in (ratios, weight))
        rise = examples.change[aligned].clamp(min=0)
        pairs = (rise[:, :, None] * rise[:, None]).flatten(1)
        for mirrored in (False, True):
            left, share = (
                (each.flip(2) if mirrored else each)[..., : SIDE // 2].flatten(1)
                for each in (ratios, weight)
            )
            self._squares += pairs.T @ share
            self._products += rise.T @ (left * share)
            self.count += len(rise)
        return float(off.mean())

    def solution(self) -> Tensor:
        """(17, BOTTOM - TOP, SIDE / 2): `ExpressionRatios.halves`."""
        squares = self._squares.T.unflatten(1, (COUNT, COUNT))
        squares = squares + _RIDGE * self.count * torch.eye(COUNT)
        halves = torch.linalg.solve(squares, self._products.T[..., None])[..., 0].T
        shown = 1 - ellipse(torch.zeros(1, 1, SIDE, SIDE), *_NOSTRILS)[0, :, :, : SIDE // 2]
        rows = torch.arange(TOP, BOTTOM)
        ends = ((rows - TOP + 1).minimum(BOTTOM - rows) / _FADING).clamp(max=1)[:, None]
        return (halves.unflatten(1, (SIDE, SIDE // 2)) * shown)[:, TOP:BOTTOM] * ends


def _at_side(values: Tensor) -> Tensor:
    """(n, SIDE, SIDE), of values (n, 1, h, w)."""
    return resized(values, torch.empty(1, 1, SIDE, SIDE))[:, 0]


def fine(ratios: Tensor, skin: Tensor) -> Tensor:
    """What is not broad of the ratios (n, 1, h, w) of skin (n, 1, h, w)."""
    return ratios - _blurred(ratios * skin) / _blurred(skin).clamp(min=1e-2)


def _blurred(values: Tensor) -> Tensor:
    """Values (n, 1, h, w), smoothed by a Gaussian."""
    deviation = _FINE * values.shape[3]
    return gaussian_blur(values, [2 * round(3 * deviation) + 1] * 2, [deviation] * 2)


@part_command(__doc__, steps=400)
def main(shards: Path, weights: Path, out: Path, steps: int, batch: int, seed: int) -> None:
    generator, size = load_flow_generator(weights)
    decoded = TrainSettings(size=size, paired=1, generator=generator.settings).loaded_size
    faces = framed(load_faces(shards, "train", decoded), generator.reference, size)
    furrows = generator.furrows.trained.clone()
    generator.furrows.trained.fill_(0)
    generator.ratios.halves.fill_(0)
    draw, regression = torch.Generator().manual_seed(seed), Regression()
    print("  step mean ratio", flush=True)
    taken: list[tuple[float]] = []
    for _ in range(steps):
        taken.append((regression.add(ratio_examples(generator, faces, batch, draw)),))
        print_means(taken, _PRINTED)
    generator.ratios.halves.copy_(regression.solution())
    generator.furrows.trained.copy_(furrows)
    save_generator(generator, weights, out)


if __name__ == "__main__":
    main()
