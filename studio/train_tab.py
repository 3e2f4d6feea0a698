"""The tab that shows a training while it runs: curves and pictures of its run folder."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path

import gradio as gr
import pandas as pd
from PIL import Image

from ..model.animation.animator import Animator
from ..model.training.log import METRICS, Entry, read_metrics
from ..model.training.report import PLOTS, Plot
from ..model.training.run_folder import GRIDS
from ..model.training.trainer import WEIGHTS
from ..pipeline.errors import NothingUsable
from ..pipeline.report import pages
from .events import CALM, Changes, guarded, sentence
from .face_tab import FaceTab
from .session import Session

_EVERY = 3.0
"""Seconds between looks at the run folder, while the tab is open."""
_MAX_POINTS = 300
"""Of a curve; longer ones are thinned."""
_PICTURES = 2
"""How many of the latest pictures are shown."""


@dataclass(frozen=True)
class _State:
    """What a run folder holds, as far as one sees by its files' times."""

    metrics: float
    pictures: tuple[str, ...]


class TrainTab:
    """The controls of the tab, and what they do.

    Args:
        run: the folder of the training.
        tab: where the controls are; they are kept up to date while it is open.
        others: the other tabs.
        face: the tab whose face tries the weights.
    """

    def __init__(self, run: Path, tab: gr.Tab, others: Sequence[gr.Tab], face: FaceTab) -> None:
        self._run, self._face = run, face
        self._first = face.animator
        self._newest: tuple[float, Animator] | None = None
        self._loading = threading.Lock()
        self._status = gr.HTML(sentence(f"Nothing is logged in {run.name} yet."), elem_id="run")
        with gr.Row():
            newest = gr.Button(
                "Try the newest weights", variant="primary", min_width=60, elem_id="newest"
            )
            before = gr.Button("Back to the weights before", min_width=60, elem_id="weights-before")
        self._pictures = gr.HTML(elem_id="grids")
        with gr.Row(elem_id="curves"):
            self._plots = [
                gr.LinePlot(
                    x="epoch",
                    y="value",
                    color="curve" if len(plot.curves) > 1 else None,
                    title=plot.title,
                    y_title=" ",
                    height=220,
                    min_width=300,
                    buttons=[],
                    visible=False,
                )
                for plot in PLOTS
            ]
        self._seen = gr.State(None)
        timer = gr.Timer(_EVERY, active=False)
        tab.select(lambda: gr.Timer(active=True), None, timer, **CALM)
        gr.on(
            [other.select for other in others], lambda: gr.Timer(active=False), None, timer, **CALM
        )
        timer.tick(
            self._look,
            self._seen,
            [self._status, self._pictures, self._seen, *self._plots],
            queue=False,
            **CALM,
        )
        tried = [self._status, *face.shown]
        newest.click(self._try_newest, [face.session, *face.sliders], tried, **CALM)
        before.click(self._try_before, [face.session, *face.sliders], tried, **CALM)

    def _look(self, seen: _State | None) -> Changes:
        """Show what has changed since the last look."""
        metrics, grids = self._run / METRICS, sorted((self._run / GRIDS).glob("*.png"))
        now = _State(metrics.stat().st_mtime if metrics.exists() else 0.0, tuple(map(str, grids)))
        if now == seen:
            return {}
        return guarded(self._status, lambda: {**self._drawn(grids), self._seen: now})

    def _drawn(self, grids: list[Path]) -> Changes:
        entries = read_metrics(self._run)
        changes: Changes = {}
        for plot, component in zip(PLOTS, self._plots, strict=True):
            values = _values(plot, entries)
            if values["epoch"].nunique() > 1:  # of a single point no line is drawn
                changes[component] = gr.LinePlot(value=values, visible=True)
        if entries:
            last = entries[-1]
            warnings = [str(entry["warning"]) for entry in entries if "warning" in entry]
            told = f"{self._run.name}: iteration {last['iteration']}, epoch {last['epoch']:.2f}."
            changes[self._status] = sentence(" ".join([told, *warnings[-1:]]))
        changes[self._pictures] = "".join(_figure(path) for path in reversed(grids[-_PICTURES:]))
        return changes

    def _try_newest(self, session: Session | None, *positions: float) -> Changes:
        return guarded(
            self._status, lambda: self._with(self._newest_animator(), session, positions)
        )

    def _try_before(self, session: Session | None, *positions: float) -> Changes:
        return guarded(self._status, lambda: self._with(self._first, session, positions))

    def _with(
        self, animator: Animator, session: Session | None, positions: Sequence[float]
    ) -> Changes:
        """Show the first tab's face by other weights, with its sliders where they are."""
        if session is None:
            raise NothingUsable("Give the first tab a photograph.")
        written = datetime.fromtimestamp(animator.weights.stat().st_mtime)
        told = f"The first tab uses {animator.weights.name} of {written:%H:%M:%S}."
        return {**self._face.reopened(session, animator, positions), self._status: sentence(told)}

    def _newest_animator(self) -> Animator:
        """The animator of the newest weights; it is loaded once for all who try it."""
        weights = self._run / WEIGHTS
        if not weights.exists():
            raise NothingUsable(
                f"{self._run.name} holds no weights yet: wait until some are saved."
            )
        with self._loading:
            written = weights.stat().st_mtime
            if self._newest is None or self._newest[0] != written:
                self._newest = written, Animator(weights)
            return self._newest[1]


def _values(plot: Plot, entries: Sequence[Entry]) -> pd.DataFrame:
    """The points of a plot's curves: columns epoch, value and curve."""
    rows = []
    for curve in plot.curves:
        known = [
            (entry["epoch"], entry[curve.metric]) for entry in entries if curve.metric in entry
        ]
        every = -(-len(known) // _MAX_POINTS) or 1
        rows += [(epoch, value, curve.label) for epoch, value in known[::-every]]
    return pd.DataFrame(rows, columns=["epoch", "value", "curve"])


def _figure(path: Path) -> str:
    with Image.open(path) as picture:
        url = pages.data_uri(picture)
    told = escape(f"Faces at the end of {path.stem.replace('-', ' ')}")
    return f'<figure><img src="{url}" alt="{told}"><figcaption>{told}</figcaption></figure>'
