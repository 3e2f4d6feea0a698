"""The figures of a shard set as tables on a terminal or in a log."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .hints import hints
from .statistics import Figures, number, percent, printable, quartiles

_MOST_REASONS = 12


def print_figures(figures: Figures) -> None:
    """Print counts, reasons, sizes, scores and, where there are any, action units."""
    console = Console(highlight=False, markup=False, emoji=False)
    annotators = ", ".join(figures.annotators) or "nobody yet"
    console.print(
        f"{printable(str(figures.folder))}: {figures.photographs:,} photographs, "
        f"{len(figures.faces):,} faces, {len(figures.annotated):,} with action units by "
        f"{printable(annotators)}",
        soft_wrap=True,
    )
    tables = [_statuses(figures)] if figures.statuses else []
    tables += [_reasons(figures)] if figures.reasons else []
    tables += [_ranges(figures)] if len(figures.sizes) else []
    if len(figures.annotated):
        tables += [_action_units(figures), _correlations(figures)]
    for table in tables:
        console.print()
        console.print(table)
    console.print()
    for hint in hints(figures):
        console.print(f"{'!' if hint.wrong else '·'} {printable(hint.text)}", soft_wrap=True)


def _statuses(figures: Figures) -> Table:
    rows = (
        (status, *(f"{count:,}" for count in splits.values()), percent(figures.share(status)))
        for status, splits in figures.statuses.items()
    )
    return _table(["Status", "> train", "> test", "> share"], rows)


def _reasons(figures: Figures) -> Table:
    rows = (
        (f"{reason.count:,}", reason.status, reason.text, reason.source)
        for reason in figures.reasons[:_MOST_REASONS]
    )
    table = _table(["> Rows", "Status", "Reason", "For instance"], rows)
    if others := figures.reasons[_MOST_REASONS:]:
        table.add_row(f"{sum(reason.count for reason in others):,}", "", "other reasons", "")
    return table


def _ranges(figures: Figures) -> Table:
    columns: dict[str, np.ndarray | pd.Series] = {
        "face width, px": figures.faces["face_px"],
        "detection score": figures.faces["detection_score"],
        "photograph width, px": figures.sizes[:, 0],
        "photograph height, px": figures.sizes[:, 1],
        "AU confidence": figures.annotated["au_confidence"],
    }
    rows = (
        (name, *(number(value) for value in quartiles(values)))
        for name, values in columns.items()
        if np.isfinite(np.asarray(values, np.float64)).any()
    )
    return _table(["", "> least", "> 25%", "> median", "> 75%", "> most"], rows)


def _action_units(figures: Figures) -> Table:
    rows = (
        (
            f"{unit.column} {unit.name}",
            f"{unit.mean:.2f}",
            f"{unit.sd:.2f}",
            percent(unit.above_1),
            percent(unit.zero),
            f"{unit.most:.2f}",
        )
        for unit in figures.action_units()
    )
    return _table(["Action unit (0-5)", "> mean", "> sd", "> above 1", "> zero", "> most"], rows)


def _correlations(figures: Figures) -> Table:
    rows = (
        (f"{one} and {other}", f"{r:+.2f}") for one, other, r in figures.strongest_correlations()
    )
    return _table(["Strongest correlations", "> r"], rows)


def _table(headings: list[str], rows: Iterable[tuple[Any, ...]]) -> Table:
    """A table; columns whose heading begins with > are numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in headings:
        number = heading.startswith("> ")
        table.add_column(
            heading.removeprefix("> "), justify="right" if number else "left", no_wrap=number
        )
    for row in rows:
        # As text: a name of a file may look like rich's markup.
        table.add_row(*(Text(cell) for cell in row))
    return table
