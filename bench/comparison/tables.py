"""The rows of results.json as Markdown tables: what the models cost, and how good they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """A column of a table: the name of a metric, or a function of a row."""

    heading: str
    value: str | Callable[[dict[str, Any]], float | None]
    format: str = "{:.2f}"


def _of_run(name: str, scale: float = 1.0) -> Callable[[dict[str, Any]], float | None]:
    return lambda row: None if row["run"] is None else row["run"][name] / scale


COST = (
    Column("seconds of training", _of_run("seconds"), "{:,.0f}"),
    Column("thousand photographs", _of_run("photographs", 1000), "{:,.1f}"),
    Column("steps of the generator", _of_run("generator_iterations"), "{:,.0f}"),
    Column("photographs a second", _of_run("photographs_per_second"), "{:,.1f}"),
    Column("million parameters", lambda row: row["parameters"] / 1e6, "{:.1f}"),
    Column("and of critics", _of_run("critic_parameters", 1e6), "{:.1f}"),
    Column("frames a second in use", "frames_per_second", "{:.1f}"),
)
QUALITY = (
    Column("ED", "expression_distance"),
    Column("ED of copying ÷ ED", "expression_distance_ratio"),
    Column("r", "correlation"),
    Column("ACD", "identity_distance", "{:.3f}"),
    Column("pairs, L1 ÷ copying", "pairs_l1_ratio", "{:.3f}"),
    Column("pairs, (1 - SSIM) ÷", "pairs_ssim_error_ratio", "{:.3f}"),
    Column("fresh critic, AUC", "fresh_critic", "{:.3f}"),
    Column("worst AU", "fresh_critic_worst", "{:.3f}"),
    Column("by statistics", "fresh_critic_statistics", "{:.3f}"),
    Column("one AU to 0.8: rise", "increase", "{:.3f}"),
    Column("leakage", "leakage", "{:.3f}"),
    Column("to other regions", "leakage_other_regions", "{:.3f}"),
    Column("AUs of 12 that rise alone", "single_aus", "{:.0f}"),
    Column("attention", "attention"),
    Column("FID", "fid", "{:.1f}"),
    Column("IS", "inception_score"),
)


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Two tables of the rows of `measure.evaluate`: what the models cost, and how good they are."""
    return "\n".join(_table(rows, columns) for columns in (COST, QUALITY))


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[Column]) -> str:
    """A column that no row has is left out."""
    cells = {column: [_cell(row, column) for row in rows] for column in columns}
    shown = [column for column in columns if any(text != "-" for text in cells[column])]
    lines = [
        "| | " + " | ".join(column.heading for column in shown) + " |",
        "| --- |" + " --- |" * len(shown),
    ]
    for index, row in enumerate(rows):
        texts = [cells[column][index] for column in shown]
        lines.append(f"| {row['title']} | " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any], column: Column) -> str:
    value = row["metrics"].get(column.value) if isinstance(column.value, str) else column.value(row)
    return "-" if value is None else column.format.format(value)
