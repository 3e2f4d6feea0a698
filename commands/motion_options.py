"""The options of ganim animate that are about motion."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..model.animation.keyframes import EASES
from ..pipeline.errors import WrongUse
from ..pipeline.images import STANDARD, is_clip
from .options import EXISTING_FILE, FiniteRange, combined

_NAMES = {
    "frames": "--frames",
    "fps": "--fps",
    "ease": "--ease",
    "ping_pong": "--ping-pong",
    "loop": "--loop",
    "keys": "--key",
    "drive": "--drive",
    "drive_neutral": "--drive-neutral",
}
_UNUSED_WITH = {
    "keys": ("frames", "ping_pong"),
    "drive": ("frames", "fps", "ease", "ping_pong", "keys"),
}
"""What the first makes meaningless."""
_UNUSED_FOR_CLIPS = ("frames", "fps", "ping_pong", "drive", "drive_neutral")

motion_options = combined(
    [
        click.option(
            "--frames",
            type=click.IntRange(2, 100_000),
            default=24,
            help="Pictures of an animation, from the photograph to what is asked for.",
        ),
        click.option("--fps", type=FiniteRange(1, 100), default=25, help="Pictures a second."),
        click.option(
            "--ease", type=click.Choice(list(EASES)), default="in-out", help="Which ends are slow."
        ),
        click.option("--ping-pong", is_flag=True, help="And back again."),
        click.option(
            "--loop",
            type=click.IntRange(0, 65_535),
            default=0,
            help="How often a GIF, WebP or APNG plays; 0 is without end.",
        ),
        click.option(
            "--key",
            "keys",
            multiple=True,
            metavar="TIME:N=V",
            help="A keyframe in place of --au, such as 1.0:12=1,6=0.5; repeat it.",
        ),
        click.option(
            "--drive",
            type=EXISTING_FILE,
            help="A clip, or an OpenFace CSV of one, whose expressions the face shows.",
        ),
        click.option(
            "--drive-neutral",
            metavar="SECONDS",
            type=FiniteRange(min=0),
            show_default="its median",
            help="When the person of --drive shows no expression.",
        ),
    ]
)
"""--frames, --fps, --ease, --ping-pong, --loop, --key, --drive and --drive-neutral."""

MOVING = (".gif", ".mp4", ".webm", ".apng")
"""Endings that only animations have."""


def is_motion(source: str, output: str | None, given: Mapping[str, Any]) -> bool:
    """Whether the command is asked for an animation: by the options that the user gave, by their
    parameters; by a clip as source; or by the name of the output."""
    if is_clip(source) or any(name in given for name in _NAMES):
        return True
    if output is None or output == STANDARD:
        return False
    name = Path(output)
    return name.suffix.lower() in ("", *MOVING) or Path(name.stem).suffix.lower() == ".strip"


def check_motion(given: Mapping[str, Any], source: str, kind: str) -> None:
    """Raise WrongUse if options about motion do not go together.

    Args:
        given: the user's options by their parameters.
        source: the photograph or clip.
        kind: how the output is saved, as `save.ending` says.
    """
    from ..model.animation.encode import ENDINGS, repeats

    for name, unused in _UNUSED_WITH.items():
        if name in given:
            _refuse(given, unused, f"with {_NAMES[name]}")
            for other in ("aus", "expression", "neutral", "like"):
                if other in given:
                    flag = "--au" if other == "aus" else f"--{other}"
                    raise WrongUse(f"{_NAMES[name]} says what the face shows: leave out {flag}.")
    if "quality" in given:
        raise WrongUse("--quality is for photographs, not for animations: leave it out.")
    if is_clip(source):
        _refuse(given, _UNUSED_FOR_CLIPS, "for a clip, which keeps its own pictures")
        if "keys" not in given:
            _refuse(given, ("ease",), "for a clip without --key")
    if "drive_neutral" in given and "drive" not in given:
        raise WrongUse("--drive-neutral is a time of the clip of --drive: give --drive too.")
    if "loop" in given and not (kind in ENDINGS and repeats(kind)):
        raise WrongUse("--loop is for GIF, WebP and APNG files: the others do not repeat.")


def _refuse(given: Mapping[str, Any], unused: tuple[str, ...], where: str) -> None:
    found = [_NAMES[name] for name in unused if name in given]
    if found:
        raise WrongUse(f"{', '.join(found)}: of no use {where}. Leave it out.")
