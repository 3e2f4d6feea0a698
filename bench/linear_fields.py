"""Measure how well AUs explain, linearly, where the landmarks of a series lie.

python bench/linear_fields.py --shards shards/

The displacement of landmarks between photographs of one person is regressed on the differences of
AUs and of nuisance (model/landmarks/nuisance.py): the flow generator's fields are such slopes. AUs
are those in the shards; those that the estimator reads in the same photographs; and the latter with
noise. A line for each has the explained variance of the displacements of a fifth of the series,
whose AUs and landmarks the regression has not seen, and for each AU the mean length of its slopes
over landmarks, in thousandths of half a side. Errors of AUs make these too small.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from ganim.model.config import GeneratorSettings, TrainSettings
from ganim.model.data import load_faces
from ganim.model.estimator.network import load_estimator
from ganim.model.landmarks.frame import into_frame, maps_between, mean_reference
from ganim.model.training.framing import find_landmarks
from ganim.model.training.pair_sampler import PairSampler
from ganim.model.training.whitening import within_series
from ganim.pipeline.action_units import NUMBERS
from ganim.pipeline.faces.crop import CROP_SIZE

NOISE = (0.02, 0.04)
RIDGE = 1.0


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path), required=True)
@click.option("--most", type=int, help="Faces of the shards to use.")
def main(shards: Path, most: int | None) -> None:
    """Print a line for each kind of AUs."""
    faces = load_faces(shards, "train", CROP_SIZE, most)
    of_series = np.flatnonzero([name is not None for name in faces.series])
    if not len(of_series):
        raise click.UsageError(f"{shards} has no series: prepare some with --series.")
    faces = faces.subset(of_series)
    aligned = find_landmarks(faces)
    settings = TrainSettings(size=CROP_SIZE, generator=GeneratorSettings(architecture="flow"))
    sampler = PairSampler(faces, settings, aligned, mean_reference(aligned))
    estimator = load_estimator()
    with torch.inference_mode():
        read = torch.cat([estimator.read(some).aus for some in faces.images.split(128)])
    kinds = {"shards": faces.aus, "estimator": read}
    draw = torch.Generator().manual_seed(0)
    for deviation in NOISE:
        noise = deviation * torch.randn(read.shape, generator=draw)
        kinds[f"with noise of {deviation}"] = read + noise
    tested = torch.cat(
        [torch.full((len(one),), held_out(faces.series[one[0]])) for one in sampler.series]
    )
    displacement = displacements(sampler.landmarks, sampler.series)
    known = displacement.isfinite().all(1)
    print(f"{int(known.sum())} photographs of {len(sampler.series)} series")
    print(f"{'':<20} {'R2':>6}  " + " ".join(f"{number:>4}" for number in NUMBERS))
    for name, aus in kinds.items():
        told = torch.cat([aus, sampler.nuisance.nan_to_num()], 1)
        change = within_series(told, sampler.series)
        train, test = (part & known for part in (~tested, tested))
        slopes = regression(change[train], displacement[train])
        error = displacement[test] - change[test] @ slopes
        explained = 1 - error.square().sum() / displacement[test].square().sum()
        lengths = slopes[: len(NUMBERS)].unflatten(1, (-1, 2)).norm(dim=2).mean(1) * 1000
        print(f"{name:<20} {explained:>6.3f}  " + " ".join(f"{each:>4.0f}" for each in lengths))


def held_out(series: str | None) -> bool:
    """Whether a series is in the fifth that tests."""
    return zlib.crc32(str(series).encode()) % 5 == 0


def displacements(landmarks: Tensor, series: Sequence[Tensor]) -> Tensor:
    """(faces of series, points * 2): landmarks less the mean of their series, placed as it is."""
    parts = []
    for one in series:
        mean = landmarks[one].nanmean(0, keepdim=True).expand(len(one), -1, -1)
        placed = into_frame(landmarks[one], maps_between(mean, landmarks[one]))
        parts.append((placed - mean).flatten(1))
    return torch.cat(parts)


def regression(change: Tensor, displacement: Tensor) -> Tensor:
    """Slopes (told, points * 2) by least squares."""
    change, displacement = change.double(), displacement.double()
    products = change.T @ change + RIDGE * torch.eye(change.shape[1])
    return torch.linalg.solve(products, change.T @ displacement).float()


if __name__ == "__main__":
    main()
