"""The 17 sliders on the page, by groups."""

from collections.abc import Collection

import gradio as gr

from ..pipeline.action_units import NAMES, NUMBERS
from .sliders import GROUPS, HELP, STEP


def build_sliders(known: Collection[int]) -> list[gr.Slider]:
    """Sliders in the order of the AUs, laid out by groups. Those of AUs that are not `known` cannot
    be moved."""
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
