"""Where a photograph is given to the page: as a file, or by the camera."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from .events import Changes
from .session import Session

Opened = Callable[[Session | None, bytes, str], Changes]
"""What is done with a photograph, given the session before, the file's content and its name."""


class PhotographField:
    """A field for files, and a camera that is folded away."""

    def __init__(self) -> None:
        self._file = gr.File(
            label="Photograph", file_count="single", height=110, elem_id="photograph"
        )
        with gr.Accordion("Camera", open=False):
            self._camera = gr.Image(
                sources=["webcam"],
                type="filepath",
                image_mode=None,
                show_label=False,
                buttons=[],
                webcam_options=gr.WebcamOptions(mirror=False),
                elem_id="camera",
            )

    def connect(self, opened: Opened, session: gr.State, outputs: Sequence[Any]) -> None:
        """Call `opened` for each photograph. outputs: the components that it may change."""
        for field, event in (
            (self._file, self._file.upload), (self._camera, self._camera.change)
        ):  # fmt: skip
            event(
                partial(self._take, field, opened),
                [field, session],
                [field, *outputs],
                api_visibility="private",
            )

    def _take(
        self,
        field: gr.File | gr.Image,
        opened: Opened,
        path: str | None,
        session: Session | None,
    ) -> Changes:
        """Read an upload into memory and remove the file."""
        if path is None:  # the field was emptied, below
            return {}
        file = Path(path)
        try:
            content = file.read_bytes()
        finally:
            file.unlink(missing_ok=True)
        name = f"camera{file.suffix}" if field is self._camera else file.name
        return {field: None, **opened(session, content, name)}
