"""ganim animate: photographs or a clip, and AUs, to photographs or an animation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..pipeline.action_units import parse_edits, usage
from ..pipeline.errors import NothingUsable, WrongUse
from ..pipeline.expressions import Request, parse_expression
from ..pipeline.images import is_clip
from .animate_motion import animate_motion, plan_motion
from .animate_stills import animate_stills, plan_stills
from .console import say
from .motion_options import is_motion, motion_options
from .options import EXISTING_FILE, FILE, FOLDER, face_option, given

if TYPE_CHECKING:
    from ..model.animation.animator import Animator
    from ..model.animation.networks import Runtime


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
    show_default="NAME-animated.png, or .mp4",
    help="A picture: .png .jpg .webp .tif .avif, or - for standard output. An animation: .gif "
    ".mp4 .webm .apng, .webp with --frames, a folder of PNGs, or NAME.strip.png.",
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
@click.option(
    "--runtime",
    type=click.Choice(["torch", "onnx"]),
    default="torch",
    help="What computes the networks. ONNX Runtime starts faster, and imports no torch.",
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
    runtime: "Runtime",
    **motion: Any,
) -> None:
    """Animate the faces of PHOTOGRAPH: a file, several, folders with --out-dir, a clip, or - for
    standard input.

    AUs that are not named keep the face's own value. Values run from 0 to 1. Every pixel outside
    the face is exactly the photograph's, if the format is lossless.
    """
    request = _request(aus, expression, neutral, like is not None)
    if list_faces and is_clip(photographs[0]):
        raise WrongUse("--list-faces is for photographs: of a clip, --face all takes everyone.")
    moving = not list_faces and is_motion(photographs[0], output, given(context))
    said = like is not None or list_faces or bool(motion["keys"]) or motion["drive"] is not None
    if request is None and not said:
        raise WrongUse(f"Say what to change: --au 12=1.0, or --expression happy. {usage()}")

    if moving:
        if len(photographs) > 1 or out_dir is not None:
            raise WrongUse("An animation is made of one photograph or clip, with -o: name one.")
        options = {**motion, "face": face, "no_label": no_label}
        planned = plan_motion(photographs[0], output, given(context), options, overwrite)
        animate_motion(planned, *_loaded(weights, runtime, request, like))
    else:
        jobs = plan_stills(photographs, output, out_dir, overwrite, list_faces)
        animator, asked = _loaded(weights, runtime, request, like)

        from ..model.animation.stills import StillSettings

        settings = StillSettings(asked, face, quality, label=not no_label)
        animate_stills(jobs, animator, settings, list_faces)


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


def _loaded(
    weights: Path | None, runtime: "Runtime", request: Request | None, like: Path | None
) -> tuple["Animator", Request]:
    """The animator, and what is asked of it, with the expression of the largest face of `like`."""
    from ..model.animation.animator import SHIPPED, Animator
    from ..model.animation.onnx_files import are_exported
    from ..model.animation.stills import read

    weights = weights or SHIPPED
    if runtime == "onnx" and not are_exported(weights):
        say("The networks are written as ONNX files once, for this and later commands.", err=True)
    animator = Animator(weights, runtime=runtime)
    request = request or Request()
    animator.check(request)
    if like is not None:
        try:
            request = Request(request.edits, animator.find(read(like).rgb).own_aus)
        except NothingUsable as reason:
            raise NothingUsable(f"--like {like}: {reason}") from reason
    return animator, request
