"""One photograph to one picture file: find faces, edit them, label and encode the result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ... import __version__
from ...pipeline.action_units import NUMBERS
from ...pipeline.errors import NothingUsable
from ...pipeline.expressions import Request
from ...pipeline.images.decode import UnreadableImage
from ...pipeline.images.metadata import labelled_xmp
from ...pipeline.images.picture import Picture, read_picture
from ...pipeline.images.write import FORMATS, encode
from .animator import Animator
from .choose import chosen_faces
from .faces import Face


@dataclass(frozen=True)
class StillSettings:
    """How photographs are edited and written."""

    request: Request
    face: int | None = 1
    """Which face, by size from 1; None: all."""
    quality: int | None = None
    """1-100, of JPEG, WebP and AVIF; None: `write.QUALITY`."""
    label: bool = True
    """Whether the file says that it is synthetic."""


@dataclass(frozen=True)
class Still:
    """A picture file, and what is to be said about it."""

    content: bytes
    notes: list[str]


def edit_file(
    animator: Animator, file: Path | bytes, suffix: str | None, settings: StillSettings
) -> Still:
    """Edit the faces of a photograph, given as its path or its bytes.

    suffix: the ending of the result's name, one of `write.FORMATS`; None: the photograph's format
        if it is one of them, otherwise PNG.

    If nothing changes, the result is the photograph's own file where its format is the same.
    Raises NothingUsable or WrongUse.
    """
    picture = read(file)
    faces = animator.faces(picture.rgb)
    chosen, notes = chosen_faces(faces, settings.face)
    targets = [settings.request.target(face.own_aus) for face in chosen]
    edited = animator.edit(picture, chosen, targets)
    suffix = suffix or _suffix(picture)
    if edited is picture:
        notes.append("The face shows this already: nothing was changed.")
        if FORMATS[suffix].name.upper() == picture.format:
            return Still(file if isinstance(file, bytes) else file.read_bytes(), notes)
    elif settings.label:
        edited = labelled(edited, chosen, targets)
    content, more = encode(edited, suffix, settings.quality)
    return Still(content, [*notes, *picture.notes, *more])


def read(file: Path | bytes) -> Picture:
    """Decode a photograph. Raises NothingUsable with the reason why not."""
    try:
        return read_picture(file)
    except UnreadableImage as reason:
        name = "The photograph" if isinstance(file, bytes) else file
        raise NothingUsable(f"{name} cannot be read: {reason}.") from reason


def labelled(picture: Picture, faces: Sequence[Face], targets: Sequence[np.ndarray]) -> Picture:
    """The picture with a statement in its metadata that it is synthetic, and of what."""
    aus = "; ".join(_changes(face, target) for face, target in zip(faces, targets, strict=True))
    xmp = labelled_xmp(picture.metadata.xmp, __version__, aus)
    return replace(picture, metadata=replace(picture.metadata, xmp=xmp))


def _changes(face: Face, target: np.ndarray) -> str:
    """The AUs that a face is asked for, where they are not its own: `AU12 0.31 to 1.00`."""
    return ", ".join(
        f"AU{number} {own:.2f} to {asked:.2f}"
        for number, own, asked in zip(NUMBERS, face.own_aus, target, strict=True)
        if own != asked
    )


def _suffix(picture: Picture) -> str:
    kinds = {kind.name.upper(): suffix for suffix, kind in reversed(FORMATS.items())}
    return kinds.get(picture.format or "", ".png")


def numbered(picture: Picture, faces: Sequence[Face]) -> Picture:
    """The picture in sRGB with a box and a number from 1 at each face."""
    image = Image.fromarray(picture.rgb)
    draw = ImageDraw.Draw(image)
    line = max(2, round(max(image.size) / 400))
    for number, face in enumerate(faces, start=1):
        box = face.crop
        draw.rectangle(box.as_list(), outline="yellow", width=line)
        font = ImageFont.load_default(max(12, round(box.width / 4)))
        at = (max(box.left, 0) + 2 * line, max(box.top, 0) + line)
        draw.text(at, str(number), "yellow", font, stroke_width=line, stroke_fill="black")
    return Picture(np.asarray(image), "RGB")
