"""Measure the pair errors of `ganim evaluate` of sources that are moved by what their targets show.

python bench/pair_bounds.py --shards shards/

They are moved by landmarks, if the shards have those of all, by a thin-plate spline; and by dense
optical flow (Kroeger et al. 2016), as it is and smoothed. A line for each has L1 and 1 - SSIM
divided by those of copying, and L1 when the mean colour of the target is told, too. A generator
that is told AUs knows less.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from ganim.model.evaluation import pairs as evaluation
from ganim.model.landmarks.placing import FIXED_BY_SCHEME, place_frame
from ganim.pipeline import shards as shard_sets
from ganim.pipeline.action_units import NUMBERS
from ganim.pipeline.faces.crop import CROP_SIZE

SMOOTHING = (0.0, 2.0, 4.0)
"""Standard deviations in pixels of the frame. A generator's flow has a quarter of its pixels."""


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path), required=True)
@click.option("--seed", default=0, help="Of the pairs, as in ganim evaluate.")
def main(shards: Path, seed: int) -> None:
    """Print a line for each way to move the sources."""
    faces = shard_sets.annotated_faces(shards, "test")
    indices = evaluation.draw_pairs(evaluation.series_of(faces), seed)
    pairs = evaluation.make_pairs(faces, indices, NUMBERS)
    if pairs is None:
        raise click.UsageError(f"The test split of {shards} has no series.")
    frames = zip(pairs.frames, pairs.sources, strict=True)
    sources = np.stack([frame.cut(crop, CROP_SIZE) for frame, crop in frames])
    click.echo(f"{len(pairs)} pairs of {len(set(pairs.series))} series")
    click.echo(f"{'':<26} {'L1':>6} {'1-SSIM':>7} {'L1, colour told':>16}")
    moved = {"copying": sources}
    if "landmarks" in faces:
        known = [evaluation.known_landmarks(row) for row in faces["landmarks"]]
        landmarks = [
            (one, other)
            for one, other in ((known[source], known[target]) for source, target in indices)
            if one is not None and other is not None and len(one) == len(other)
        ]
        if len(landmarks) == len(pairs):
            moved["by landmarks"] = warped(sources, landmark_flows(pairs, landmarks))
    flows = dense_flows(sources, pairs.targets)
    for deviation in SMOOTHING:
        name = f"by flow, smoothed by {deviation:.0f} px" if deviation else "by flow"
        smooth = [
            cv2.GaussianBlur(flow, (0, 0), deviation) if deviation else flow for flow in flows
        ]
        moved[name] = warped(sources, smooth)
    copying = mean_errors(sources, pairs.targets)
    for name, results in moved.items():
        l1, ssim_error = mean_errors(results, pairs.targets) / copying
        told = mean_errors(in_colour_of(pairs.targets, results), pairs.targets)[0] / copying[0]
        click.echo(f"{name:<26} {l1:>6.3f} {ssim_error:>7.3f} {told:>16.3f}")


def mean_errors(results: np.ndarray, targets: np.ndarray) -> np.ndarray:
    errors = evaluation.pixel_errors(results, targets)
    return np.array([errors["l1"].mean(), errors["ssim_error"].mean()])


def in_colour_of(targets: np.ndarray, results: np.ndarray) -> np.ndarray:
    """Results (n, h, w, 3) whose mean colours are those of the targets."""
    means = [faces.mean((1, 2), keepdims=True) for faces in (targets, results)]
    return np.clip(np.rint(results + means[0] - means[1]), 0, 255).astype(np.uint8)


def warped(faces: np.ndarray, flows: Sequence[np.ndarray]) -> np.ndarray:
    """Faces (n, h, w, 3) with each pixel taken from where its flow (h, w, 2) points, in pixels."""
    down, across = np.indices(faces.shape[1:3], np.float32)
    border = cv2.BORDER_REPLICATE
    return np.stack(
        [
            cv2.remap(face, across + x, down + y, cv2.INTER_LINEAR, borderMode=border)
            for face, (x, y) in zip(faces, (np.moveaxis(flow, 2, 0) for flow in flows), strict=True)
        ]
    )


def dense_flows(sources: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    """For each pixel of a target, where its source shows it."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [[cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in some] for some in (targets, sources)]
    initial: Any = None
    return [method.calc(target, source, initial) for target, source in zip(*grey, strict=True)]


def landmark_flows(
    pairs: evaluation.Pairs, landmarks: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[np.ndarray]:
    """The same, interpolated between the landmarks of both by a thin-plate spline; the edge stays.

    landmarks: (points, 2) of source and target, in pixels of their crops.
    """
    side = np.arange(CROP_SIZE, dtype=np.float64)
    grid = np.stack(np.meshgrid(side, side), -1)
    ends = (0, CROP_SIZE // 2, CROP_SIZE - 1)
    edge = np.array([(x, y) for x in ends for y in ends if (x, y) != (ends[1], ends[1])])
    flows = []
    for frame, (source, target) in zip(pairs.frames, landmarks, strict=True):
        source = frame.from_picture(source)
        fixed = FIXED_BY_SCHEME[len(target)]
        target = place_frame(target, source, fixed).from_picture(target)
        source, target = (
            np.concatenate([(one + 1) * (CROP_SIZE / 2) - 0.5, edge]) for one in (source, target)
        )
        spline = RBFInterpolator(target, source - target, smoothing=1.0)
        flows.append(spline(grid.reshape(-1, 2)).reshape(grid.shape).astype(np.float32))
    return flows


if __name__ == "__main__":
    main()
