"""ganim evaluate: how well a generator does on faces that it was not trained on."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .annotator_options import openface_options, refuse_unused_options
from .console import Tracker, say
from .options import EXISTING_FILE, FILE, FOLDER, device_option, torch_device

if TYPE_CHECKING:
    from ..pipeline.annotator import Annotator


@click.command()
@click.argument("shards", type=FOLDER, default=Path("shards"))
@click.option(
    "--weights", type=FILE, show_default="the one that ships", help="Weights of a generator."
)
@click.option(
    "--compare", type=FILE, help="Weights of another one, for the same faces and targets."
)
@click.option("--faces", type=click.IntRange(min=2), default=500, help="The most faces to use.")
@click.option("--seed", type=int, default=0, help="Seed of the choice of faces and targets.")
@click.option(
    "-o",
    "--out",
    type=FILE,
    default=Path("evaluation.html"),
    help="The report; a JSON file is written beside it.",
)
@click.option(
    "--annotator",
    "kind",
    type=click.Choice(["estimator", "openface"]),
    default="estimator",
    help="What reads the AUs of the generated faces.",
)
@click.option(
    "--inception",
    type=EXISTING_FILE,
    help="torchvision's weights of inception_v3, for FID and Inception Score.",
)
@click.option(
    "--fresh-critic/--no-fresh-critic",
    default=True,
    help="Train networks to tell edits from photographs; takes minutes.",
)
@device_option
@openface_options
@click.pass_context
def evaluate(
    context: click.Context,
    shards: Path,
    weights: Path | None,
    compare: Path | None,
    faces: int,
    seed: int,
    out: Path,
    kind: str,
    inception: Path | None,
    fresh_critic: bool,
    device: str | None,
    **openface: Any,
) -> None:
    """Measure a generator on the test split of SHARDS.

    Does it show the AUs it is asked for, leave the others, keep the person, and look real? Prints
    a table, and writes a page of pictures and a JSON file. docs/evaluation.md explains each
    figure.
    """
    refuse_unused_options(context)
    from ..pipeline.shards import shard_paths

    shard_paths(shards)  # here, as torch takes seconds to load
    from ..model.animation.animator import SHIPPED
    from ..model.evaluation import evaluate as work
    from ..model.evaluation import report, table

    report.check_output(out)
    chosen = torch_device(device)
    annotator: Annotator
    if kind == "openface":
        from ..pipeline.openface.annotator import find_openface

        annotator = find_openface(**openface)
    else:
        from ..model.estimator.annotator import EstimatorAnnotator

        annotator = EstimatorAnnotator()
    paths = [weights or SHIPPED, *([compare] if compare else [])]
    with Tracker("evaluate", "pictures") as tracker:
        evaluation = work.evaluate(
            shards,
            paths,
            annotator,
            faces,
            seed,
            inception,
            chosen,
            tracker.start,
            tracker.advance,
            fresh_critic,
        )
    table.print_evaluation(evaluation)
    report.write_page(out, evaluation)
    evaluation.write_json(out.with_suffix(".json"))
    say(f"Wrote {out} and {out.with_suffix('.json')}")
