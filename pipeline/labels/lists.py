"""Labels from the text files of re-implementations of GANimation: a name and 17 numbers a line."""

from collections.abc import Sequence

import numpy as np

from ..action_units import COUNT
from .columns import BadLabels, find_columns


def is_list(text: str, with_header: bool) -> bool:
    """Whether the first line of a text, or with a header the second, is a name and 17 numbers."""
    lines = text.split("\n", 2)[: 2 if with_header else 1]
    return any(_entry(line) is not None for line in lines)


def read_list(text: str) -> list[tuple[str, np.ndarray]]:
    """The name and the 17 numbers, as they are, of each line.

    The first line may name the columns, in which case their order counts, or count the lines; the
    numbers are in the order of action_units.NUMBERS otherwise. Other lines without 17 numbers are
    left out. Raises BadLabels if the first line names other columns.
    """
    first, *_ = lines = text.split("\n")
    order = list(range(COUNT))
    header = _split(first)
    if _entry(first) is None and len(header) > 1:
        order = _order(header)
    values = []
    for line in lines:
        if (entry := _entry(line)) is not None:
            numbers = np.empty(COUNT)
            numbers[order] = entry[1]
            values.append((entry[0], numbers))
    return values


def _order(header: Sequence[str]) -> list[int]:
    """The position among the 17 AUs of each number of a line, by the line that names them."""
    columns = find_columns(header)
    if not columns.aus:  # a remark
        return list(range(COUNT))
    if len(columns.aus) != COUNT:
        raise BadLabels(f"names {len(columns.aus)} of the {COUNT} AUs in its first line")
    return [index for name in header for index, column in columns.aus.items() if column == name]


def _entry(line: str) -> tuple[str, list[float]] | None:
    """The name and the 17 numbers of a line; None if it is not of that form."""
    parts = _split(line)
    if len(parts) != COUNT + 1:
        return None
    try:
        numbers = [float(part) for part in parts[1:]]
    except ValueError:
        return None
    if len(set(numbers)) == COUNT and all(number.is_integer() for number in numbers):
        return None  # the header of a table whose columns are named by numbers
    return parts[0].strip('"'), numbers


def _split(line: str) -> list[str]:
    """The parts of a line between commas, semicolons, tabs or spaces; with spaces, the name may
    hold some, too."""
    line = line.strip()
    for separator in ",;\t":
        if separator in line:
            return [part.strip() for part in line.split(separator)]
    return line.rsplit(maxsplit=COUNT)
