"""ganim animate: a photograph and AUs to a photograph or a GIF."""

from pathlib import Path

import click

from ..pipeline.action_units import parse_edits, usage
from ..pipeline.errors import NothingUsable, WrongUse
from ..pipeline.expressions import Request, parse_expression
from .console import say
from .options import EXISTING_FILE, FILE, face_option


@click.command()
@click.argument("photograph", type=EXISTING_FILE)
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
@click.option(
    "-o", "--output", type=FILE, show_default="NAME-animated.png", help="PNG, JPEG or GIF."
)
@face_option
@click.option(
    "--frames", type=click.IntRange(min=2), default=16, help="Pictures in a GIF, first to last."
)
@click.option(
    "--weights", type=FILE, show_default="the one that ships", help="Weights of a generator."
)
def animate(
    photograph: Path,
    aus: tuple[str, ...],
    expression: str | None,
    output: Path | None,
    face: int | None,
    frames: int,
    weights: Path | None,
) -> None:
    """Animate the main face of PHOTOGRAPH.

    AUs that are not named keep the face's own value. Values run from 0 to 1. In a PNG, every
    pixel outside the face is exactly the photograph's.
    """
    request = Request(
        parse_edits(aus), None if expression is None else parse_expression(expression)
    )
    if not aus and expression is None:
        raise WrongUse(f"Say what to change: --au 12=1.0, or --expression happy. {usage()}")
    output = output or Path(f"{photograph.stem}-animated.png")

    from ..model.animation.animator import SHIPPED, Animator
    from ..model.animation.faces import choose
    from ..model.animation.output import check_format, save
    from ..pipeline.images.decode import UnreadableImage, read_image

    check_format(output)
    try:
        picture = read_image(photograph)
    except UnreadableImage as reason:
        raise NothingUsable(f"{photograph} cannot be read: {reason}.") from reason
    animator = Animator(weights or SHIPPED)
    animator.check(request)
    found = animator.faces(picture)
    chosen = choose(found, face)
    count = frames if output.suffix.lower() == ".gif" else 1
    save(output, animator.frames(picture, chosen, request, count))
    others = len(found) - len(chosen)
    say(f"Wrote {output}" + (f" ({others} more faces: --face N, or --face all)" if others else ""))
