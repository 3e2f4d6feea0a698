"""Measure animations by clips: lengths, frame rates, jumps, and whether AUs are carried over.

python bench/motion.py --clips FOLDER [--portrait examples/grace_hopper.jpg] [--au 12=1]

Each clip drives the portrait, and is animated itself. Both results are written as MP4 and read
back. Printed are, for each: the frames and the frames a second of the clip and of the result; the
largest difference between neighbouring pictures of the result within the face (mean over its
pixels, 0-255), beside that of the clip; and of driven portraits the correlation over time of the
AUs of clip and result, the mean of those that vary in the clip by a standard deviation of 0.05 or
more.
"""

import tempfile
from pathlib import Path

import click
import numpy as np

from ganim.model.animation.animator import Animator
from ganim.model.animation.drive import read_driver
from ganim.model.animation.follow import Followed, follow
from ganim.model.animation.motion import Animation, Motion, animate_clip, drive_photograph
from ganim.model.animation.save import save
from ganim.model.estimator.network import load_estimator
from ganim.pipeline.action_units import parse_edits
from ganim.pipeline.errors import GanimError
from ganim.pipeline.expressions import Request
from ganim.pipeline.images import CLIP_SUFFIXES, video
from ganim.pipeline.images.decode import read_image

VARIES = 0.05


@click.command(help=__doc__)
@click.option("--clips", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--portrait", type=Path, default=Path("examples/grace_hopper.jpg"))
@click.option("--au", "aus", multiple=True, default=("12=1",))
def main(clips: Path, portrait: Path, aus: tuple[str, ...]) -> None:
    """Animate by each clip and print a row for each result."""
    animator, photograph = Animator(), read_image(portrait)
    faces = animator.faces(photograph, 1)
    request = Request(parse_edits(aus))
    print(f"{'':<20} {'':<8} {'frames':>11} {'a second':>13} {'jump':>13} {'r':>6}")
    for clip in sorted(path for path in clips.iterdir() if path.suffix.lower() in CLIP_SUFFIXES):
        try:
            driver = read_driver(animator.reader, clip)
            driven = drive_photograph(animator, photograph, faces, driver, driver.neutral())
            _row(clip, "drives", driven, driver.aus)
            _row(clip, "edited", animate_clip(animator, clip, 1, request, Motion()))
        except GanimError as reason:
            print(f"{clip.name:<20} {reason}", flush=True)


def _row(clip: Path, how: str, animation: Animation, aus: np.ndarray | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.mp4"
        save(path, animation)
        before, after = (follow(load_estimator(), one) for one in (clip, path))
        jumps = _jump(clip, before), _jump(path, after)
    counts = len(before.timing.times), len(after.timing.times)
    rates = [float(one.timing.rate or "nan") for one in (before, after)]
    correlation = "" if aus is None else f"{_correlation(aus, after.tracks[0].aus):6.2f}"
    print(
        f"{clip.name:<20} {how:<8} {counts[0]:>5} {counts[1]:>5} {rates[0]:>6.2f} {rates[1]:>6.2f} "
        f"{jumps[0]:>6.1f} {jumps[1]:>6.1f} {correlation}",
        flush=True,
    )


def _jump(clip: Path, followed: Followed) -> float:
    """The largest mean difference of neighbouring frames, where the face is in both."""
    largest, last = 0.0, None
    track = followed.tracks[0]
    for index, frame in enumerate(video.frames(clip)):
        pixels = frame.pixels.astype(np.int16)
        if last is not None and track.seen[index] and track.seen[index - 1]:
            left, top = np.maximum(track.landmarks[index].min(0), 0).astype(int)
            right, bottom = track.landmarks[index].max(0).astype(int)
            change = np.abs(pixels - last)[top:bottom, left:right]
            largest = max(largest, float(change.mean()))
        last = pixels
    return largest


def _correlation(before: np.ndarray, after: np.ndarray) -> float:
    both = ~np.isnan(before[:, 0]) & ~np.isnan(after[:, 0])
    before, after = before[both], after[both]
    columns = [index for index in range(before.shape[1]) if before[:, index].std() >= VARIES]
    return float(np.mean([np.corrcoef(before[:, i], after[:, i])[0, 1] for i in columns]))


if __name__ == "__main__":
    main()
