"""The metrics of an evaluation with their thresholds, as tables on a terminal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.console import Console
from rich.table import Table

from ...pipeline.action_units import NAMES, NUMBERS, in_words
from .evaluate import SINGLE_AU_TARGET
from .fresh_critic_metrics import FRESH_CRITICS
from .pairs import ERRORS
from .results import Evaluation, Result

_LOG_WIDTH = 100
_THRESHOLD_AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 25, 26, 45)
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


INCREASE = Threshold(0.35, True)
"""Of an AU that is edited alone."""
OTHER_REGIONS = Threshold(0.06, False)
"""Of the leakage of an AU that is edited alone."""

METRICS = (
    Metric("expression_distance", "Expression distance (ED), 0-5", "{:.2f}",
           reference="expression_distance_reference"),
    Metric("expression_distance_unedited", "ED of the unedited input", "{:.2f}"),
    Metric("expression_distance_ratio", "ED of the unedited input ÷ ED", "{:.3f}",
           Threshold(2.5, True, 4)),
    Metric("correlation", "Correlation with the targets (r)", "{:.3f}",
           Threshold(0.6, True, 0.75), reference="correlation_reference"),
    Metric("single_aus", f"One AU to {SINGLE_AU_TARGET:g}: AUs that rise alone", "{:.0f}",
           Threshold(len(_THRESHOLD_AUS), True)),
    Metric("pairs_l1_told_ratio", "Pairs: L1 ÷ unedited, pose and light told", "{:.3f}",
           Threshold(0.6, False)),
    Metric("pairs_ssim_error_told_ratio", "Pairs: (1 - SSIM) ÷ unedited, the same", "{:.3f}",
           Threshold(0.65, False)),
    Metric("pairs_l1_ratio", "Pairs: L1 ÷ unedited, AUs only told", "{:.3f}"),
    Metric("pairs_ssim_error_ratio", "Pairs: (1 - SSIM) ÷ unedited, the same", "{:.3f}"),
    Metric("pairs_read_ratio_used", "Pairs, as animated: AUs read ÷ in photographs", "{:.2f}"),
    *(
        Metric(f"{name}{ending}", f"Fresh critic, {title}{words}, AUC", "{:.3f}",
               Threshold(bound, False), "" if ending else f"{name}_reference")
        for name, title in FRESH_CRITICS.items()
        for ending, words, bound in (("", "", 0.55), ("_worst", ": worst AU", 0.62))
    ),
    Metric("identity_distance", "Identity distance (ACD)", "{:.3f}", Threshold(0.35, False)),
    Metric("same_person", "Faces with ACD below 0.6", "{:.0%}"),
    Metric("reconstruction_psnr", "Reconstruction PSNR, dB", "{:.1f}", Threshold(30, True)),
    Metric("reconstruction_ssim", "Reconstruction SSIM"),
    Metric("reconstruction_identical", "Own AUs: faces returned bit for bit", "{:.0%}",
           Threshold(1, True)),
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


CONDITIONS = {
    "_unedited": "unedited source",
    "_moved": "moved, not painted",
    "": "AUs told",
    "_told": "pose, gaze and light told, too",
    "_used": "as `ganim animate` makes it",
}
"""What is compared with the target of a pair, by the ending of the metric."""


@dataclass(frozen=True)
class PairRow:
    """The errors of pairs of one generator in one condition."""

    title: str
    errors: list[str]
    """By pairs.ERRORS."""
    ratios: list[str]
    """Each divided by that of the unedited source; `-` for that source."""


def pair_rows(result: Result) -> list[PairRow]:
    """The errors of pairs of a generator; none if there were no pairs."""
    return [
        PairRow(
            title,
            [
                formatted(template, result.metrics[f"pairs_{name}{ending}"])
                for name, template in zip(ERRORS, ("{:.4f}", "{:.3f}", "{:.2f}"), strict=True)
            ],
            [
                formatted("{:.3f}", result.metrics.get(f"pairs_{name}{ending}_ratio", math.nan))
                for name in ERRORS
            ],
        )
        for ending, title in CONDITIONS.items()
        if f"pairs_l1{ending}" in result.metrics
    ]


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
    of_generators = [
        result.metrics | {"single_aus": float(sum(rises_alone(result).values()))}
        for result in evaluation.results
    ]
    first = of_generators[0]
    known = len(set(_THRESHOLD_AUS) & set(evaluation.sample.aus))
    rows = []
    for metric in METRICS:
        if not any(metric.name in values for values in of_generators):
            continue
        if metric.name == "single_aus":
            if not known:
                continue
            metric = replace(metric, threshold=Threshold(known, True))
        rows.append(
            MetricRow(
                metric,
                [_value(metric, values.get(metric.name, math.nan)) for values in of_generators],
                formatted(metric.format, first.get(metric.reference, math.nan))
                if metric.reference
                else "",
            )
        )
    return rows


def rises_alone(result: Result) -> dict[str, bool]:
    """For each AU whose single edits have thresholds, whether both are met."""
    return {
        str(name): bool(
            INCREASE.met(row["increase"]) and OTHER_REGIONS.met(row["leakage_other_regions"])
        )
        for name, row in result.per_au.iterrows()
        if int(str(name)[2:]) in _THRESHOLD_AUS
    }


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
        console.print(
            f"{number}: {result.animator.weights.name}, {result.animator.renderer.size} px"
        )
        table.add_column(f"{number}", justify="right")
        table.add_column("")
    table.add_column("photos", justify="right")
    table.add_column("threshold")
    for row in metric_rows(evaluation):
        cells = [text for value in row.values for text in (value.text, value.verdict)]
        table.add_row(row.metric.title, *cells, row.reference, str(row.metric.threshold or ""))
    console.print(table)
    for sentence in evaluation.left_out:
        console.print(sentence, soft_wrap=True)
    if any(map(pair_rows, evaluation.results)):
        console.print(_pairs_table(evaluation))
    for result in evaluation.results:
        console.print(_per_au_table(result, evaluation.sample.aus))


def _pairs_table(evaluation: Evaluation) -> Table:
    count = int(evaluation.results[0].metrics["pairs"])
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{count} pairs: errors to the photograph of the asked expression, and ÷ unedited",
    )
    table.add_column("")
    for heading in ("L1", "÷", "1 - SSIM", "÷", "landmarks, %", "÷"):
        table.add_column(heading, justify="right")
    for number, result in enumerate(evaluation.results, start=1):
        for row in pair_rows(result):
            cells = [cell for both in zip(row.errors, row.ratios, strict=True) for cell in both]
            table.add_row(f"{number}: {row.title}", *cells)
    return table


def _per_au_table(result: Result, aus: Sequence[int]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{result.animator.weights.name}, per AU; from increase on: this AU only",
    )
    table.add_column("AU")
    headings = ["r", "(photos)", "target sd", "ED", "increase", "leakage", "other regions"]
    for heading in headings:
        table.add_column(heading, justify="right")
    columns = [
        "r", "r_reference", "target_sd", "expression_distance",
        "increase", "leakage", "leakage_other_regions",
    ]  # fmt: skip
    for name, kind in FRESH_CRITICS.items():
        if name in result.per_au:
            columns.append(name)
            table.add_column(f"AUC, {kind}", justify="right")
    alone = rises_alone(result)
    table.add_column(f"{INCREASE}, {OTHER_REGIONS}")
    for number, (au, row) in zip(aus, result.per_au.iterrows(), strict=True):
        cells = [formatted("{:.2f}", row[column]) for column in columns]
        verdict = {True: "met", False: "not met", None: ""}[alone.get(str(au))]
        table.add_row(f"{au} {NAMES[number]}", *cells, verdict)
    return table


def formatted(template: str, value: float) -> str:
    """Format a value; `-` for NaN and infinity."""
    return template.format(value) if math.isfinite(value) else "-"


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
