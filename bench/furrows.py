"""Measure whether generated frowns contain a fine regular pattern that photographs do not have.

python bench/furrows.py --shards shards/

Prints the power between the brows at periods of 3 to 7 px across the face (crops of 128 px) as mean
and 90th percentile: of photographs of the test split with high AU4, of photographs with low AU4,
and of the latter with AU4 raised to several values. A generator that draws parallel strokes instead
of furrows has a higher power than the photographs with high AU4.
"""

from pathlib import Path

import click
import numpy as np
import torch

from ganim.model.animation.animator import SHIPPED, Animator, faces_of_crops
from ganim.model.data import load_faces
from ganim.model.evaluation.features import batches
from ganim.pipeline.action_units import NUMBERS
from ganim.pipeline.faces.crop import CROP_SIZE

BETWEEN_BROWS = slice(20, 56), slice(40, 88)  # rows and columns of a crop, px
MIN_PERIOD, MAX_PERIOD = 3, 7  # px
LOW, HIGH = 0.15, 0.5  # AU4, 0-1
LEVELS = (0.25, 0.5, 0.75, 1.0)
AU04 = NUMBERS.index(4)


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path), required=True)
@click.option("--faces", "count", type=int, default=100)
@click.option("--weights", type=click.Path(path_type=Path), multiple=True, default=[SHIPPED])
@click.option("--seed", type=int, default=0)
def main(shards: Path, count: int, weights: tuple[Path, ...], seed: int) -> None:
    """Print the power of photographs and of the frowns of each generator in dB."""
    faces = load_faces(shards, "test", CROP_SIZE)
    crops = faces.images.permute(0, 2, 3, 1).numpy()
    aus = faces.aus.numpy()
    low = np.flatnonzero(aus[:, AU04] < LOW)
    high = np.flatnonzero(aus[:, AU04] >= HIGH)
    if not len(high) or not len(low):
        raise click.ClickException(
            f"The test split needs faces with AU04 from {HIGH} and faces with AU04 below {LOW}."
        )
    indices = np.random.default_rng(seed).permutation(low)[:count]
    print_power(f"{len(high)} photographs with AU04 from {HIGH}", crops[high])
    print_power(f"{len(indices)} photographs with AU04 below {LOW}", crops[indices])
    for path in weights:
        animator = Animator(path, torch.device("cpu"))
        for level in LEVELS:
            frowns = []
            for batch in batches(indices):
                target = aus[batch].copy()
                target[:, AU04] = level
                rendered = animator.render_batch(crops[batch], faces_of_crops(aus[batch]), target)
                frowns += rendered.pictures
            print_power(f"the same with AU04 at {level}, {path}", np.stack(frowns))


def print_power(label: str, crops: np.ndarray) -> None:
    """Print mean and 90th percentile of the power of crops (n, 128, 128, 3)."""
    power = fine_power(crops)
    print(f"{label}: mean {power.mean():.1f} dB, 90th percentile {np.quantile(power, 0.9):.1f} dB")


def fine_power(crops: np.ndarray) -> np.ndarray:
    """Power in dB (n,) of crops (n, 128, 128, 3) uint8 between the brows.

    The mean power spectrum at the periods MIN_PERIOD to MAX_PERIOD of the rows, each minus its
    mean, under a Hann window.
    """
    rows, columns = BETWEEN_BROWS
    strips = crops[:, rows, columns].mean(3)
    strips -= strips.mean(2, keepdims=True)
    length = strips.shape[2]
    power = np.abs(np.fft.rfft(strips * np.hanning(length), axis=2)[..., 1:]) ** 2
    period = length / np.arange(1, power.shape[2] + 1)
    fine = power[..., (period >= MIN_PERIOD) & (period <= MAX_PERIOD)].mean((1, 2))
    return 10 * np.log10(fine)


if __name__ == "__main__":
    main()
