"""Files that one takes away: the picture at full size, or an animation that leads to it."""

import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from .. import __version__
from ..model.animation.motion import Motion, animate_photograph
from ..model.animation.save import save
from ..model.animation.stills import labelled
from ..pipeline.action_units import Edit
from ..pipeline.errors import CannotWrite, WrongUse
from ..pipeline.expressions import Request
from ..pipeline.files import write_whole
from ..pipeline.images.metadata import labelled_xmp
from ..pipeline.images.write import encode
from .session import RENDERING, Session
from .sliders import option

KINDS = {".png": "PNG", ".gif": "GIF", ".mp4": "MP4"}
"""What can be downloaded: the ending of the file, and its name on the page."""

RESULTS = "results"
"""The folder, among the files of the studio, that browsers may read."""

ENDING = threading.Event()
"""Set when the studio ends: what takes long is not finished."""


def write_result(session: Session, edits: Sequence[Edit], suffix: str, folder: Path) -> Path:
    """Write a result, named as `ganim animate` names it, into a new folder of a secret name.

    A PNG holds the same pixels as the one that `ganim animate` makes. Animations are of the size of
    the page's picture, and go from the photograph to it. Raises WrongUse for one in which nothing
    moves.

    suffix: one of KINDS. folder: for all files of the studio.
    """
    if suffix != ".png" and not edits:
        raise WrongUse("Nothing moves yet: move a slider first.")
    path = new_path(session, suffix, folder)
    if suffix == ".png":
        content = _picture(session, edits)
        write_whole(path, lambda beside: beside.write_bytes(content))
    else:
        _animate(session, edits, path)
    return path


def new_path(session: Session, suffix: str, folder: Path) -> Path:
    """Where a file made of the session's photograph may be written: in a new folder of a secret
    name, from which browsers may read."""
    place = folder / RESULTS / secrets.token_hex(16)
    place.mkdir(parents=True)
    return place / f"{PurePath(session.photograph.name).stem}-animated{suffix}"


def _picture(session: Session, edits: Sequence[Edit]) -> bytes:
    picture = session.photograph.picture()
    target = Request(edits).target(session.own_aus)
    with RENDERING:
        edited = session.animator.edit(picture, [session.face], [target])
    if edited is not picture:
        edited = labelled(edited, [session.face], [target])
    return encode(edited, ".png")[0]


def _animate(session: Session, edits: Sequence[Edit], path: Path) -> None:
    preview = session.photograph.preview
    animation = animate_photograph(
        session.animator, preview, [session.preview_face], Request(edits), Motion()
    )
    animation = replace(animation, pictures=one_at_a_time(animation.pictures))
    save(path, animation, label=labelled_xmp(None, __version__, option(edits)))


def one_at_a_time(pictures: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The pictures, rendered while no other face is, until the studio ends."""
    while not ENDING.is_set():
        with RENDERING:
            picture = next(pictures, None)
        if picture is None:
            return
        yield picture
    raise CannotWrite("The studio has ended.")
