"""The annotator that the options of ganim annotate ask for."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..pipeline.errors import WrongUse
from .annotate_photograph import is_photograph
from .annotator_options import unused_options
from .console import say

if TYPE_CHECKING:
    from ..pipeline.annotator import Annotator


def make_labels(labels: Path, shards: Path, min_confidence: float, scale: Any) -> "Annotator":
    """Labels from a file or folder, for a shard set. Raises WrongUse."""
    from ..pipeline.labels.annotator import Labels
    from ..pipeline.labels.photographs import Photographs

    if shards.is_file():
        raise WrongUse("--labels are for shards. A file is read by openface or estimator.")
    return Labels.load(labels, Photographs.of_shards(shards), min_confidence, scale)


def make_estimator(weights: Path | None = None, coding: Any = "openface") -> "Annotator":
    """The estimator with these weights, or those that ship. Raises WrongUse."""
    from ..model.estimator.annotator import SHIPPED, EstimatorAnnotator

    return EstimatorAnnotator(weights or SHIPPED, coding)


def openface_or_estimator(
    context: click.Context, kind: str, shards: Path, options: dict[str, Any]
) -> "Annotator":
    """OpenFace, or for `auto` the estimator where OpenFace is not installed. Raises WrongUse."""
    from ..pipeline.execution.processes import usable_cores
    from ..pipeline.openface.annotator import find_openface

    options["workers"] = options["workers"] or usable_cores()
    try:
        openface = find_openface(**options)
        if shards.is_file() and not is_photograph(shards):
            openface.check_clips()
        return openface
    except WrongUse as reason:
        if kind == "openface":
            raise
        if unused := unused_options(context, "estimator"):
            raise WrongUse(
                f"{reason} The estimator can read the AUs instead, if you leave out {unused}."
            ) from reason
        say(f"OpenFace cannot be used, so the estimator reads the AUs. ({reason})", err=True)
    return make_estimator()
