"""ganim annotate: the AUs of shards or of a clip."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..pipeline.errors import WrongUse
from ..pipeline.files import address
from ..pipeline.openface.output import MIN_CONFIDENCE
from .annotate_check import check_shards
from .annotate_clip import annotate_clip
from .annotate_photograph import annotate_photograph, is_photograph
from .annotator_options import annotator_option, openface_options, refuse_unused_options
from .annotators import make_estimator, make_labels, openface_or_estimator
from .console import REPORT, Tracker, failures, report_after, say, stopped_by_signals
from .options import FILE, FiniteRange, face_option, given

if TYPE_CHECKING:
    from ..pipeline.annotator import Annotator

_ONLY_FOR_SHARDS = ("scheduler", "workers", "min_confidence", "check", "redo_below")


@click.command()
@click.argument("shards", type=address, default="shards")
@click.option(
    "--annotator",
    "kind",
    type=click.Choice(["auto", "openface", "estimator", "labels"]),
    default="auto",
    help="auto: openface if a container runtime and its image are here, otherwise estimator.",
)
@annotator_option(
    ["labels"], "--labels", type=click.Path(path_type=Path), help="AUs that already exist."
)
@annotator_option(
    ["labels"],
    "--scale",
    type=click.Choice(["0-5", "0-1", "A-E"]),
    show_default="of the tool that wrote the labels, or 0-5",
    help="Scale of the AUs in the labels. A-E is that of FACS coders, with 0 for none.",
)
@annotator_option(
    ["estimator"],
    "--estimator",
    "weights",
    type=FILE,
    show_default="the weights that ship",
    help="Weights of an estimator; an .onnx file needs no torch.",
)
@annotator_option(
    ["estimator"],
    "--coding",
    type=click.Choice(["openface", "facs"]),
    default="openface",
    help="Scale of the estimator's AUs: OpenFace's, or that of human coders.",
)
@openface_options
@annotator_option(["openface"], "--pull", is_flag=True, help="Download the image if it is absent.")
@annotator_option(
    ["openface"],
    "--workers",
    type=click.IntRange(min=1),
    show_default="all cores",
    help="How many OpenFace processes run at once.",
)
@annotator_option(
    ["openface", "estimator"],
    "--scheduler",
    metavar="ADDRESS",
    help="Address of a Dask scheduler, whose workers then read the AUs.",
)
@annotator_option(
    ["openface", "labels"],
    "--min-confidence",
    type=FiniteRange(0, 1),
    default=MIN_CONFIDENCE,
    help="Faces with less of OpenFace's confidence get a reason in place of AUs.",
)
@click.option("--overwrite", is_flag=True, help="Read every face again; replace the CSV of a file.")
@click.option(
    "--check",
    is_flag=True,
    help="Change nothing; list the faces whose AUs disagree most with the estimator.",
)
@click.option(
    "--redo-below",
    type=FiniteRange(0, 1),
    help="Read faces again that have less confidence, or no AUs.",
)
@click.option("--out", type=FILE, show_default="CLIP.csv", help="CSV of a clip or a photograph.")
@face_option
@click.pass_context
def annotate(
    context: click.Context,
    shards: Path,
    kind: str,
    labels: Path | None,
    scale: Any,
    weights: Path | None,
    coding: Any,
    scheduler: str | None,
    overwrite: bool,
    check: bool,
    redo_below: float | None,
    out: Path | None,
    face: int | None,
    **openface: Any,
) -> None:
    """Read the action units of faces in SHARDS, in a clip or in a photograph.

    AUs are the intensities of 17 action units. With labels, they are looked up in a folder of
    OpenFace CSVs, in a table (.parquet, .csv) with a column `photo`, or in the original project's
    aus_openface.pkl. Run the same command again to continue after a stop. Of a clip, the AUs of
    one person or of all (--face, by size over the clip) are written to a CSV with OpenFace's
    columns; of a photograph, those of each face are printed.
    """
    if check:
        _check_alone(context, shards)
    else:
        refuse_unused_options(context)
    if overwrite and redo_below is not None:
        raise WrongUse("--overwrite reads every face again, --redo-below some: name one of them.")
    if scheduler is not None and openface["workers"] is not None:
        raise WrongUse("--workers is for this machine, --scheduler for a cluster: give one.")
    if kind == "labels" and labels is None:
        raise WrongUse("--annotator labels needs --labels: a folder, a table or a .pkl.")
    _check_path(context, shards, out)
    annotator: Annotator
    if check:
        check_shards(shards, make_estimator(weights, coding))
        return
    if labels is not None:
        annotator = make_labels(labels, shards, openface["min_confidence"], scale)
    elif kind == "estimator":
        annotator = make_estimator(weights, coding)
    else:
        annotator = openface_or_estimator(context, kind, shards, openface)
    say(f"Annotating with {annotator.name}", err=True)
    with stopped_by_signals():
        if is_photograph(shards):
            annotate_photograph(shards, out, annotator)
        elif shards.is_file():
            annotate_clip(shards, out or _default_out(shards), annotator, face)
        else:
            _annotate_shards(shards, annotator, scheduler, overwrite, redo_below)


def _check_path(context: click.Context, shards: Path, out: Path | None) -> None:
    """Raise WrongUse for a path that does not exist, or that does not fit the options."""
    if out is not None and shards.is_dir():
        raise WrongUse(
            f"--out is for clips and photographs; the AUs of {shards} are written into its shards."
        )
    if shards.suffix and not shards.exists():
        raise WrongUse(f"{shards} is not there. Name a photograph, a clip, or a folder of shards.")
    asked = given(context)
    unused = ["--" + name.replace("_", "-") for name in _ONLY_FOR_SHARDS if name in asked]
    if "face" in asked and (shards.is_dir() or is_photograph(shards)):
        raise WrongUse(f"--face is for clips; every face of {shards} is read. Leave it out.")
    if shards.is_file() and unused:
        raise WrongUse(f"{', '.join(unused)}: for shards only, and {shards} is a file. Leave out.")
    if shards.is_file():
        _check_csv(shards, out, "overwrite" in asked)
    if not shards.is_file():
        from ..pipeline.shards import shard_paths

        shard_paths(shards)  # here, as an annotator takes seconds to load


def _default_out(clip: Path) -> Path:
    return clip.with_suffix(".csv")


def _check_csv(file: Path, out: Path | None, overwrite: bool) -> None:
    """Raise WrongUse if the CSV of a photograph or a clip would replace what must stay."""
    if out is None and is_photograph(file):
        if overwrite:
            raise WrongUse(f"--overwrite: the AUs of {file} are only printed. Leave it out.")
        return
    out = out or _default_out(file)
    if not out.exists():
        return
    if out.samefile(file):
        raise WrongUse(f"{out} is what is to be read: name another file with --out.")
    if not overwrite:
        raise WrongUse(f"{out} exists already: name another file with --out, or give --overwrite.")


def _check_alone(context: click.Context, shards: Path) -> None:
    """Raise WrongUse for a file, and for options that --check does not use."""
    used = ("shards", "check", "weights", "coding")
    others = [name for name in given(context) if name not in used]
    if context.params["kind"] == "estimator":
        others = [name for name in others if name != "kind"]
    if others:
        names = [one.opts[0] for one in context.command.params if one.name in others]
        raise WrongUse(f"--check reads by the estimator: leave out {', '.join(names)}.")
    if shards.is_file():
        raise WrongUse(f"--check is for shards, and {shards} is a file.")


def _annotate_shards(
    shards: Path,
    annotator: "Annotator",
    scheduler: str | None,
    overwrite: bool,
    redo_below: float | None,
) -> None:
    from ..pipeline.annotate import annotate as work

    statuses: Counter[str] = Counter()
    with Tracker("annotate", "faces") as tracker:

        def on_face(status: str) -> None:
            statuses[status] += 1
            tracker.advance(note=failures(statuses))

        with report_after(shards):
            summary = work.annotate(
                shards, annotator, overwrite, redo_below, scheduler, tracker.start, on_face
            )
    say(
        f"{summary.annotated} faces have AUs, {summary.failed} have a reason why not; "
        f"{summary.skipped} were done before"
    )
    if summary.read:
        speed = f"{summary.read} faces in {summary.seconds:.1f} s, {summary.rate:.1f} a second"
        said = annotator.summary(summary.seconds)
        say(f"{speed}; {said}" if said else speed)
    say(f"Look at {shards / REPORT}. Next: ganim train {shards}")
