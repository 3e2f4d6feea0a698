"""The report of a training, `report.html`: progress, warnings, plots, pictures and settings.

The page is one file without scripts or external resources.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ...pipeline.report import pages
from .base_trainer import BaseTrainer
from .log import MetricsLog

NAME = "report.html"
_TEMPLATE = Path(__file__).with_name("report.html.j2")
_MAX_POINTS = 400
"""Points per curve, to limit the size of the page."""
_BY_RANK = "photographs_per_second_by_rank"
_GREY, _COLOURS = "#8a929b", ("#3a78c2", "#d9822b", "#3a9a5f")


@dataclass(frozen=True)
class Curve:
    """A metric in a plot."""

    metric: str
    """Its name in the log."""
    label: str
    """Its name in the legend."""
    is_reference: bool = False
    """Whether the others are compared with it; if so, it is dashed and grey."""


@dataclass(frozen=True)
class Plot:
    """A plot of related metrics over epochs."""

    title: str
    explanation: str
    curves: Sequence[Curve]


PLOTS = (
    Plot(
        "AU error, held-out faces",
        "Mean squared error of the target AUs, as the estimator reads them, in 0 to 1. Below the "
        "dashed line, generated faces show the target AUs better than the photographs.",
        [Curve("test_aus", "generated"), Curve("test_aus_copy", "photographs", True)],
    ),
    Plot(
        "AU error, by the critic",
        "Mean squared error of AUs as the critic reads them, on training faces.",
        [
            Curve("aus", "generated"),
            Curve("critic_aus", "real faces"),
            Curve("copy_aus", "photographs", True),
        ],
    ),
    Plot(
        "Critic: generated minus real",
        "Difference of mean scores. The nearer it is to 0, the less the critic can tell generated "
        "faces from real ones.",
        [Curve("critic_adversarial", "")],
    ),
    Plot(
        "Gradient penalty",
        "Near 0 where the norm of the critic's gradient is near 1.",
        [Curve("gp", "")],
    ),
    Plot(
        "Attention",
        "Mean of the mask: 1 keeps the photograph, 0 replaces it by the colour mask.",
        [Curve("attention", "")],
    ),
    Plot(
        "Cycle",
        "L1 distance of a face and its reconstruction, in -1 to 1.",
        [Curve("cycle", "")],
    ),
    Plot(
        "Distance from the target, pairs",
        "Sum of mean L1 distances at three scales, in -1 to 1. Below the dashed line, results are "
        "nearer to the photograph of the asked expression than the photograph that was changed.",
        [
            Curve("reconstruction", "result"),
            Curve("moved", "moved only"),
            Curve("copy", "photographs", True),
        ],
    ),
    Plot(
        "Flow error, pairs",
        "Mean absolute error of the flow at landmarks, in half sides.",
        [Curve("landmarks", "")],
    ),
    Plot(
        "Critics, pairs",
        "Hinge losses of the two critics: 2 if they tell no result from a photograph, 0 if they "
        "tell all.",
        [Curve("critic_pairs", "source and result"), Curve("critic_results", "result alone")],
    ),
    Plot("Learning rate", "Of Adam, for all networks.", [Curve("rate", "")]),
    Plot(
        "Photographs a second", "Of all processes together.", [Curve("photographs_per_second", "")]
    ),
)


def write_page(folder: Path, trainer: BaseTrainer[Any], pictured: int, log: MetricsLog) -> None:
    """Write the report into a run folder.

    Args:
        folder: the run folder.
        trainer: gives the settings, the device and the length of the training.
        pictured: the number of faces used for validation and pictures.
        log: the metrics.
    """
    entries = log.entries
    pictures = sorted((folder / "grids").glob("epoch-*.png"))
    page = pages.render(
        _TEMPLATE,
        run=folder.resolve().name,
        trainer=trainer,
        pictured=pictured,
        bf16=trainer.bf16,
        seconds=sum(entry.get("seconds", 0.0) for entry in entries),
        latest={name: entry[name] for entry in entries for name in entry},
        by_rank=next(
            (
                v
                for entry in reversed(entries)
                if (v := entry.get("photographs_per_second_by_rank"))
            ),
            [],
        ),
        warnings=[entry for entry in entries if "warning" in entry],
        plots=[(plot, svg) for plot in PLOTS if (svg := _svg(plot, log))],
        pictures=[(path.stem, _data_uri(path)) for path in reversed(pictures[-2:])],
        settings=_flat(asdict(trainer.settings)),
    )
    pages.write(folder / NAME, page)


def _svg(plot: Plot, log: MetricsLog) -> str:
    """A plot as an SVG element; empty if the log has none of its metrics."""
    figure = Figure(figsize=(4.4, 2.3))
    axes = figure.add_axes((0.13, 0.1, 0.85, 0.86))
    for curve, colour in zip(plot.curves, _COLOURS, strict=False):
        epochs, values = log.series(curve.metric)
        if values:
            axes.plot(
                *_binned(epochs, values),
                color=_GREY if curve.is_reference else colour,
                linestyle="--" if curve.is_reference else "-",
                linewidth=1.4,
                marker="o" if len(values) < 40 else "",
                markersize=3,
                label=curve.label,
            )
    if not axes.lines:
        return ""
    if len(plot.curves) > 1:
        axes.legend(fontsize=8, frameon=False)
    axes.grid(alpha=0.25, lw=0.6)
    axes.tick_params(colors=_GREY, labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_GREY)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    return pages.svg_element(figure, plot.title)


def _binned(epochs: list[float], values: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Reduce a curve to at most _MAX_POINTS by averaging neighbours."""
    every = -(-len(values) // _MAX_POINTS)
    starts = np.arange(0, len(values), every)
    counts = np.diff(np.append(starts, len(values)))
    x, y = (np.add.reduceat(np.asarray(row), starts) / counts for row in (epochs, values))
    return x, y


def _data_uri(path: Path) -> str:
    """A PNG file as a data URI in JPEG, which is about a tenth of the size."""
    with Image.open(path) as picture:
        return pages.data_uri(picture)


def _flat(settings: dict[str, object], prefix: str = "") -> dict[str, object]:
    """Nested settings as one level, with names such as `generator.width`."""
    flat: dict[str, object] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
