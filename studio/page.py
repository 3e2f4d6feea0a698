"""The page of the studio: its tabs."""

from pathlib import Path

import gradio as gr

from ..model.animation.animator import Animator
from .drive_tab import DriveTab
from .face_tab import FaceTab
from .photograph import Photograph

CSS = Path(__file__).with_name("page.css").read_text()
_WAITING = 20  # at most in the queue
_FILES_SECONDS = (30, 600)
"""How often the folder of files is searched for old ones, and how old they are then."""


def build_page(
    animator: Animator, initial: Photograph | None, folder: Path, run: Path | None
) -> gr.Blocks:
    """The page.

    Args:
        animator: renders; one face at a time.
        initial: the photograph that stands on the page when it is opened.
        folder: for files that the browser fetches.
        run: the folder of a training that is shown; None: no tab for it.
    """
    with gr.Blocks(
        title="ganim studio", analytics_enabled=False, delete_cache=_FILES_SECONDS
    ) as page:
        gr.Markdown("# ganim studio")
        with gr.Tabs():
            with gr.Tab("Face") as face_tab:
                face = FaceTab(page, animator, initial, folder)
            with gr.Tab("Drive") as drive_tab:
                DriveTab(face.session, folder)
            if run is not None:
                from .train_tab import TrainTab

                with gr.Tab("Train") as tab:
                    TrainTab(run, tab, [face_tab, drive_tab], face)
    page.queue(max_size=_WAITING, default_concurrency_limit=1)
    page.state_session_capacity = 4 * _WAITING
    return page
