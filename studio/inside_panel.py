"""The panel beside the picture: masks, motion, AUs read in the result, and identity distance."""

from html import escape

import gradio as gr
import numpy as np

from ..model.animation.animator import Animator
from ..pipeline.action_units import NAMES, NUMBERS
from ..pipeline.faces.identity import SAME_PERSON
from .events import CALM, Changes, data_url, guarded
from .inside import EXAGGERATION, Inside
from .session import Session, Shown

_EVERY = 0.7
"""Seconds between looks at whether the picture has changed, while the panel is open."""
_ASKED = "what is asked for"
_HEADERS = ["AU", "Photograph", "Asked for", "Read in the result"]
_NO_MOTION = "These weights paint in place: they move nothing."


class InsidePanel:
    """A panel that is computed while it is open, of pictures that have stood for a moment.

    Args:
        animator: says which AUs it knows.
    """

    def __init__(self, animator: Animator) -> None:
        known = animator.renderer.aus
        self._numbers = {f"AU{number} {NAMES[number]}, by 1": number for number in known}
        with gr.Accordion("How it was made, and how it reads", open=False) as self._panel:
            self._pictures = gr.HTML(elem_id="inside")
            self._which = gr.Dropdown(
                [_ASKED, *self._numbers],
                value=_ASKED,
                label="Arrows show the motion of",
                elem_id="arrows",
            )
            self._identity = gr.HTML(elem_id="identity")
            self._table = gr.Dataframe(
                headers=_HEADERS,
                datatype=["str", "number", "number", "number"],
                column_count=len(_HEADERS),
                interactive=False,
                buttons=[],
                max_height=760,
                elem_id="readings",
            )
        self._timer = gr.Timer(_EVERY, active=False)
        self._seen = gr.State((None, None))

    def connect(self, session: gr.State, status: gr.HTML) -> None:
        """Let the panel show what the session shows. Errors are said in `status`."""
        self._status = status
        shown = [self._pictures, self._identity, self._table, self._seen, status]
        inputs = [session, self._seen, self._which]
        self._panel.expand(lambda: gr.Timer(active=True), None, self._timer, **CALM)
        self._panel.collapse(lambda: gr.Timer(active=False), None, self._timer, **CALM)
        self._timer.tick(self._look, inputs, shown, queue=False, **CALM)

    def _look(self, session: Session | None, seen: tuple[object, object], which: str) -> Changes:
        """Draw the picture that is shown if it was shown at the last look, too, and is new here."""
        if session is None:
            return {}
        shown = session.latest
        now = (id(session), shown.number, which)
        before, drawn = seen
        if now != before or now == drawn:
            return {self._seen: (now, drawn)} if now != before else {}
        changes = guarded(self._status, lambda: self._drawn(session, shown, which))
        return {**changes, self._seen: (now, now)}

    def _drawn(self, session: Session, shown: Shown, which: str) -> Changes:
        inside = Inside(session, shown)
        motion = inside.motion(self._numbers.get(which))
        figures = [
            _figure(inside.attention, "Attention mask", "White keeps the photograph, moved."),
            _figure(inside.colour, "Colour mask", "Painted where attention is dark."),
        ]
        if motion is None:
            figures.append(f"<p>{_NO_MOTION}</p>")
        else:
            told = f"Motion of {which}, drawn {EXAGGERATION} times as long."
            figures.append(_figure(motion, "Motion field", told))
        read, distance = inside.read()
        same = "one person" if distance < SAME_PERSON else "two persons"
        told = f"Identity distance {distance:.2f}: below {SAME_PERSON:g} is one person to dlib"
        return {
            self._pictures: f'<div class="inside">{"".join(figures)}</div>',
            self._identity: f"<p>{told}, so this is {same}.</p>",
            self._table: [
                [f"AU{number} {NAMES[number]}", *(round(float(value), 2) for value in values)]
                for number, *values in zip(
                    NUMBERS, session.own_aus, shown.target, read, strict=True
                )
            ],
        }


def _figure(pixels: np.ndarray, title: str, told: str) -> str:
    return (
        f'<figure><img src="{data_url(pixels)}" alt="{escape(f"{title}. {told}")}">'
        f"<figcaption><b>{escape(title)}.</b> {escape(told)}</figcaption></figure>"
    )
