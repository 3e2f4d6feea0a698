"""The page of the studio: its tabs."""

from pathlib import Path

import gradio as gr

from ..model.animation.animator import Animator
from .face_tab import FaceTab
from .photograph import Photograph

CSS = Path(__file__).with_name("page.css").read_text()
_WAITING = 20  # at most in the queue
_FILES_SECONDS = (30, 300)
"""How often the folder of files is searched for old ones, and how old they are then."""


def build_page(animator: Animator, initial: Photograph | None, folder: Path) -> gr.Blocks:
    """The page.

    Args:
        animator: renders; one face at a time.
        initial: the photograph that stands on the page when it is opened.
        folder: for files that the browser fetches.
    """
    with gr.Blocks(
        title="ganim studio", analytics_enabled=False, delete_cache=_FILES_SECONDS
    ) as page:
        gr.Markdown("# ganim studio")
        FaceTab(page, animator, initial, folder)
    page.queue(max_size=_WAITING, default_concurrency_limit=1)
    page.state_session_capacity = 4 * _WAITING
    return page
