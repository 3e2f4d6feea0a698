"""The page of the studio: what is on it, and what each control does."""

import json
import random
import sys
import threading
import traceback
from base64 import b64encode
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from ..model.animation.animator import SHIPPED, Animator
from ..pipeline.action_units import COUNT, NAMES, NUMBERS, Edit
from ..pipeline.errors import GanimError
from ..pipeline.expressions import EXPRESSIONS, Request, expression_aus
from .photograph import MAX_BYTES, MAX_PIXELS, Photograph, open_photograph
from .session import Session, to_jpeg
from .shown import shown_expressions
from .sliders import GROUPS, HELP, STEP, command, edits, positions_of

_HERE = Path(__file__).parent
CSS = (_HERE / "page.css").read_text()
_HINT = (
    f"Give it a photograph with a face: up to {MAX_BYTES / 1e6:g} MB and {MAX_PIXELS / 1e6:g} "
    "megapixels. It stays in this computer's memory."
)
_SESSION_SECONDS = 3600
_WAITING = 20  # at most in the queue
_BROKEN = "Something went wrong in the studio. Try again, or give it another photograph."
_UPLOADS_SECONDS = (30, 60)  # how often files are looked for that no event has taken; their age
_Changes = dict[Any, Any]
"""New values of some components; the others stay as they are."""


