"""ganim annotate clip.mp4: the AUs of the people in a clip, as a CSV."""

from pathlib import Path
from typing import TYPE_CHECKING

from .console import Tracker, say

if TYPE_CHECKING:
    from ..pipeline.annotator import Annotator


def annotate_clip(clip: Path, out: Path, annotator: "Annotator", face: int | None) -> None:
    """Read a person of a clip, or all (None), and say what was written, and what was not read.

    out: the CSV.
    """
    from ..pipeline.annotate import clip as work

    with Tracker("annotate", "frames") as tracker:
        summary = work.annotate_clip(clip, out, annotator, face, lambda status: tracker.advance())
    say(f"{summary.with_aus} of {summary.frames} frames have AUs; wrote {out}")
    if (summary.people or 1) > 1 and face is not None:
        say(f"The clip shows {summary.people} persons; this is number {face}. See --face.")
    if summary.problem:
        say(f"{clip} was not read to its end: {summary.problem}", err=True)
