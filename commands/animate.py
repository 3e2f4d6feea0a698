"""ganim animate: a photograph and AUs to a photograph or a GIF."""

from pathlib import Path

import click

from ..pipeline.action_units import EXPRESSIONS, expression_edits, parse_edit, usage
from ..pipeline.errors import NothingUsable, WrongUse
from .console import say
from .options import EXISTING_FILE, FILE


@click.command()
@click.argument("photograph", type=EXISTING_FILE)
@click.option(
    "--au", "aus", multiple=True, metavar="N=V", help="12=1.0 sets AU12, 12=+0.3 adds to it."
)
@click.option("--expression", type=click.Choice(list(EXPRESSIONS)), help="A named set of AUs.")
@click.option(
    "-o", "--output", type=FILE, show_default="NAME-animated.png", help="PNG, JPEG or GIF."
)
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
    frames: int,
    weights: Path | None,
) -> None:
    """Animate the main face of PHOTOGRAPH.

    AUs that are not named keep the face's own value. Values run from 0 to 1. In a PNG, every
    pixel outside the face is exactly the photograph's.
    """
    edits = expression_edits(expression) if expression else []
    edits += [parse_edit(text) for text in aus]
    if not edits:
        raise WrongUse(f"Say what to change: --au 12=1.0, or --expression happiness. {usage()}")
    output = output or Path(f"{photograph.stem}-animated.png")

    from ..model.animation.animator import SHIPPED, Animator
    from ..model.animation.output import check_format, save
    from ..pipeline.images.decode import UnreadableImage, read_image

    check_format(output)
    try:
        picture = read_image(photograph)
    except UnreadableImage as reason:
        raise NothingUsable(f"{photograph} cannot be read: {reason}.") from reason
    animator = Animator(weights or SHIPPED)
    count = frames if output.suffix.lower() == ".gif" else 1
    save(output, animator.frames(picture, edits, count))
    say(f"Wrote {output}")
