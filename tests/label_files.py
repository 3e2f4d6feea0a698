"""Label files that several tests write."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.annotator import Crop
from ganim.pipeline.labels.annotator import Labels
from ganim.pipeline.labels.photographs import Photographs

Box = tuple[int, int, int, int]

LANDMARKS = [f"{axis}_{point}" for axis in "xy" for point in range(68)]


def aus_like(value: float) -> list[float]:
    """17 different AUs, from `value` (0-3) upwards."""
    return [round(value + 0.1 * index, 2) for index in range(17)]


def landmarks_at(x: float, y: float, width: float = 80) -> list[float]:
    """68 landmarks around a centre, x of all, then y."""
    return [x + width * (point / 67 - 0.5) for point in range(68)] + [y] * 68


def write_rows(path: Path, header: Sequence[str], *rows: Sequence[Any], by: str = ",") -> Path:
    """Write a table as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [by.join(str(value) for value in row) for row in (header, *rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def first_aus(labels: Labels, *crops: tuple[str, Box]) -> list[float | str]:
    """The AU01 of each crop (photograph and box), or the reason why it has none."""
    readings = labels.read([Crop(f"{source}#", source, b"", box) for source, box in crops])
    return [
        str(reading.error) if reading.aus is None else round(float(reading.aus[0]), 3)
        for reading in readings
    ]


def names_matched(path: Path, names: Sequence[str], *sources: str, folder: str = "") -> list:
    """For each photograph the number (from 0) of the name in a table that labels it, or the reason
    why it has no AUs."""
    rows = ([name, *[i * 0.1] * 17] for i, name in enumerate(names))
    write_rows(path, ["photo", *COLUMNS], *rows)
    labels = Labels.load(path, Photographs(sources, folder or None), scale="0-5")
    box = (0, 0, 100, 100)
    found = first_aus(labels, *((source, box) for source in sources))
    return [round(value * 10) if isinstance(value, float) else value for value in found]
