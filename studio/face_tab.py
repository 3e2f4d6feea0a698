"""The tab with a face and its sliders: what is on it, and what each control does."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from ..model.animation.animator import SHIPPED, Animator
from ..pipeline.action_units import COUNT, NAMES, NUMBERS
from ..pipeline.expressions import EXPRESSIONS, Request, expression_aus
from .downloads import Downloads
from .events import CALM, Changes, data_url, guarded, sentence
from .inside_panel import InsidePanel
from .photograph import MAX_BYTES, MAX_PIXELS, Photograph, open_photograph
from .session import Session
from .shown import shown_expressions
from .sliders import GROUPS, HELP, STEP, Made, positions_of

_HERE = Path(__file__).parent
_HINT = (
    f"Give it a photograph with a face: up to {MAX_BYTES / 1e6:g} MB and {MAX_PIXELS / 1e6:g} "
    "megapixels. It stays in this computer's memory."
)
_SESSION_SECONDS = 3600


class FaceTab:
    """The controls, and what they do.

    Args:
        page: what the tab is part of.
        animator: renders.
        initial: the photograph that stands on the page when it is opened.
        folder: for files that the browser fetches.
    """

    def __init__(
        self, page: gr.Blocks, animator: Animator, initial: Photograph | None, folder: Path
    ) -> None:
        self._animator, self._initial, self._folder = animator, initial, folder
        self._shown = shown_expressions()
        self.session = gr.State(time_to_live=_SESSION_SECONDS)
        with gr.Row():
            with gr.Column(scale=5, min_width=320, elem_id="picture-column"):
                self._build_picture()
            with gr.Column(scale=4, min_width=320, elem_id="sliders"):
                self._sliders = self._build_sliders()
                self._inside = InsidePanel(self._animator)
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
        self._downloads = Downloads(self._animator, self._folder)
        self._file = gr.File(
            label="Photograph", file_count="single", height=110, elem_id="photograph"
        )
        with gr.Accordion("The same picture without the studio", open=True, elem_id="without"):
            self._command = gr.Textbox(
                label="In a terminal", interactive=False, buttons=["copy"], elem_id="command"
            )
            self._python = gr.Code(
                label="In Python", language="python", interactive=False, elem_id="python"
            )

    def _build_sliders(self) -> list[gr.Slider]:
        """The sliders in the order of the AUs, laid out by groups."""
        known = self._animator.renderer.aus
        sliders: dict[int, gr.Slider] = {}
        for group, numbers in GROUPS.items():
            with gr.Accordion(group, open=True):
                for number in numbers:
                    sliders[number] = gr.Slider(
                        0,
                        1,
                        0,
                        step=STEP,
                        label=f"AU{number} {NAMES[number]}",
                        info=HELP[number],
                        interactive=number in known,
                        buttons=[],
                        elem_id=f"au{number}",
                    )
        return [sliders[number] for number in NUMBERS]

    def _connect(self, page: gr.Blocks) -> None:
        made = [self._stage, self.status, self._command, self._python]
        shown: list[Any] = [self.session, *made, self._expression, *self._sliders]
        page.load(self._open_initial, None, shown, **CALM)
        self._file.upload(self._open, self._file, [self._file, *shown], api_visibility="private")
        self._stage.select(self._choose_face, self.session, shown, **CALM)
        self._reset.click(self._show_own, self.session, shown, **CALM)
        self._neutral.click(self._show_neutral, self.session, shown, **CALM)
        self._randomize.click(self._show_random, self.session, shown, **CALM)
        self._expression.input(self._express, [self.session, self._expression], shown, **CALM)
        # Not in the queue, where an answer waits for up to 50 ms. While a slider is dragged, only
        # its last position is sent when the answer to the one before has come.
        gr.on(
            [slider.input for slider in self._sliders],
            self._move,
            [self.session, *self._sliders],
            made,
            queue=False,
            trigger_mode="always_last",
            **CALM,
        )
        self._inside.connect(self.session, self.status)
        self._downloads.connect(self.session, self._sliders, self.status)

    def _open_initial(self) -> Changes:
        initial = self._initial
        if initial is None:
            return {}
        return guarded(self.status, lambda: self._start(Session(self._animator, initial)))

    def _open(self, path: str) -> Changes:
        """Read an upload into memory, remove the file and show the photograph."""
        file = Path(path)
        try:
            content = file.read_bytes()
        finally:
            file.unlink(missing_ok=True)

        def opened() -> Changes:
            photograph = open_photograph(content, file.name, self._animator)
            return self._start(Session(self._animator, photograph))

        return {self._file: None, **guarded(self.status, opened)}

    def _choose_face(self, session: Session | None, event: gr.EventData) -> Changes:
        which = event._data.get("index")
        if session is None or which not in range(len(session.photograph.faces)):
            return {}
        chosen = session.photograph
        return guarded(self.status, lambda: self._start(Session(self._animator, chosen, which)))

    def _show_own(self, session: Session | None) -> Changes:
        return self._show_expression(session, lambda own: own)

    def _show_neutral(self, session: Session | None) -> Changes:
        return self._show_expression(session, lambda own: np.zeros(COUNT, np.float32))

    def _show_random(self, session: Session | None) -> Changes:
        return self._show_expression(session, lambda own: random.choice(self._shown))

    def _express(self, session: Session | None, name: str | None) -> Changes:
        if name is None or name.lower() not in EXPRESSIONS:
            return {}
        changes = self._show_expression(
            session, Request(expression=expression_aus(name.lower())).target
        )
        return {**changes, self._expression: name}

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
        positions = positions_of(expression(session.own_aus))

        def moved() -> Changes:
            sliders = dict(zip(self._sliders, positions, strict=True))
            return {
                **self._picture(session, positions), self._expression: None, **sliders
            }  # fmt: skip

        return guarded(self.status, moved)

    def _picture(self, session: Session, positions: Sequence[float]) -> Changes:
        pixels = session.preview(session.target(positions))
        return {
            self._stage: json.dumps({"after": data_url(pixels)}),
            **self._made(session, positions),
        }

    def _made(self, session: Session, positions: Sequence[float]) -> Changes:
        edits = session.edits(positions)
        if not edits:
            return {self._command: "", self._python: ""}
        weights = self._animator.weights
        named = None if weights == SHIPPED else str(weights)
        made = Made(session.photograph.name, session.which + 1, edits, named)
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
            self._expression: None,
            **self._made(session, session.positions),
            **dict(zip(self._sliders, session.positions, strict=True)),
        }
