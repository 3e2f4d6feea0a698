"""Do frowns have furrows as photographs have them, or a comb of fine parallel strokes?

python bench/furrows.py --shards shards/

Between the brows, the power of what repeats every 3 to 7 pixels across the face (crops of 128 px),
mean and nine in ten: of photographs of the test split that frown, by their AUs; of those at rest;
and of those at rest made to frown more and more. A comb is power that photographs do not have.
"""

from pathlib import Path

import click
import numpy as np
import torch

from ganim.model.animation.animator import SHIPPED
from ganim.model.animation.crop_animator import CropAnimator
from ganim.model.data import load_faces
from ganim.model.evaluation.sample import batches
from ganim.pipeline.action_units import NUMBERS
from ganim.pipeline.faces.crop import CROP_SIZE

BETWEEN_THE_BROWS = slice(20, 56), slice(40, 88)
FINEST, BROADEST = 3, 7
AT_REST, FROWNING = 0.15, 0.5
LEVELS = (0.25, 0.5, 0.75, 1.0)
AU04 = NUMBERS.index(4)


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path), required=True)
@click.option("--faces", "count", type=int, default=100)
@click.option("--weights", type=click.Path(path_type=Path), multiple=True, default=[SHIPPED])
@click.option("--seed", type=int, default=0)
def main(shards: Path, count: int, weights: tuple[Path, ...], seed: int) -> None:
    """Print the power, dB, of photographs and of each generator's frowns."""
    faces = load_faces(shards, "test", CROP_SIZE)
    crops = faces.images.permute(0, 2, 3, 1).numpy()
    aus = faces.aus.numpy()
    at_rest = np.flatnonzero(aus[:, AU04] < AT_REST)
    frowning = np.flatnonzero(aus[:, AU04] >= FROWNING)
    chosen = np.random.default_rng(seed).permutation(at_rest)[:count]
    own = aus[chosen]
    say(f"{len(frowning)} photographs with AU04 from {FROWNING}", crops[frowning])
    say(f"{len(chosen)} photographs with AU04 below {AT_REST}", crops[chosen])
    for path in weights:
        animator = CropAnimator(path, torch.device("cpu"))
        for level in LEVELS:
            asked = own.copy()
            asked[:, AU04] = level
            frowns = [
                animator.animate(crops[chosen[batch]], asked[batch], own[batch]).pictures
                for batch in batches(np.arange(len(chosen)))
            ]
            say(f"these with AU04 at {level}, {path}", np.concatenate(frowns))


def say(what: str, crops: np.ndarray) -> None:
    """Print a line of the crops' power."""
    power = fine_power(crops)
    print(f"{what}: {power.mean():.1f} dB, nine in ten below {np.quantile(power, 0.9):.1f}")


def fine_power(crops: np.ndarray) -> np.ndarray:
    """Of crops (n, 128, 128, 3) uint8: the power of those periods between the brows, dB (n,),
    along rows less their mean, under a Hann window."""
    rows, columns = BETWEEN_THE_BROWS
    strips = crops[:, rows, columns].mean(3)
    strips -= strips.mean(2, keepdims=True)
    length = strips.shape[2]
    power = np.abs(np.fft.rfft(strips * np.hanning(length), axis=2)[..., 1:]) ** 2
    period = length / np.arange(1, power.shape[2] + 1)
    fine = power[..., (period >= FINEST) & (period <= BROADEST)].mean((1, 2))
    return 10 * np.log10(fine)


if __name__ == "__main__":
    main()
