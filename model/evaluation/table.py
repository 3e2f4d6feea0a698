"""The metrics of an evaluation with their thresholds, as tables on a terminal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from ...pipeline.action_units import NAMES, NUMBERS, in_words
from .evaluate import SINGLE_AU_TARGET
from .results import Evaluation, Result

_LOG_WIDTH = 100
_THRESHOLD_AUS = (12, 25, 4, 1)
"""The AUs whose single edits have thresholds."""


@dataclass(frozen=True)
class Threshold:
    """The value that a metric of a good generator reaches."""

    value: float
    at_least: bool
    """Whether higher values are better."""
    gpu: float | None = None
    """A stricter value for generators that were trained on a GPU."""

    def met(self, value: float) -> bool:
        """Whether a value reaches the threshold; False for NaN."""
        return value >= self.value if self.at_least else value <= self.value

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        gpu = "" if self.gpu is None else f", GPU {self.gpu:g}"
        return f"{sign} {self.value:g}{gpu}"


@dataclass(frozen=True)
class Metric:
    """How a metric is shown."""

    name: str
    """Its key in `Result.metrics`."""
    title: str
    format: str = "{:.3f}"
    threshold: Threshold | None = None
    reference: str = ""
    """The name of the same metric of photographs, which is shown beside it."""


@dataclass(frozen=True)
class Value:
    """A metric of one generator as text."""

    text: str
    verdict: str
    """`met`, `met (GPU)`, `not met` or `not measured`; empty without a threshold."""


METRICS = (
    Metric("expression_distance", "Expression distance (ED), 0-5", "{:.2f}",
           reference="expression_distance_reference"),
    Metric("expression_distance_unedited", "ED of the unedited input", "{:.2f}"),
    Metric("expression_distance_ratio", "ED of the unedited input ÷ ED", "{:.3f}",
           Threshold(2, True, 4)),
    Metric("correlation", "Correlation with the targets (r)", "{:.3f}",
           Threshold(0.6, True, 0.75), reference="correlation_reference"),
    *(
        metric
        for number in _THRESHOLD_AUS
        for metric in (
            Metric(f"AU{number:02d}_increase",
                   f"AU{number:02d} only, to {SINGLE_AU_TARGET:g}: increase", "{:.3f}",
                   Threshold(0.4, True)),
            Metric(f"AU{number:02d}_leakage_other_regions",
                   f"AU{number:02d} only: leakage, other regions", "{:.3f}",
                   Threshold(0.1, False)),
        )
    ),
    Metric("identity_distance", "Identity distance (ACD)", "{:.3f}", Threshold(0.4, False)),
    Metric("same_person", "Faces with ACD below 0.6", "{:.0%}"),
    Metric("reconstruction_psnr", "Reconstruction PSNR, dB", "{:.1f}", Threshold(30, True)),
    Metric("reconstruction_ssim", "Reconstruction SSIM"),
    Metric("cycle_psnr", "Cycle PSNR, dB", "{:.1f}"),
    Metric("attention", "Attention, mean"),
    Metric("attention_kept", "Attention above 0.99", "{:.1%}"),
    Metric("attention_replaced", "Attention below 0.01", "{:.1%}"),
    Metric("frechet_descriptor_distance", "Fréchet distance of dlib descriptors", "{:.4f}",
           reference="frechet_descriptor_distance_reference"),
    Metric("spectral_distance", "Spectral distance, dB", "{:.2f}",
           reference="spectral_distance_reference"),
    Metric("spectral_distance_ratio", "Spectral distance ÷ that of photographs", "{:.2f}",
           Threshold(2, False)),
    Metric("fid", "FID (torchvision's Inception v3)", "{:.1f}", reference="fid_reference"),
    Metric("inception_score", "Inception Score (torchvision's)", "{:.2f}",
           reference="inception_score_reference"),
    Metric("unreadable", "Faces that the annotator could not read", "{:.1%}"),
)  # fmt: skip
"""All metrics in the order of the table; docs/evaluation.md defines each."""


@dataclass(frozen=True)
class MetricRow:
    """A metric of all generators."""

    metric: Metric
    values: list[Value]
    """One per generator."""
    reference: str
    """The same metric of photographs; empty if there is none."""


def metric_rows(evaluation: Evaluation) -> list[MetricRow]:
    """One row for each of METRICS that was measured."""
    of_generators = [result.metrics | _single_au_metrics(result) for result in evaluation.results]
    first = of_generators[0]
    return [
        MetricRow(
            metric,
            [_value(metric, values[metric.name]) for values in of_generators],
            formatted(metric.format, first[metric.reference]) if metric.reference else "",
        )
        for metric in METRICS
        if metric.name in first
    ]


def print_evaluation(evaluation: Evaluation) -> None:
    """Print a table of all metrics and, for each generator, a table of the metrics per AU."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    console.print(
        f"{len(evaluation.sample)} faces of the test split of {evaluation.folder}, AUs measured by "
        f"{evaluation.annotator}, seed {evaluation.seed}",
        soft_wrap=True,
    )
    if evaluation.sample.aus != NUMBERS:
        console.print(f"Edited and measured: {in_words(evaluation.sample.aus)}", soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    for number, result in enumerate(evaluation.results, start=1):
        console.print(f"{number}: {result.animator.weights.name}, {result.animator.size} px")
        table.add_column(f"{number}", justify="right")
        table.add_column("")
    table.add_column("photos", justify="right")
    table.add_column("threshold")
    for row in metric_rows(evaluation):
        cells = [text for value in row.values for text in (value.text, value.verdict)]
        table.add_row(row.metric.title, *cells, row.reference, str(row.metric.threshold or ""))
    console.print(table)
    for result in evaluation.results:
        console.print(_per_au_table(result, evaluation.sample.aus))


def _per_au_table(result: Result, aus: Sequence[int]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{result.animator.weights.name}, per AU; the last three columns: this AU only",
    )
    table.add_column("AU")
    headings = ("r", "(photos)", "target sd", "ED", "increase", "leakage", "other regions")
    for heading in headings:
        table.add_column(heading, justify="right")
    columns = (
        "r", "r_reference", "target_sd", "expression_distance",
        "increase", "leakage", "leakage_other_regions",
    )  # fmt: skip
    for number, (name, row) in zip(aus, result.per_au.iterrows(), strict=True):
        cells = [formatted("{:.2f}", row[column]) for column in columns]
        table.add_row(f"{name} {NAMES[number]}", *cells)
    return table


def formatted(template: str, value: float) -> str:
    """Format a value; `-` for NaN and infinity."""
    return template.format(value) if math.isfinite(value) else "-"


def _single_au_metrics(result: Result) -> dict[str, float]:
    return {
        f"AU{number:02d}_{column}": float(result.per_au[column][f"AU{number:02d}"])
        for number in _THRESHOLD_AUS
        if f"AU{number:02d}" in result.per_au.index
        for column in ("increase", "leakage_other_regions")
    }


def _value(metric: Metric, value: float) -> Value:
    text, threshold = formatted(metric.format, value), metric.threshold
    if threshold is None:
        return Value(text, "")
    if not math.isfinite(value):
        return Value(text, "not measured")
    if not threshold.met(value):
        return Value(text, "not met")
    gpu = threshold.gpu is not None and Threshold(threshold.gpu, threshold.at_least).met(value)
    return Value(text, "met (GPU)" if gpu else "met")