class Page:
    """The controls, and what they do.

    Args:
        animator: renders; one face at a time.
        initial: the photograph that stands on the page when it is opened.
    """

    def __init__(self, animator: Animator, initial: Photograph | None = None) -> None:
        self._animator = animator
        self._initial = initial
        self._rendering = threading.Lock()
        self._shown = shown_expressions()
        with gr.Blocks(
            title="ganim studio",
            analytics_enabled=False,
            delete_cache=_UPLOADS_SECONDS,
        ) as self.blocks:
            self._build()
        self.blocks.queue(max_size=_WAITING, default_concurrency_limit=1)
        self.blocks.state_session_capacity = 4 * _WAITING

    def _build(self) -> None:
        self._session = gr.State(time_to_live=_SESSION_SECONDS)
        gr.Markdown("# ganim studio")
        with gr.Row():
            with gr.Column(scale=5, min_width=320, elem_id="picture-column"):
                self._stage = gr.HTML(
                    "",
                    html_template=(_HERE / "stage.html").read_text(),
                    js_on_load=(_HERE / "stage.js").read_text(),
                    elem_id="stage",
                )
                self._status = gr.HTML(_sentence(_HINT), elem_id="status")
                with gr.Row():
                    reset = gr.Button("Reset", elem_id="reset")
                    neutral = gr.Button("Neutral", elem_id="neutral")
                    randomize = gr.Button("Randomize", variant="primary", elem_id="randomize")
                self._expression = gr.Dropdown(
                    [name.capitalize() for name in EXPRESSIONS],
                    value=None,
                    label="Expression",
                    info="The 22 of Du, Tao and Martinez (2014).",
                    elem_id="expression",
                )
                self._command = gr.Textbox(
                    label="The same in a terminal, at full size",
                    interactive=False,
                    buttons=["copy"],
                    elem_id="command",
                )
                self._file = gr.File(
                    label="Photograph", file_count="single", height=110, elem_id="photograph"
                )
            with gr.Column(scale=4, min_width=320, elem_id="sliders"):
                self._sliders = self._build_sliders()

        shown: list[Any] = [
            self._session,
            self._stage,
            self._status,
            self._command,
            self._expression,
        ]
        shown += self._sliders
        calm: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        self.blocks.load(self._open_initial, None, shown, **calm)
        self._file.upload(self._open, self._file, [self._file, *shown], api_visibility="private")
        self._stage.select(self._choose_face, self._session, shown, **calm)
        reset.click(self._reset, self._session, shown, **calm)
        neutral.click(self._neutral, self._session, shown, **calm)
        randomize.click(self._randomize, self._session, shown, **calm)
        self._expression.input(self._express, [self._session, self._expression], shown, **calm)
        # Not in the queue, where an answer waits for up to 50 ms. While a slider is dragged, only
        # its last position is sent when the answer to the one before has come.
        gr.on(
            [slider.input for slider in self._sliders],
            self._move,
            [self._session, *self._sliders],
            [self._stage, self._status, self._command],
            queue=False,
            trigger_mode="always_last",
            **calm,
        )

    def _build_sliders(self) -> list[gr.Slider]:
        """The sliders in the order of the AUs, laid out by groups."""
        known = self._animator.generator.settings.aus
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

    def _open_initial(self) -> _Changes:
        initial = self._initial
        if initial is None:
            return {}
        return self._guarded(lambda: self._start(Session(self._animator, initial)))

    def _open(self, path: str) -> _Changes:
        """Read an upload into memory, remove the file and show the photograph."""
        file = Path(path)
        try:
            content = file.read_bytes()
        finally:
            file.unlink(missing_ok=True)

        def opened() -> _Changes:
            photograph = open_photograph(content, file.name, self._animator)
            return self._start(Session(self._animator, photograph))

        return {self._file: None, **self._guarded(opened)}

    def _choose_face(self, session: Session | None, event: gr.EventData) -> _Changes:
        which = event._data.get("index")
        if session is None or which not in range(len(session.photograph.faces)):
            return {}
        chosen = session.photograph
        return self._guarded(lambda: self._start(Session(self._animator, chosen, which)))

    def _reset(self, session: Session | None) -> _Changes:
        return self._show_expression(session, lambda own: own)

    def _neutral(self, session: Session | None) -> _Changes:
        return self._show_expression(session, lambda own: np.zeros(COUNT, np.float32))

    def _randomize(self, session: Session | None) -> _Changes:
        return self._show_expression(session, lambda own: random.choice(self._shown))

    def _express(self, session: Session | None, name: str | None) -> _Changes:
        if name is None or name.lower() not in EXPRESSIONS:
            return {}
        changes = self._show_expression(
            session, Request(expression=expression_aus(name.lower())).target
        )
        return {**changes, self._expression: name}

    def _move(self, session: Session | None, *positions: float) -> _Changes:
        if session is None:
            return {}
        return self._guarded(lambda: self._picture(session, positions))

    def _show_expression(
        self, session: Session | None, expression: Callable[[np.ndarray], np.ndarray]
    ) -> _Changes:
        """Move the sliders to an expression, given the face's own AUs (17,)."""
        if session is None:
            return {self._status: _sentence("Give it a photograph first.")}
        positions = positions_of(expression(session.own_aus))

        def moved() -> _Changes:
            sliders = dict(zip(self._sliders, positions, strict=True))
            return {
                **self._picture(session, positions), self._expression: None, **sliders
            }  # fmt: skip

        return self._guarded(moved)

    def _picture(self, session: Session, positions: Sequence[float]) -> _Changes:
        with self._rendering:
            pixels = session.preview(session.target(positions))
        asked = edits(positions, session.own_aus)
        return {
            self._stage: json.dumps({"after": _data_url(pixels)}),
            self._command: self._in_terminal(session, asked),
        }

    def _in_terminal(self, session: Session, asked: Sequence[Edit]) -> str:
        if not asked:
            return ""
        weights = self._animator.weights
        named = None if weights == SHIPPED else str(weights)
        return command(session.photograph.name, session.which + 1, asked, named)

    def _start(self, session: Session) -> _Changes:
        """Show a face of a photograph as it is."""
        photograph, which = session.photograph, session.which
        found = len(photograph.faces)
        url = _data_url(photograph.preview)
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
            self._session: session,
            self._stage: json.dumps(shown),
            self._status: _sentence(status),
            self._command: "",
            self._expression: None,
            **dict(zip(self._sliders, session.positions, strict=True)),
        }

    def _guarded(self, work: Callable[[], _Changes]) -> _Changes:
        """Do some work; an error in it becomes a sentence on the page."""
        try:
            return work()
        except GanimError as error:
            return {self._status: _sentence(str(error))}
        except Exception:
            traceback.print_exc(file=sys.stderr)
            return {self._status: _sentence(_BROKEN)}


def _sentence(text: str) -> str:
    return f'<p role="status">{escape(text)}</p>'


def _data_url(pixels: np.ndarray) -> str:
    return "data:image/jpeg;base64," + b64encode(to_jpeg(pixels)).decode()
