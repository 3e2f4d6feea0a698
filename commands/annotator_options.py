"""Options that only some annotators use, and which are refused with the others."""

from collections.abc import Sequence
from typing import Any

import click

from ..pipeline.errors import WrongUse
from ..pipeline.openface.containers import RUNTIMES
from ..pipeline.openface.process import IMAGE, IMAGE_PROGRAM
from .options import FILE, Decorator, combined, given

_FOR_CONTAINERS = ("runtime", "image", "image_program", "pull")


class AnnotatorOption(click.Option):
    """An option that only some annotators use. See `unused_options`."""

    def __init__(self, *names: Any, annotators: Sequence[str], **options: Any) -> None:
        super().__init__(*names, **options)
        self.annotators = annotators


def annotator_option(annotators: Sequence[str], *names: str, **options: Any) -> Decorator:
    """A `click.option` that is for these annotators alone."""
    return click.option(*names, cls=AnnotatorOption, annotators=annotators, **options)


def unused_options(context: click.Context, annotator: str) -> str:
    """The options that the user gave and that this annotator does not use, with the annotators
    that do: `--pull (for openface)`. Empty if there are none."""
    asked = given(context)
    return ", ".join(
        f"{option.opts[0]} (for {' and '.join(option.annotators)})"
        for option in context.command.params
        if isinstance(option, AnnotatorOption)
        and option.name in asked
        and annotator not in option.annotators
    )


def refuse_unused_options(context: click.Context) -> None:
    """Raise WrongUse for options that have no effect with the annotator that the user chose.

    `auto` takes the options of `openface`, which it uses if it can. The options that the estimator
    does not use are refused when it is used instead.
    """
    chosen = context.params["kind"]
    if unused := unused_options(context, "openface" if chosen == "auto" else chosen):
        raise WrongUse(
            f"--annotator {chosen} does not use {unused}. Leave out what it does not use, or "
            "choose another annotator."
        )
    asked = given(context)
    container = ["--" + name.replace("_", "-") for name in _FOR_CONTAINERS if name in asked]
    if "program" in asked and container:
        raise WrongUse(
            f"--program runs without a container, so {', '.join(container)} would have no effect. "
            "Leave out one or the other."
        )


openface_options = combined(
    [
        annotator_option(
            ["openface"],
            "--runtime",
            type=click.Choice(RUNTIMES),
            show_default="the one that has the image",
            help="Container runtime.",
        ),
        annotator_option(
            ["openface"], "--image", default=IMAGE, help="Container image of OpenFace."
        ),
        annotator_option(
            ["openface"],
            "--image-program",
            default=IMAGE_PROGRAM,
            help="Path of FaceLandmarkImg in the image.",
        ),
        annotator_option(
            ["openface"],
            "--program",
            type=FILE,
            help="A FaceLandmarkImg on this machine, which runs without a container.",
        ),
    ]
)
"""Which OpenFace runs: arguments of `find_openface`."""
