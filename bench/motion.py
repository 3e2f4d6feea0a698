"""Measure animations by clips: lengths, rates, jumps, sound, and whether AUs are carried over.

python bench/motion.py --clips FOLDER [--portrait FILE ...] [--au 12=1] [--most 150]

Each clip drives the portraits, and is animated itself. The results are written as MP4 and read
back. Printed are, for each: the frames and the frames a second of the clip and of the result; the
largest difference between neighbouring pictures of the result within the face (mean over its
pixels, 0-255), beside that of the clip, marked if it exceeds its bound; how far the sound of the
result lies behind that of the clip, in ms; and of driven portraits the correlation over time of the
AUs of clip and result, of those that vary in the clip by a standard deviation of 0.05 or more: the
mean, and each.

--most cuts clips after so many frames, without loss, to save time.
"""

import tempfile
from fractions import Fraction
from pathlib import Path

import av
import click
import numpy as np

from ganim.model.animation.animator import Animator
from ganim.model.animation.drive import read_driver
from ganim.model.animation.follow import Followed, follow
from ganim.model.animation.motion import Animation, Motion, animate_clip, drive_photograph
from ganim.model.animation.save import save
from ganim.pipeline.action_units import NUMBERS, parse_edits
from ganim.pipeline.errors import GanimError
from ganim.pipeline.expressions import Request
from ganim.pipeline.images import CLIP_SUFFIXES, video
from ganim.pipeline.images.decode import read_image

EXAMPLES = Path(__file__).parents[1] / "examples"
VARIES = 0.05
DRIVEN_BOUND, EDITED_BOUND = 8.0, 3.0
"""In levels: the largest jump of a driven portrait; and by how much an edited clip may exceed the
clip's own. docs/animation.md states them."""
RATE = 8000
"""Samples a second at which sounds are compared."""


@click.command(help=__doc__)
@click.option("--clips", type=click.Path(exists=True, path_type=Path), required=True)
@click.option(
    "--portrait",
    "portraits",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    default=(EXAMPLES / "astronaut.png", EXAMPLES / "grace_hopper.jpg"),
)
@click.option("--au", "aus", multiple=True, default=("12=1",))
@click.option("--most", type=int, help="Frames of each clip.")
def main(clips: Path, portraits: tuple[Path, ...], aus: tuple[str, ...], most: int | None) -> None:
    """Animate by each clip and print a row for each result."""
    animator = Animator()
    pictures = {path.stem: read_image(path) for path in portraits}
    faces = {name: animator.faces(picture, 1) for name, picture in pictures.items()}
    request = Request(parse_edits(aus))
    print(f"{'':<16} {'drives':<13} {'frames':>9} {'a second':>13} {'jump':>11} {'ms':>5} {'r':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for clip in sorted(
            path for path in clips.iterdir() if path.suffix.lower() in CLIP_SUFFIXES
        ):
            if most is not None:
                clip = _cut(clip, Path(folder) / clip.name, most)
            try:
                driver = read_driver(animator.reader, clip)
                measured = _Clip(clip, follow(animator.reader, clip))
                for name, picture in pictures.items():
                    driven = drive_photograph(
                        animator, picture, faces[name], driver, driver.neutral()
                    )
                    _row(animator, measured, name, driven, driver.aus)
                edited = animate_clip(animator, clip, 1, request, Motion())
                _row(animator, measured, "(itself)", edited)
            except GanimError as reason:
                print(f"{clip.name:<16} {reason}", flush=True)


def _cut(clip: Path, to: Path, most: int) -> Path:
    """The first frames of a clip, with their sound, copied without encoding them again."""
    with av.open(str(clip)) as source, av.open(str(to), "w") as target:
        streams = {
            stream.index: target.add_stream_from_template(stream)
            for stream in (*source.streams.video[:1], *source.streams.audio[:1])
        }
        end = Fraction(most) / (source.streams.video[0].average_rate or 25)
        for packet in source.demux(*(source.streams[index] for index in streams)):
            if packet.dts is None or (packet.pts or 0) * packet.time_base >= end:
                continue
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
    return to


class _Clip:
    """A clip, and what is measured of it once."""

    def __init__(self, path: Path, followed: Followed) -> None:
        self.path, self.followed = path, followed
        self.jump = _jump(path, followed)
        self.sound = _sound(path)


def _row(
    animator: Animator, clip: _Clip, how: str, animation: Animation, aus: np.ndarray | None = None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.mp4"
        save(path, animation)
        after = follow(animator.reader, path)
        jump = _jump(path, after)
        delay = _delay(clip.sound, _sound(path))
    bound = clip.jump + EDITED_BOUND if aus is None else DRIVEN_BOUND
    before = clip.followed
    counts = len(before.timing.times), len(after.timing.times)
    rates = [float(one.timing.rate or "nan") for one in (before, after)]
    correlation = "" if aus is None else _correlations(aus, after.tracks[0].aus)
    print(
        f"{clip.path.stem:<16} {how:<13} {counts[0]:>4} {counts[1]:>4} {rates[0]:>6.2f} "
        f"{rates[1]:>6.2f} {clip.jump:>5.1f} {jump:>5.1f}{'!' if jump > bound else ' '}{delay:>5} "
        f"{correlation}",
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


def _sound(clip: Path) -> np.ndarray | None:
    """The samples of a clip's sound, one channel, from the time of its first frame."""
    with av.open(str(clip)) as container:
        if not container.streams.audio:
            return None
        resampler = av.AudioResampler("flt", "mono", RATE)
        start, samples = None, []
        for frame in container.decode(audio=0):
            start = frame.time if start is None else start
            samples += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    before = np.zeros(max(0, round((start or 0.0) * RATE)), np.float32)
    return np.concatenate([before, *samples])


def _delay(before: np.ndarray | None, after: np.ndarray | None) -> str:
    """By how many ms the second sound lies behind the first: where they correlate most."""
    if before is None or after is None:
        return "none" if before is after else "LOST"
    size = 1 << (len(before) + len(after)).bit_length()
    product = np.fft.irfft(np.fft.rfft(after, size) * np.conj(np.fft.rfft(before, size)))
    lag = int(product.argmax())
    return f"{1000 * (lag - size if lag > size // 2 else lag) / RATE:.0f}"


def _correlations(before: np.ndarray, after: np.ndarray) -> str:
    """The mean r, and r of each AU as `number:r`; r of an AU that stays constant counts as 0."""
    both = ~np.isnan(before[:, 0]) & ~np.isnan(after[:, 0])
    before, after = before[both], after[both]
    r = {
        number: np.corrcoef(one, other)[0, 1] if other.std() > 0 else 0.0
        for number, one, other in zip(NUMBERS, before.T, after.T, strict=True)
        if one.std() >= VARIES
    }
    each = "  ".join(f"{number}:{value:.2f}" for number, value in r.items())
    return f"{np.mean(list(r.values())):6.2f}   {each}"


if __name__ == "__main__":
    main()
