"""The tab with a face and its sliders: what is on it, and what each control does."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from ..model.animation.animator import Animator
from ..pipeline.expressions import EXPRESSIONS, Request, expression_aus
from .downloads import Downloads
from .events import CALM, Changes, data_url, guarded, sentence
from .field import PhotographField
from .inside_panel import InsidePanel
from .mixing import Mixing
from .photograph import MAX_BYTES, MAX_PIXELS, Photograph, open_photograph
from .session import Session
from .shown import shown_expressions
from .slider_groups import build_sliders
from .sliders import Made, positions_of

_HERE = Path(__file__).parent
_HINT = (
    f"Give it a photograph with a face: up to {MAX_BYTES / 1e6:g} MB and {MAX_PIXELS / 1e6:g} "
    "megapixels. It stays on this computer."
)
_SESSION_SECONDS = 3600


class FaceTab:
    """The controls, and what they do.

    Args:
        page: what the tab is part of.
        animator: renders.
        initial: the photograph that stands on the page when it is opened.
        folder: for files that the browser fetches.

    Attributes:
        session: what it holds for the person who looks at it.
        sliders: in the order of the AUs.
        shown: the components that change with the picture.
    """

    def __init__(
        self, page: gr.Blocks, animator: Animator, initial: Photograph | None, folder: Path
    ) -> None:
        self.animator, self._initial, self._folder = animator, initial, folder
        self._shown = shown_expressions()
        self.session = gr.State(time_to_live=_SESSION_SECONDS)
        with gr.Row():
            with gr.Column(scale=5, min_width=320, elem_id="picture-column"):
                self._build_picture()
            with gr.Column(scale=4, min_width=320, elem_id="sliders"):
                self.sliders = build_sliders(animator.renderer.aus)
                self._inside = InsidePanel(self.animator)
        self._made = [self._stage, self.status, self._command, self._python]
        self.shown: list[Any] = [self.session, *self._made, self._expression, *self.sliders]
        self._connect(page)

    def _build_picture(self) -> None:
        self._stage = gr.HTML(
            "",
            html_template=(_HERE / "stage.html").read_text(),
            js_on_load=(_HERE / "stage.js").read_text(),
            elem_id="stage",
        )
        self.status = gr.HTML(sentence(_HINT), elem_id="status")
        with gr.Row(elem_id="face-buttons"):
            self._reset = gr.Button("Reset", min_width=60, elem_id="reset")
            self._neutral = gr.Button("Neutral", min_width=60, elem_id="neutral")
            self._randomize = gr.Button(
                "Randomize", variant="primary", min_width=60, elem_id="randomize"
            )
        self._expression = gr.Dropdown(
            [name.capitalize() for name in EXPRESSIONS],
            value=None,
            label="Expression",
            info="The 22 of Du, Tao and Martinez (2014).",
            elem_id="expression",
        )
        self._mixing = Mixing()
        self._downloads = Downloads(self._folder)
        self._field = PhotographField()
        with gr.Accordion("The same picture without the studio", open=True, elem_id="without"):
            self._command = gr.Textbox(
                label="In a terminal", interactive=False, buttons=["copy"], elem_id="command"
            )
            self._python = gr.Code(
                label="In Python", language="python", interactive=False, elem_id="python"
            )

    def _connect(self, page: gr.Blocks) -> None:
        shown = self.shown
        page.load(self._open_initial, None, shown, **CALM)
        self._field.connect(self._open, self.session, shown)
        self._stage.select(self._choose_face, self.session, shown, **CALM)
        self._reset.click(self._show_own, self.session, shown, **CALM)
        self._neutral.click(self._show_neutral, self.session, shown, **CALM)
        self._randomize.click(self._show_random, self.session, shown, **CALM)
        self._expression.input(self._express, [self.session, self._expression], shown, **CALM)
        gr.on(
            [one.input for one in self._mixing.inputs],
            self._mix,
            [self.session, *self._mixing.inputs],
            shown,
            queue=False,
            trigger_mode="always_last",
            **CALM,
        )
        # Not in the queue, where an answer waits for up to 50 ms. While a slider is dragged, only
        # its last position is sent when the answer to the one before has come.
        gr.on(
            [slider.input for slider in self.sliders],
            self._move,
            [self.session, *self.sliders],
            self._made,
            queue=False,
            trigger_mode="always_last",
            **CALM,
        )
        self._inside.connect(self.session, self.status)
        self._downloads.connect(self.session, self.sliders, self.status)

    def _open_initial(self) -> Changes:
        initial = self._initial
        if initial is None:
            return {}
        return guarded(self.status, lambda: self._start(Session(self.animator, initial)))

    def _open(self, before: Session | None, content: bytes, name: str) -> Changes:
        animator = self.animator if before is None else before.animator

        def opened() -> Changes:
            return self._start(Session(animator, open_photograph(content, name, animator)))

        return guarded(self.status, opened)

    def reopened(self, session: Session, animator: Animator, positions: Sequence[float]) -> Changes:
        """Show a session's face by another animator, at the same positions of the sliders."""
        of = session.photograph
        again = Session(animator, open_photograph(of.content, of.name, animator), session.which)
        return {
            **self._start(again), **self._picture(again, positions), **self._at(positions)
        }  # fmt: skip

    def _choose_face(self, session: Session | None, event: gr.EventData) -> Changes:
        which = event._data.get("index")
        if session is None or which not in range(len(session.photograph.faces)):
            return {}
        of = session.animator, session.photograph
        return guarded(self.status, lambda: self._start(Session(*of, which)))

    def _show_own(self, session: Session | None) -> Changes:
        return self._show_expression(session, lambda own: own)

    def _show_neutral(self, session: Session | None) -> Changes:
        return self._show_expression(session, np.zeros_like)

    def _show_random(self, session: Session | None) -> Changes:
        return self._show_expression(session, lambda own: random.choice(self._shown))

    def _express(self, session: Session | None, name: str | None) -> Changes:
        if name is None or name.lower() not in EXPRESSIONS:
            return {}
        changes = self._show_expression(
            session, Request(expression=expression_aus(name.lower())).target
        )
        return {**changes, self._expression: name}

    def _mix(self, session: Session | None, *asked: Any) -> Changes:
        return self._show_expression(session, lambda own: Mixing.target(own, *asked))

    def _move(self, session: Session | None, *positions: float) -> Changes:
        if session is None:
            return {}
        return guarded(self.status, lambda: self._picture(session, positions))

    def _show_expression(
        self, session: Session | None, expression: Callable[[np.ndarray], np.ndarray]
    ) -> Changes:
        """Move the sliders to an expression, given the face's own AUs (17,)."""
        if session is None:
            return {self.status: sentence("Give it a photograph first.")}
        asked = positions_of(expression(session.own_aus))
        positions = positions_of(session.target(asked))

        def moved() -> Changes:
            return {**self._picture(session, positions), **self._at(positions)}

        return guarded(self.status, moved)

    def _picture(self, session: Session, positions: Sequence[float]) -> Changes:
        pixels = session.preview(session.target(positions))
        return {
            self._stage: json.dumps({"after": data_url(pixels)}),
            **self._told(session, positions),
        }

    def _at(self, positions: Sequence[float]) -> Changes:
        """The sliders at some positions, which are no expression by name."""
        return {self._expression: None, **dict(zip(self.sliders, positions, strict=True))}

    def _told(self, session: Session, positions: Sequence[float]) -> Changes:
        edits = session.edits(positions)
        if not edits:
            return {self._command: "", self._python: ""}
        made = Made(session.photograph.name, session.which + 1, edits, session.weights)
        return {self._command: made.command, self._python: made.python}

    def _start(self, session: Session) -> Changes:
        """Show a face of a photograph as it is."""
        photograph, which = session.photograph, session.which
        found = len(photograph.faces)
        url = data_url(photograph.preview)
        shown = {
            "after": url,
            "before": url,
            "name": photograph.name,
            "faces": photograph.boxes(),
            "chosen": which,
        }
        many = f"face {which + 1} of {found}; click another to edit it."
        status = f"{photograph.name}: {'one face.' if found == 1 else many}"
        return {
            self.session: session,
            self._stage: json.dumps(shown),
            self.status: sentence(status),
            **self._told(session, session.positions),
            **self._at(session.positions),
        }
