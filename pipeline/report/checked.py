"""What the last `ganim annotate --check` found, as far as it still holds: read from `check.csv`."""

import csv
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..action_units import COLUMNS

TABLE, PAGE = "check.csv", "check.html"
HEADER = ("source", "disagreement", "au", "label", "reading", "annotator", "shard", "row")
_MOST = 48
"""Faces that are read from the table."""
_ROUNDED = 0.0051
"""How far a label may be from its text, which has two decimals."""


@dataclass(frozen=True)
class Checked:
    """A face that was read a second time."""

    source: str
    au: str
    """The AU that differs most, as `AU12`."""
    label: float
    """Its value in the set, 0-5; `reading`: in the second reading."""
    reading: float
    annotator: str
    """Who had given the label."""
    shard: str
    """The name of the file with the face; `row`: which row of it."""
    row: int

    def holds(self, rows: pd.DataFrame) -> bool:
        """Whether the face still has this label. rows: those of its shard."""
        if not 0 <= self.row < len(rows) or f"{self.au}_r" not in COLUMNS:
            return False
        row = rows.iloc[self.row]
        same = row["source"] == self.source and row["annotator"] == self.annotator
        return bool(same and abs(row[f"{self.au}_r"] - self.label) <= _ROUNDED)


def read_checked(folder: Path) -> list[Checked]:
    """The faces that disagree most, those first; none if there is no table, or if it was changed so
    that it cannot be read."""
    try:
        with (folder / TABLE).open(newline="", encoding="utf-8") as file:
            table = csv.reader(file)
            if next(table, None) != list(HEADER):
                return []
            return [_checked(row) for row, _ in zip(table, range(_MOST), strict=False)]
    except (OSError, ValueError, csv.Error):
        return []


def _checked(row: list[str]) -> Checked:
    source, _, au, label, reading, annotator, shard, number = row
    return Checked(source, au, float(label), float(reading), annotator, shard, int(number))
