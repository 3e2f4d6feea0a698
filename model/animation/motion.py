"""Animations of a photograph, and of a clip: pictures, when they are shown, and their sound."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from ...pipeline.errors import WrongUse
from ...pipeline.expressions import Request
from .animator import Animator
from .choose import chosen_faces
from .clip import moments, readable_frames
from .drive import Driver, read_driver
from .faces import Face
from .follow import follow
from .keyframes import EASES, Key, between, key_timing, keyed
from .render import clip_pictures, still_pictures
from .timing import Timing

HOLD = Fraction(4, 5)
"""How long, in seconds, the last picture of an animation that repeats stays."""


@dataclass(frozen=True)
class Motion:
    """How a face moves from its own expression to the one requested."""

    count: int = 24
    """The pictures from the first to the requested expression."""
    rate: Fraction = Fraction(25)
    """Pictures a second."""
    ease: str = "in-out"
    """One of EASES."""
    ping_pong: bool = False
    """Whether it moves back again."""
    keys: Sequence[Key] = ()
    """Keyframes in place of a request."""


@dataclass(frozen=True)
class Animation:
    """Pictures in time. They are computed as they are taken, once."""

    pictures: Iterator[np.ndarray]
    """(h, w, 3) uint8 RGB, all of one size, one for each of the times."""
    timing: Timing
    hold: bool = False
    """Whether the last picture should stay for a while, if the animation repeats."""
    sound: Path | None = None
    """A clip whose sound belongs to the pictures."""
    notes: list[str] = field(default_factory=list)
    """Sentences about what is missing, for the user."""


def animate(
    animator: Animator,
    source: Path | np.ndarray,
    which: int | None,
    request: Request,
    motion: Motion,
    drive: Path | None = None,
    drive_neutral: float | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> Animation:
    """Animate a clip, or a photograph: by keyframes, by a driver, or up to what is requested.

    Args:
        source: the file of a clip; or a photograph (h, w, 3) uint8 RGB.
        which: the face, by size from 1; None: all.
        drive: a clip or an OpenFace CSV, whose expressions a photograph shows.
        drive_neutral: when its person shows no expression, in seconds; None: the median.
        on_frame: called for each frame of a clip that is read.

    Raises NothingUsable if there is no face, or a file cannot be used; WrongUse for AUs that the
    weights do not know, and for what does not go together.
    """
    animator.check(request)
    animator.check(Request([edit for key in motion.keys for edit in key.edits]))
    if drive_neutral is not None and drive is None:
        raise WrongUse("A time of the driver without expression needs a driver.")
    if drive is not None and isinstance(source, Path):
        raise WrongUse("A driver is for a photograph: a clip keeps its own motion.")
    requested = bool(request.edits) or request.expression is not None
    if (drive is not None) + bool(motion.keys) + requested > 1:
        raise WrongUse(
            "AUs or an expression, keyframes, and a driver each say what the face shows: give one."
        )
    if isinstance(source, Path):
        return animate_clip(animator, source, which, request, motion, on_frame)
    faces, notes = chosen_faces(animator.faces(source), which)
    if drive is None:
        animation = animate_photograph(animator, source, faces, request, motion)
    else:
        driver = read_driver(animator.reader, drive, on_frame)
        neutral = driver.neutral(drive_neutral)
        animation = drive_photograph(animator, source, faces, driver, neutral)
    return replace(animation, notes=[*notes, *animation.notes])


def animate_photograph(
    animator: Animator,
    picture: np.ndarray,
    faces: Sequence[Face],
    request: Request,
    motion: Motion,
) -> Animation:
    """Animate faces of a photograph (h, w, 3) uint8 RGB.

    Without keyframes at 0 s the first picture is the photograph.
    """
    ease = EASES[motion.ease]
    if motion.keys:
        timing = key_timing(motion.keys, motion.rate)
        seconds = timing.seconds
        targets = [
            keyed(np.tile(face.own_aus, (len(seconds), 1)), seconds, motion.keys, ease)
            for face in faces
        ]
    else:
        targets = [
            between(face.own_aus, request, motion.count, ease, motion.ping_pong) for face in faces
        ]
        timing = Timing.steady(len(targets[0]), motion.rate)
    pictures = still_pictures(animator, picture, faces, targets)
    return Animation(pictures, timing, hold=not motion.keys and not motion.ping_pong)


def drive_photograph(
    animator: Animator,
    picture: np.ndarray,
    faces: Sequence[Face],
    driver: Driver,
    neutral: np.ndarray,
) -> Animation:
    """Let faces of a photograph (h, w, 3) uint8 RGB show the expressions of a driver.

    neutral: (17,) in 0-1, the AUs of the driver without expression.
    """
    targets = [driver.targets(face.own_aus, neutral) for face in faces]
    notes = []
    if driver.problem is not None:
        notes.append(f"The driver was not read to its end: {driver.problem}.")
    if driver.unseen:
        notes.append(
            f"The driver's face is not seen in {driver.unseen} of {len(driver.aus)} frames: where "
            "that lasts, its expression is held for half a second and then fades to neutral."
        )
    pictures = still_pictures(animator, picture, faces, targets)
    return Animation(pictures, driver.timing, False, driver.sound, notes)


def animate_clip(
    animator: Animator,
    clip: Path,
    which: int | None,
    request: Request,
    motion: Motion,
    on_frame: Callable[[], None] = lambda: None,
) -> Animation:
    """Animate the face `which` of the first frame with a face (None: all) through a whole clip.

    The clip is read twice: first to follow the faces, then for its pictures. Raises NothingUsable
    if it cannot be read or shows no face, and WrongUse if there is no such face.

    on_frame: called after each frame of the first reading.
    """
    followed = follow(animator.reader, clip, which, on_frame)
    ease = EASES[motion.ease]

    def targets(own: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        if motion.keys:
            return keyed(own, seconds, motion.keys, ease)
        return np.stack([request.target(aus) for aus in own])

    asked = moments(animator, followed.tracks, followed.timing.seconds, targets)
    notes = []
    if followed.problem is not None:
        notes.append(f"{clip} was not read to its end: {followed.problem}.")
    for track in followed.tracks:
        if not track.seen.all():
            notes.append(
                f"A face is not seen in {(~track.seen).sum()} of {len(track.seen)} frames: around "
                "these the change fades out and back in."
            )
    if followed.others:
        more = "1 more face" if followed.others == 1 else f"{followed.others} more faces"
        notes.append(f"{more} in the first frame with a face: --face N, or --face all.")
    pictures = clip_pictures(animator, readable_frames(clip), asked)
    return Animation(pictures, followed.timing, False, clip, notes)
