"""The tab in which a clip drives the photograph: its face follows the face in the clip."""

import contextvars
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gradio as gr

from .. import __version__
from ..model.animation.drive import read_driver
from ..model.animation.motion import drive_photograph
from ..model.animation.save import save
from ..pipeline.errors import GanimError, NothingUsable
from ..pipeline.images.metadata import labelled_xmp
from .events import CALM, Changes, guarded, sentence
from .photograph import MAX_BYTES
from .results import new_path, one_at_a_time
from .session import Session
from .sliders import command

MAX_FRAMES = 1800
"""Longer clips are refused: about a minute."""
_HINT = (
    "The face of the first tab's photograph follows the face in a clip of up to "
    f"{MAX_FRAMES / 30:.0f} seconds and {MAX_BYTES / 1e6:g} MB."
)
_PROGRESS_SECONDS = 0.3
"""Between two reports of the progress."""


class Cancelled(GanimError):
    """The user has cancelled."""


class DriveTab:
    """The controls of the tab, and what they do.

    Args:
        session: of the first tab.
        folder: for files that the browser fetches.
    """

    def __init__(self, session: gr.State, folder: Path) -> None:
        self._folder = folder
        with gr.Row():
            with gr.Column(min_width=320):
                clip = gr.File(
                    label="Clip, or CSV of OpenFace", file_count="single", height=110,
                    elem_id="driver",
                )  # fmt: skip
                with gr.Accordion("Record a clip", open=False):
                    recording = gr.Video(
                        sources=["webcam"],
                        include_audio=True,  # Gradio would remove it with a program, ffmpeg
                        show_label=False,
                        buttons=[],
                        webcam_options=gr.WebcamOptions(mirror=False),
                        elem_id="recording",
                    )
                with gr.Row():
                    start = gr.Button("Follow", variant="primary", min_width=60, elem_id="follow")
                    cancel = gr.Button("Cancel", min_width=60, elem_id="cancel")
                self._status = gr.HTML(sentence(_HINT), elem_id="drive-status")
                self._command = gr.Textbox(
                    label="In a terminal", interactive=False, buttons=["copy"],
                    elem_id="drive-command",
                )  # fmt: skip
            with gr.Column(min_width=320):
                self._result = gr.Video(
                    label="Result",
                    interactive=False,
                    autoplay=True,
                    loop=True,
                    buttons=["download"],
                    elem_id="driven",
                )
        # The one that was given last drives.
        clip.upload(lambda: None, None, recording, **CALM)
        recording.stop_recording(lambda: None, None, clip, **CALM)
        # Not in the queue, so that one can cancel while waiting in it.
        start.click(self._begin, session, None, queue=False, **CALM).then(
            self._follow,
            [session, clip, recording],
            [self._result, self._status, self._command],
            show_progress_on=self._result,
            api_visibility="private",
        )
        # The page says so before the work ends: otherwise this may come later than its last word.
        cancel.click(
            lambda: sentence("Cancelling …"), None, self._status, queue=False, **CALM
        ).then(self._cancel, session, None, queue=False, **CALM)

    def _begin(self, session: Session | None) -> None:
        if session is not None:
            session.cancelled.clear()

    def _cancel(self, session: Session | None) -> None:
        if session is not None:
            session.cancelled.set()

    def _follow(
        self,
        session: Session | None,
        clip: str | None,
        recording: str | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - so Gradio finds it
    ) -> Changes:
        driver = recording or clip
        if session is None:
            return {self._status: sentence("Give the first tab a photograph.")}
        if driver is None:
            return {self._status: sentence("Choose a clip, or record one.")}
        return guarded(self._status, lambda: self._driven(session, Path(driver), progress))

    def _driven(self, session: Session, clip: Path, progress: gr.Progress) -> Changes:
        if not clip.exists():
            raise NothingUsable("The clip is kept for ten minutes only: choose it once more.")
        reading = _counter(session, progress, "Reading the clip", None)
        driver = read_driver(session.animator.reader, clip, reading)
        count = len(driver.aus)
        if count > MAX_FRAMES:  # of a CSV
            raise NothingUsable(_too_long())
        animation = drive_photograph(
            session.animator,
            session.photograph.preview,
            [session.preview_face],
            driver,
            driver.neutral(),
        )
        animation = replace(animation, pictures=one_at_a_time(animation.pictures))
        path = new_path(session, ".mp4", self._folder)
        drawing = _counter(session, progress, "Drawing pictures", count)
        label = labelled_xmp(None, __version__, f"drive={clip.name}")
        notes = [*animation.notes, *save(path, animation, label=label, on_picture=drawing)]
        options = ["--drive", clip.name, "-o", path.name]
        name, face = session.photograph.name, session.which + 1
        told = " ".join([f"{path.name}: {count} pictures.", *notes])
        return {
            self._result: str(path),
            self._status: sentence(told),
            self._command: command(name, face, options, session.weights),
        }


def _counter(
    session: Session, progress: gr.Progress, told: str, total: int | None
) -> Callable[[], None]:
    """A function to call after each picture: it reports the progress, and raises an error if the
    user has cancelled or if there are too many."""
    done, reported = 0, 0.0
    event = contextvars.copy_context()  # pictures are drawn in a thread that knows of no event

    def count() -> None:
        nonlocal done, reported
        done += 1
        if session.cancelled.is_set():
            raise Cancelled("Cancelled.")
        if done > MAX_FRAMES:
            raise NothingUsable(_too_long())
        if time.monotonic() - reported > _PROGRESS_SECONDS:
            reported = time.monotonic()
            event.run(progress, (done, total), desc=told, unit="pictures")

    return count


def _too_long() -> str:
    return f"The clip has more than {MAX_FRAMES} pictures: cut it to a minute or less."
