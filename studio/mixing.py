"""Two expressions and a slider between them: the alpha of the GANimation paper."""

import gradio as gr
import numpy as np

from ..pipeline.expressions import EXPRESSIONS, Request, expression_aus
from .sliders import STEP

_OWN = "As in the photograph"


class Mixing:
    """Two expressions to choose, and a slider."""

    def __init__(self) -> None:
        names = [_OWN, *(name.capitalize() for name in EXPRESSIONS)]
        with gr.Accordion("Between two expressions", open=False):
            with gr.Row():
                first = gr.Dropdown(names, value=_OWN, label="From", min_width=120, elem_id="from")
                second = gr.Dropdown(names, value="Happy", label="To", min_width=120, elem_id="to")
            alpha = gr.Slider(
                0, 1, 0, step=STEP, label="Share of the second (alpha)", buttons=[], elem_id="alpha"
            )
        self.inputs: list[gr.Dropdown | gr.Slider] = [first, second, alpha]

    @staticmethod
    def target(own: np.ndarray, first: str, second: str, alpha: float) -> np.ndarray:
        """The AUs (17,) in 0-1 of a face with AUs `own` (17,): alpha * second + (1 - alpha) * first
        (Pumarola et al. 2018, section 6.3)."""
        between = alpha * _aus(own, second) + (1 - alpha) * _aus(own, first)
        return np.clip(between, 0, 1).astype(np.float32)


def _aus(own: np.ndarray, name: str) -> np.ndarray:
    if name.lower() not in EXPRESSIONS:
        return own
    return Request(expression=expression_aus(name.lower())).target(own)
