"""ganim animate, where the results are pictures that stand still: of one photograph, or of many."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..pipeline.errors import CannotWrite, GanimError, NothingUsable, WrongUse
from ..pipeline.images import STANDARD
from .console import Tracker, say
from .motion_options import MOVING

if TYPE_CHECKING:
    from ..model.animation.animator import Animator
    from ..model.animation.stills import StillSettings
    from ..pipeline.images.outputs import Job


def plan_stills(
    photographs: Sequence[str],
    output: str | None,
    out_dir: Path | None,
    overwrite: bool,
    list_faces: bool,
) -> list["Job"]:
    """Decide which files are written, before anything is loaded. Raises WrongUse."""
    from ..pipeline.images.outputs import plan

    if list_faces and output is None and out_dir is None:
        name = "standard-input" if photographs[0] == STANDARD else Path(photographs[0]).stem
        output = f"{name}-faces.png"
    jobs = plan(photographs, output, out_dir, overwrite)
    for job in jobs:
        _check_target(job.target)
    return jobs


def _check_target(target: Path | None) -> None:
    """Raise WrongUse if nothing can be written under a file's name."""
    from ..pipeline.images.write import FORMATS

    if target is None:
        if sys.stdout.isatty():
            raise WrongUse("The picture would go to the terminal: name a file with -o.")
    elif target.suffix.lower() not in FORMATS:
        endings = ", ".join([*FORMATS, *MOVING])
        raise WrongUse(f"{target.name} ends in none of {endings}: name the output one of these.")


def animate_stills(
    jobs: Sequence["Job"], animator: "Animator", settings: "StillSettings", list_faces: bool
) -> None:
    """Write the picture of each photograph. Raises NothingUsable or CannotWrite."""
    if len(jobs) > 1 or jobs[0].done:
        _animate_many(jobs, animator, settings, list_faces)
        return
    [job] = jobs
    if list_faces:
        _list_faces(job, animator, settings)
    else:
        for note in _animate_one(job, animator, settings):
            say(note, err=True)
    if job.target is not None:
        say(f"Wrote {job.target}")


def _animate_many(
    jobs: Sequence["Job"], animator: "Animator", settings: "StillSettings", list_faces: bool
) -> None:
    """Animate photographs one after another. One that fails is a line, and not the end.

    Raises NothingUsable if nothing was written.
    """
    waiting = [job for job in jobs if not job.done]
    written = 0
    with Tracker("animate", "photographs") as tracker:
        tracker.start(len(waiting))
        for job in waiting:
            try:
                if list_faces:
                    _list_faces(job, animator, settings)
                else:
                    for note in _animate_one(job, animator, settings):
                        say(f"{job.source}: {note}", err=True)
                written += 1
            except GanimError as reason:
                say(f"{job.source}: {reason}", err=True)
            tracker.advance()
    there = len(jobs) - len(waiting)
    more = f"; {there} existed already (--overwrite replaces them)" if there else ""
    failed = len(waiting) - written
    say(f"{written} pictures written, {failed} photographs failed{more}")
    if failed and not written and not there:
        raise NothingUsable("No photograph gave a picture: see the reasons above.")


def _animate_one(job: "Job", animator: "Animator", settings: "StillSettings") -> list[str]:
    """Write the picture of a photograph; return what is to be said about it."""
    from ..model.animation.stills import edit_file

    suffix = None if job.target is None else job.target.suffix.lower()
    still = edit_file(animator, _file(job), suffix, settings)
    _write(still.content, job.target)
    return still.notes


def _list_faces(job: "Job", animator: "Animator", settings: "StillSettings") -> None:
    """Print the faces of a photograph, and write a picture that shows their numbers."""
    from ..model.animation.choose import choose
    from ..model.animation.stills import numbered, read
    from ..pipeline.images.write import encode

    picture = read(_file(job))
    faces = choose(animator.faces(picture.rgb), None)
    say("face  left   top  width  tilted  turned  confidence", err=job.target is None)
    for number, face in enumerate(faces, start=1):
        box, turn = face.crop, f"{face.roll:5.0f}°  {face.yaw:5.0f}°"
        place = f"{box.left:5d} {box.top:5d}  {box.width:5d}"
        say(f"{number:4d} {place}  {turn}  {face.confidence:10.2f}", err=job.target is None)
    suffix = ".png" if job.target is None else job.target.suffix.lower()
    _write(encode(numbered(picture, faces), suffix, settings.quality)[0], job.target)


def _file(job: "Job") -> Path | bytes:
    return job.source if job.source is not None else sys.stdin.buffer.read()


def _write(content: bytes, target: Path | None) -> None:
    from ..pipeline.files import write_whole

    if target is not None:
        write_whole(target, lambda beside: beside.write_bytes(content))
        return
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise CannotWrite(f"Standard output cannot be written: {error.strerror}.") from error
