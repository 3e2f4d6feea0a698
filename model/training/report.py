"""`report.html` of a run: how it stands, what looks wrong, curves and pictures, on one page that
needs nothing else."""

import io
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ...pipeline.report import pages
from .log import Metrics
from .trainer import Trainer

NAME = "report.html"
_TEMPLATE = Path(__file__).with_name("report.html.j2")
_MOST_POINTS = 400


@dataclass(frozen=True)
class Curve:
    """A figure of the log, as it is drawn."""

    figure: str
    label: str
    reference: bool = False
    """What others are held against: dashed."""


@dataclass(frozen=True)
class Panel:
    """One diagram: figures of the same kind over the epochs."""

    title: str
    explanation: str
    curves: Sequence[Curve]


PANELS = (
    Panel(
        "AU error, held-out faces",
        "Mean squared error of the AUs that the estimator reads, 0 to 1, each epoch. Below the "
        "dashed line the generator obeys better than the photograph as it is.",
        [Curve("test_aus", "generated"), Curve("test_aus_copy", "photographs", True)],
    ),
    Panel(
        "AU error, by the critic",
        "The same while training, as the critic reads the AUs.",
        [
            Curve("aus", "generated"),
            Curve("critic_aus", "real faces"),
            Curve("copy_aus", "photographs", True),
        ],
    ),
    Panel(
        "Critic: generated minus real",
        "Its mean scores. Far below 0 it tells the two apart; coming nearer to 0 is good.",
        [Curve("critic_adversarial", "")],
    ),
    Panel("Gradient penalty", "Near 0 when the critic's slope is 1.", [Curve("gp", "")]),
    Panel(
        "Attention",
        "Mean of the mask: at 1 the photograph is kept, at 0 all is painted anew.",
        [Curve("attention", "")],
    ),
    Panel("Cycle", "L1 of the way there and back, faces in -1 to 1.", [Curve("cycle", "")]),
    Panel("Learning rate", "Of Adam.", [Curve("rate", "")]),
    Panel("Photographs a second", "All processes together.", [Curve("photographs_per_second", "")]),
)


def write_page(run: Path, trainer: Trainer, shown: int, metrics: Metrics) -> None:
    """Write the page of a run into its folder, whole or not at all.

    shown: how many faces `metrics` measures on and the pictures are of.
    """
    lines, settings = metrics.lines, trainer.settings
    pictures = sorted((run / "grids").glob("epoch-*.png"))
    page = pages.render(
        _TEMPLATE,
        run=run.resolve().name,
        trainer=trainer,
        shown=shown,
        bf16=trainer.bf16,
        seconds=sum(line.get("seconds", 0.0) for line in lines),
        latest={name: line[name] for line in lines for name in line},
        by_rank=next(
            (v for line in reversed(lines) if (v := line.get("photographs_per_second_by_rank"))), []
        ),
        warnings=[line for line in lines if "warning" in line],
        panels=[(panel, svg) for panel in PANELS if (svg := _svg(panel, metrics))],
        pictures=[(path.stem, _data_uri(path)) for path in reversed(pictures[-2:])],
        settings=_flat(asdict(settings)),
    )
    pages.write(run / NAME, page)


def _svg(panel: Panel, metrics: Metrics) -> str:
    """A diagram as inline SVG; nothing if the log has none of its figures."""
    import matplotlib
    from matplotlib.figure import Figure

    grey = "#8a929b"
    figure = Figure(figsize=(4.4, 2.3))
    axes = figure.add_axes((0.13, 0.1, 0.85, 0.86))
    for curve, colour in zip(panel.curves, ("#3a78c2", "#d9822b", "#3a9a5f"), strict=False):
        epochs, values = metrics.series(curve.figure)
        if values:
            axes.plot(
                *_thinned(epochs, values),
                color=grey if curve.reference else colour,
                linestyle="--" if curve.reference else "-",
                linewidth=1.4,
                marker="o" if len(values) < 40 else "",
                markersize=3,
                label=curve.label,
            )
    if not axes.lines:
        return ""
    if len(panel.curves) > 1:
        axes.legend(fontsize=8, frameon=False)
    axes.grid(alpha=0.25, lw=0.6)
    axes.tick_params(colors=grey, labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(grey)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": panel.title}):
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    return re.sub("<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)


def _thinned(epochs: list[float], values: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """A long curve as the means of equal stretches, so that the page stays small."""
    every = -(-len(values) // _MOST_POINTS)
    starts = np.arange(0, len(values), every)
    counts = np.diff(np.append(starts, len(values)))
    return tuple(np.add.reduceat(np.asarray(row), starts) / counts for row in (epochs, values))  # type: ignore[return-value]


def _data_uri(path: Path) -> str:
    """A PNG for the page, at a tenth of its bytes."""
    with Image.open(path) as picture:
        return pages.data_uri(picture)


def _flat(settings: dict[str, object], prefix: str = "") -> dict[str, object]:
    """Nested settings as one level: `generator.width`."""
    flat: dict[str, object] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
