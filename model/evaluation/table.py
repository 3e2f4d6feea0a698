"""The figures of an evaluation, with the bars they are held to; as tables on a terminal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from ...pipeline.action_units import NAMES, NUMBERS, in_words
from .evaluate import Evaluation, Result

_LOG_WIDTH = 100
BARRED_AUS = (12, 25, 4, 1)
"""Those whose rise alone is held to a bar."""


@dataclass(frozen=True)
class Bar:
    """What a figure should reach."""

    value: float
    at_least: bool
    gpu: float | None = None
    """What it should reach after training on a GPU."""

    def met(self, figure: float) -> bool:
        """Whether the figure reaches it; not a number never does."""
        return figure >= self.value if self.at_least else figure <= self.value

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        gpu = "" if self.gpu is None else f", GPU {self.gpu:g}"
        return f"{sign} {self.value:g}{gpu}"


@dataclass(frozen=True)
class Row:
    """A figure: its name, what it is called, how it is written."""

    name: str
    title: str
    form: str = "{:.3f}"
    bar: Bar | None = None
    beside: str = ""
    """Another figure's name, to be read beside it: the same of photographs."""


@dataclass(frozen=True)
class Cell:
    """A figure as it is shown."""

    text: str
    verdict: str
    """`met`, `met for GPU`, `falls short`, `not measured`, or nothing without a bar."""


ROWS = (
    Row("expression_distance", "Expression distance (ED), of 5", "{:.2f}",
        beside="expression_distance_of_photographs"),
    Row("expression_distance_of_copying", "ED of copying the input", "{:.2f}"),
    Row("expression_distance_ratio", "ED of copying ÷ ED", "{:.3f}", Bar(2, True, 4)),
    Row("correlation", "Correlation with what was asked", "{:.3f}",
        Bar(0.6, True, 0.75), beside="correlation_of_photographs"),
    *(
        row
        for number in BARRED_AUS
        for row in (
            Row(f"AU{number:02d}_rise", f"AU{number:02d} alone to 0.8: rise", "{:.3f}",
                Bar(0.4, True)),
            Row(f"AU{number:02d}_elsewhere", f"AU{number:02d} alone: other regions",
                "{:.3f}", Bar(0.1, False)),
        )
    ),
    Row("identity", "Identity distance (ACD)", "{:.3f}", Bar(0.4, False)),
    Row("same_person", "… faces under 0.6", "{:.0%}"),
    Row("own_psnr", "Own AUs asked: PSNR, dB", "{:.1f}", Bar(30, True)),
    Row("own_ssim", "Own AUs asked: SSIM"),
    Row("cycle_psnr", "There and back: PSNR, dB", "{:.1f}"),
    Row("attention", "Attention, mean"),
    Row("attention_keeps", "… pixels above 0.99", "{:.1%}"),
    Row("attention_replaces", "… pixels below 0.01", "{:.1%}"),
    Row("frechet_descriptors", "Fréchet distance of dlib descriptors", "{:.4f}",
        beside="frechet_descriptors_of_photographs"),
    Row("spectrum", "Distance of power spectra, dB", "{:.2f}", beside="spectrum_of_photographs"),
    Row("spectrum_ratio", "… ÷ that of photographs", "{:.2f}", Bar(2, False)),
    Row("fid", "FID (torchvision's Inception v3)", "{:.1f}", beside="fid_of_photographs"),
    Row("inception_score", "Inception Score (torchvision's)", "{:.2f}",
        beside="inception_score_of_photographs"),
    Row("unread", "Faces the annotator could not read", "{:.1%}"),
)  # fmt: skip
"""In the order they are shown; docs/evaluation.md explains each."""


@dataclass(frozen=True)
class Line:
    """A row filled in."""

    row: Row
    cells: list[Cell]
    """One a generator."""
    photographs: str
    """The same figure for photographs, or nothing."""


def lines(evaluation: Evaluation) -> list[Line]:
    """The rows for which there are figures."""
    figures = [_figures(result) for result in evaluation.results]
    first = figures[0]
    return [
        Line(
            row,
            [_cell(row, of_one[row.name]) for of_one in figures],
            written(row.form, first[row.beside]) if row.beside else "",
        )
        for row in ROWS
        if row.name in first
    ]


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the figures and, per AU, how well it is obeyed."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    console.print(
        f"{len(evaluation.sample)} faces of the test split of {evaluation.folder}, read by "
        f"{evaluation.annotator}, seed {evaluation.seed}",
        soft_wrap=True,
    )
    if evaluation.sample.aus != NUMBERS:
        console.print(f"Asked and measured: {in_words(evaluation.sample.aus)}", soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    for number, result in enumerate(evaluation.results, start=1):
        console.print(f"{number}: {result.animator.name}, {result.animator.size} px")
        table.add_column(f"{number}", justify="right")
        table.add_column("")
    table.add_column("photos", justify="right")
    table.add_column("bar")
    for line in lines(evaluation):
        shown = [part for cell in line.cells for part in (cell.text, cell.verdict)]
        table.add_row(line.row.title, *shown, line.photographs, str(line.row.bar or ""))
    console.print(table)
    for result in evaluation.results:
        console.print(_units_table(result, evaluation.sample.aus))


def _units_table(result: Result, aus: Sequence[int]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, title=f"{result.animator.name}, AU by AU; from `rise` on alone"
    )
    table.add_column("AU")
    for heading in ("r", "(photographs)", "sd asked", "ED", "rise", "leakage", "elsewhere"):
        table.add_column(heading, justify="right")
    columns = ("r", "r_photograph", "sd", "distance", "rise", "leakage", "elsewhere")
    for number, (name, unit) in zip(aus, result.units.iterrows(), strict=True):
        figures = [written("{:.2f}", unit[column]) for column in columns]
        table.add_row(f"{name} {NAMES[number]}", *figures)
    return table


def written(form: str, figure: float) -> str:
    """A figure as text; a dash for one that could not be measured."""
    return form.format(figure) if math.isfinite(figure) else "-"


def _figures(result: Result) -> dict[str, float]:
    units = {
        f"AU{number:02d}_{column}": float(result.units[column][f"AU{number:02d}"])
        for number in BARRED_AUS
        if f"AU{number:02d}" in result.units.index
        for column in ("rise", "elsewhere")
    }
    return result.figures | units


def _cell(row: Row, figure: float) -> Cell:
    text = written(row.form, figure)
    if row.bar is None:
        return Cell(text, "")
    if not math.isfinite(figure):
        return Cell(text, "not measured")
    if not row.bar.met(figure):
        return Cell(text, "falls short")
    gpu = row.bar.gpu is not None and Bar(row.bar.gpu, row.bar.at_least).met(figure)
    return Cell(text, "met for GPU" if gpu else "met")
