"""ganim animate, where the result moves: of a photograph, of a clip, or by a driver."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..pipeline.errors import WrongUse
from ..pipeline.expressions import Request
from ..pipeline.images import STANDARD, is_clip
from .console import Tracker, say
from .motion_options import check_motion

if TYPE_CHECKING:
    import numpy as np

    from ..model.animation.animator import Animator
    from ..model.animation.motion import Animation, Motion


_ASKED = ("aus", "expression", "neutral", "like", "keys", "drive")


@dataclass(frozen=True)
class MotionJob:
    """What is animated, how, and where it is written."""

    source: str
    """A photograph or a clip, or `-` for a photograph from standard input."""
    output: Path
    face: int | None
    """Which face, by size from 1; None: all."""
    motion: "Motion"
    drive: Path | None
    """A clip or a CSV of OpenFace, whose expressions are shown."""
    drive_neutral: float | None
    """When the driver shows no expression, in seconds; None: the median."""
    plays: int
    """0: without end."""
    label: bool
    """Whether the file says that it is synthetic."""
    asked: str
    """What was asked for, as the file says it."""


def plan_motion(
    source: str,
    output: str | None,
    given: Mapping[str, Any],
    options: Mapping[str, Any],
    overwrite: bool,
) -> MotionJob:
    """Decide what the options ask for, before anything is loaded. Raises WrongUse.

    given: the options that the user gave, by their parameters. options: all that are about motion,
    and `face` and `no_label`.
    """
    from ..model.animation.keyframes import parse_keys
    from ..model.animation.motion import Motion
    from ..model.animation.save import check_target, ending

    if output == STANDARD:
        raise WrongUse("An animation cannot go to standard output: name a file with -o.")
    if source != STANDARD and not Path(source).is_file():
        raise WrongUse(f"{source} is not there, or no file. Name a photograph or a clip.")
    name = "standard-input" if source == STANDARD else Path(source).stem
    target = Path(output or f"{name}-animated.mp4")
    check_target(target, overwrite)
    check_motion(given, source, ending(target) or "")
    if source != STANDARD and target.exists() and target.samefile(source):
        raise WrongUse(f"{target} is the source itself: name another file with -o.")
    keys = parse_keys(options["keys"]) if options["keys"] else ()
    return MotionJob(
        source,
        target,
        options["face"],
        Motion(
            options["frames"],
            Fraction(str(options["fps"])),
            options["ease"],
            options["ping_pong"],
            keys,
        ),
        options["drive"],
        options["drive_neutral"],
        options["loop"],
        not options["no_label"],
        " ".join(f"{name}={_public(given[name])}" for name in _ASKED if name in given),
    )


def _public(value: Any) -> str:
    """A value of an option as files may say it: of a path, the name alone."""
    if isinstance(value, tuple):
        return ",".join(value)
    return value.name if isinstance(value, Path) else str(value)


def animate_motion(job: MotionJob, animator: "Animator", request: Request) -> None:
    """Write an animation. request: what is asked for, without keyframes or a driver.

    Raises NothingUsable, WrongUse or CannotWrite.
    """
    from ..model.animation.save import save
    from ..pipeline.images.metadata import labelled_xmp

    animation = _animation(job, animator, request)
    for note in animation.notes:
        say(note, err=True)
    label = labelled_xmp(None, __version__, job.asked) if job.label else None
    with Tracker("animate", "pictures") as tracker:
        tracker.start(len(animation.timing.times))
        notes = save(job.output, animation, job.plays, label, tracker.advance)
    for note in notes:
        say(note, err=True)
    say(f"Wrote {job.output}")


def _animation(job: MotionJob, animator: "Animator", request: Request) -> "Animation":
    from ..model.animation.motion import animate
    from ..model.animation.stills import read

    source: Path | np.ndarray
    if is_clip(job.source):
        source = Path(job.source)
    else:
        file = sys.stdin.buffer.read() if job.source == STANDARD else Path(job.source)
        source = read(file).rgb
    with Tracker("follow the face", "frames") as tracker:
        return animate(
            animator,
            source,
            job.face,
            request,
            job.motion,
            job.drive,
            job.drive_neutral,
            tracker.advance,
        )
