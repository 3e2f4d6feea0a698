"""The buttons that download the picture, or an animation that leads to it."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import gradio as gr

from .events import CALM, Changes, guarded, sentence
from .results import KINDS, write_result
from .session import Session

SAVE = """(file) => {
  if (!file) return;
  const link = document.createElement("a");
  link.href = file.url;
  link.download = file.path.split("/").pop();
  link.click();
}"""
"""In the browser: saves the file that a component holds."""


class Downloads:
    """A button for each of KINDS.

    Args:
        folder: for the files, until the browser has them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with gr.Row(elem_id="downloads"):
            self._buttons = {
                suffix: gr.Button(f"Save {name}", min_width=60, elem_id=f"save-{name.lower()}")
                for suffix, name in KINDS.items()
            }
        self._file = gr.DownloadButton(visible="hidden", elem_id="saved")

    def connect(self, session: gr.State, sliders: Sequence[gr.Slider], status: gr.HTML) -> None:
        """Let the buttons save what the session and the sliders say."""
        self._status = status
        for suffix, button in self._buttons.items():
            button.click(
                partial(self._make, suffix), [session, *sliders], [self._file, status], **CALM
            ).then(None, self._file, None, js=SAVE, api_visibility="private")

    def _make(self, suffix: str, session: Session | None, *positions: float) -> Iterator[Changes]:
        if session is None:
            yield {self._file: None, self._status: sentence("Give it a photograph first.")}
            return
        yield {self._file: None, self._status: sentence(f"Making the {KINDS[suffix]} file …")}

        def made() -> Changes:
            edits = session.edits(positions)
            path = write_result(session, edits, suffix, self._folder)
            size = path.stat().st_size / 1e6
            return {
                self._file: str(path), self._status: sentence(f"{path.name}: {size:.1f} MB.")
            }  # fmt: skip

        yield guarded(self._status, made)
