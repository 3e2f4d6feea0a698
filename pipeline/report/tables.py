"""Print the statistics of a shard set as tables."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import shards
from .findings import list_findings
from .formatting import number, percent, printable
from .statistics import Statistics, quartiles

_SHOWN_REASONS = 12
_SHOWN_CHECKED = 8


def print_statistics(statistics: Statistics) -> None:
    """Print counts, reasons, sizes, scores, action units (if annotated) and findings."""
    console = Console(highlight=False, markup=False, emoji=False)
    annotators = ", ".join(statistics.annotators) or "no annotator yet"
    console.print(
        f"{printable(str(statistics.folder))}: {statistics.photographs:,} photographs, "
        f"{len(statistics.faces):,} faces, {len(statistics.annotated):,} with action units by "
        f"{printable(annotators)}",
        soft_wrap=True,
    )
    tables = [_statuses(statistics)] if statistics.statuses else []
    tables += [_reasons(statistics)] if statistics.reasons else []
    tables += [_ranges(statistics)] if len(statistics.sizes) else []
    tables += [_series(statistics)] if len(statistics.series) else []
    if len(statistics.annotated):
        tables += [_action_units(statistics), _correlations(statistics)]
    tables += [_checked(statistics)] if statistics.checked else []
    for table in tables:
        console.print()
        console.print(table)
    console.print()
    for finding in list_findings(statistics):
        mark = "!" if finding.is_problem else "·"
        console.print(f"{mark} {printable(finding.text)}", soft_wrap=True)


def _statuses(statistics: Statistics) -> Table:
    rows = (
        (status, *(f"{count:,}" for count in splits.values()), percent(statistics.share(status)))
        for status, splits in statistics.statuses.items()
    )
    return _table(["Status", "> train", "> test", "> share"], rows)


def _reasons(statistics: Statistics) -> Table:
    rows = (
        (f"{reason.count:,}", reason.status, reason.text, reason.source)
        for reason in statistics.reasons[:_SHOWN_REASONS]
    )
    table = _table(["> Rows", "Status", "Reason", "Example"], rows)
    if others := statistics.reasons[_SHOWN_REASONS:]:
        table.add_row(f"{sum(reason.count for reason in others):,}", "", "other reasons", "")
    return table


def _ranges(statistics: Statistics) -> Table:
    columns: dict[str, np.ndarray | pd.Series] = {
        "face width, px": statistics.faces["face_px"],
        "detection score": statistics.faces["detection_score"],
        "photograph width, px": statistics.sizes[:, 0],
        "photograph height, px": statistics.sizes[:, 1],
        "AU confidence": statistics.annotated["au_confidence"],
    }
    rows = (
        (name, *(number(value) for value in quartiles(values)))
        for name, values in columns.items()
        if np.isfinite(np.asarray(values, np.float64)).any()
    )
    return _table(["", "> min", "> 25%", "> median", "> 75%", "> max"], rows)


def _series(statistics: Statistics) -> Table:
    """Series and their faces, by split."""
    series, faces = statistics.series, statistics.faces
    in_series = faces[faces["series"].notna()]
    with_landmarks = faces[faces["points"] > 0]
    rows = [("series", *_by_split(series)), ("faces in series", *_by_split(in_series))]
    sizes = [series.loc[series["split"] == split, "faces"] for split in shards.SPLITS]
    medians = (f"{size.median():g}" if len(size) else "" for size in sizes)
    rows += [("faces per series, median", *medians)]
    for points in sorted(with_landmarks["points"].unique()):
        found = with_landmarks[with_landmarks["points"] == points]
        rows += [(f"faces with {points} landmarks", *_by_split(found))]
    return _table(["Series", *(f"> {split}" for split in shards.SPLITS)], rows)


def _by_split(rows: pd.DataFrame) -> list[str]:
    return [f"{(rows['split'] == split).sum():,}" for split in shards.SPLITS]


def _action_units(statistics: Statistics) -> Table:
    rows = (
        (
            f"{au.column} {au.name}",
            f"{au.mean:.2f}",
            f"{au.std:.2f}",
            percent(au.above_1),
            percent(au.zero),
            f"{au.max:.2f}",
        )
        for au in statistics.au_statistics()
    )
    return _table(["Action unit (0-5)", "> mean", "> std", "> above 1", "> zero", "> max"], rows)


def _correlations(statistics: Statistics) -> Table:
    rows = (
        (f"{one} and {other}", f"{r:+.2f}") for one, other, r in statistics.strongest_correlations()
    )
    return _table(["Strongest correlations", "> r"], rows)


def _checked(statistics: Statistics) -> Table:
    """The faces that a second reading doubts most."""
    rows = (
        (one.au, f"{one.label:.1f}", f"{one.reading:.1f}", printable(one.source))
        for one in statistics.checked[:_SHOWN_CHECKED]
    )
    return _table(["Second reading", "> label", "> read", "Photograph"], rows)


def _table(headings: list[str], rows: Iterable[tuple[Any, ...]]) -> Table:
    """Return a table. Columns whose heading starts with "> " are right-aligned."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in headings:
        right = heading.startswith("> ")
        table.add_column(
            heading.removeprefix("> "), justify="right" if right else "left", no_wrap=right
        )
    for row in rows:
        # As Text objects, because a file name may contain rich's markup.
        table.add_row(*(Text(cell) for cell in row))
    return table
