"""ganim animate: photographs and AUs to photographs or a GIF."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..pipeline.action_units import parse_edits, usage
from ..pipeline.errors import CannotWrite, GanimError, NothingUsable, WrongUse
from ..pipeline.expressions import Request, parse_expression
from .animate_motion import animate_motion, plan_motion
from .console import Tracker, say
from .motion_options import is_motion, motion_options
from .options import EXISTING_FILE, FILE, FOLDER, face_option, given

if TYPE_CHECKING:
    from ..model.animation.animator import Animator
    from ..model.animation.stills import StillSettings
    from ..pipeline.images.outputs import Job


@click.command()
@click.argument("photographs", nargs=-1, required=True, metavar="PHOTOGRAPH...")
@click.option(
    "--au",
    "aus",
    multiple=True,
    metavar="N=V",
    help="12=1.0 sets AU12, 12=+0.3 adds to it; several: 12=1,6=0.7.",
)
@click.option(
    "--expression",
    metavar="NAME",
    help="One of 22, such as happy or 'sadly angry'; happy=0.5 is half of it.",
)
@click.option("--neutral", is_flag=True, help="No expression: --expression neutral.")
@click.option("--like", type=EXISTING_FILE, help="The expression of another photograph.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    show_default="NAME-animated.png",
    help="PNG, JPEG, WebP, TIFF, AVIF or GIF; - is standard output.",
)
@click.option("--out-dir", type=FOLDER, help="Folder for the results of several photographs.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@face_option
@click.option("--list-faces", is_flag=True, help="Print the faces, and write a picture of them.")
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    show_default="95",
    help="Of JPEG, WebP and AVIF; WebP of 100 is lossless.",
)
@click.option("--no-label", is_flag=True, help="Do not say in the file that it is synthetic.")
@motion_options
@click.option(
    "--weights", type=FILE, show_default="the one that ships", help="Weights of a generator."
)
@click.pass_context
def animate(
    context: click.Context,
    photographs: tuple[str, ...],
    aus: tuple[str, ...],
    expression: str | None,
    neutral: bool,
    like: Path | None,
    output: str | None,
    out_dir: Path | None,
    overwrite: bool,
    face: int | None,
    list_faces: bool,
    quality: int | None,
    no_label: bool,
    weights: Path | None,
    **motion: Any,
) -> None:
    """Animate the faces of PHOTOGRAPH: a file, several, folders with --out-dir, or - for standard
    input.

    AUs that are not named keep the face's own value. Values run from 0 to 1. Every pixel outside
    the face is exactly the photograph's, if the format is lossless.
    """
    request = _request(aus, expression, neutral, like is not None)
    moving = not list_faces and is_motion(photographs[0], output, given(context))
    said = like is not None or list_faces or bool(motion["keys"]) or motion["drive"] is not None
    if request is None and not said:
        raise WrongUse(f"Say what to change: --au 12=1.0, or --expression happy. {usage()}")

    if moving:
        if len(photographs) > 1 or out_dir is not None:
            raise WrongUse("An animation is made of one photograph or clip, with -o: name one.")
        options = {**motion, "face": face, "no_label": no_label}
        planned = plan_motion(photographs[0], output, given(context), options, overwrite)

        from ..model.animation.animator import SHIPPED, Animator

        animator = Animator(weights or SHIPPED)
        request = request or Request()
        animator.check(request)
        if like is not None:
            request = _with_expression_of(like, animator, request)
        animate_motion(planned, animator, request)
        return

    from ..pipeline.images.outputs import plan

    if list_faces and output is None and out_dir is None:
        output = f"{Path(photographs[0]).stem}-faces.png"
    jobs = plan(photographs, output, out_dir, overwrite)
    for job in jobs:
        _check_target(job.target)

    from ..model.animation.animator import SHIPPED, Animator
    from ..model.animation.stills import StillSettings

    animator = Animator(weights or SHIPPED)
    request = request or Request()
    animator.check(request)
    if like is not None:
        request = _with_expression_of(like, animator, request)
    settings = StillSettings(request, face, quality, label=not no_label)
    if len(jobs) > 1:
        _animate_many(jobs, animator, settings, list_faces)
    elif list_faces:
        _list_faces(jobs[0], animator, settings)
    else:
        notes = _animate_one(jobs[0], animator, settings)
        for note in notes:
            say(note, err=True)
    if len(jobs) == 1 and jobs[0].target is not None:
        say(f"Wrote {jobs[0].target}")


def _request(
    aus: Sequence[str], expression: str | None, neutral: bool, like: bool
) -> Request | None:
    """What the options ask for, but for `--like`; None if that is nothing."""
    if (expression is not None) + neutral + like > 1:
        raise WrongUse("--expression, --neutral and --like each set the whole face: give one.")
    edits = parse_edits(aus)
    if neutral:
        expression = "neutral"
    if expression is None:
        return Request(edits) if edits else None
    return Request(edits, parse_expression(expression))


def _check_target(target: Path | None) -> None:
    """Raise WrongUse if nothing can be written under a file's name."""
    from ..pipeline.images.write import FORMATS

    if target is None:
        if sys.stdout.isatty():
            raise WrongUse("The picture would go to the terminal: name a file with -o.")
    elif target.suffix.lower() not in FORMATS:
        endings = ", ".join([*FORMATS, ".gif", ".mp4", ".webm", ".apng"])
        raise WrongUse(f"{target.name} ends in none of {endings}: name the output one of these.")


def _with_expression_of(like: Path, animator: "Animator", request: Request) -> Request:
    """A request for the expression of the largest face of another photograph, and for more."""
    from ..model.animation.stills import read

    try:
        return Request(request.edits, animator.find(read(like).rgb).own_aus)
    except NothingUsable as reason:
        raise NothingUsable(f"--like {like}: {reason}") from reason


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
    from ..model.animation.faces import choose
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
