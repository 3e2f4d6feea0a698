"""Save an animation under a name that says how: a file, a folder of PNGs, or a contact strip."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from ...pipeline.errors import WrongUse
from ...pipeline.files import cannot_write, write_whole
from ...pipeline.images import write as stills
from ...pipeline.images.embed_xmp import embed_xmp
from ...pipeline.images.metadata import Metadata
from ...pipeline.images.picture import Picture
from . import encode
from .motion import HOLD, Animation

_STRIP = ".strip"
_STRIP_PICTURES, _STRIP_HEIGHT = 8, 320
"""The most pictures of a strip, and their height in pixels at most."""
_PNG = re.compile(r"frame-\d{4,}\.png")
_IN_CONTAINER = ".webm"
"""What takes no XMP: its label is a tag."""


def ending(path: Path) -> str | None:
    """How an animation is saved under a name: one of `encode.ENDINGS`; `strip`; `folder`; or None
    if the name is of no animation.

    A .webp file can be either: it is one of ENDINGS here.
    """
    suffix = path.suffix.lower()
    if suffix in stills.FORMATS and Path(path.stem).suffix.lower() == _STRIP:
        return "strip"
    if suffix in encode.ENDINGS:
        return suffix
    return "folder" if not suffix else None


def check_target(path: Path, overwrite: bool) -> None:
    """Raise WrongUse if an animation cannot be saved as `path`, or exists and may not be
    replaced."""
    kind = ending(path)
    if kind is None:
        raise WrongUse(
            f"{path.name} is no name of an animation: give one that ends in "
            f"{', '.join(encode.ENDINGS)}, .strip.png for a contact strip, or a folder for PNGs."
        )
    if kind == "folder" and path.is_dir():
        others = [file.name for file in path.iterdir() if not _PNG.fullmatch(file.name)]
        if others:
            raise WrongUse(f"{path} is a folder that holds {others[0]}: name a new folder.")
        if not any(path.iterdir()):
            return
    elif path.is_dir():
        raise WrongUse(f"{path} is a folder: name a file.")
    if path.exists() and not overwrite:
        raise WrongUse(f"{path} exists already: name another file, or give --overwrite.")


def save(
    path: Path,
    animation: Animation,
    plays: int = 0,
    label: bytes | None = None,
    on_picture: Callable[[], None] = lambda: None,
) -> list[str]:
    """Save an animation, completely or not at all. Replaces what is there.

    Args:
        path: a name with an `ending`.
        plays: how often a file that repeats by itself is shown; 0 is without end. In such a file
            the last picture stays for HOLD if it differs from the first.
        label: an XMP packet that says that the pictures are synthetic.
        on_picture: called for each picture.

    Returns sentences about what the file does not hold. Raises CannotWrite.
    """
    kind = ending(path)
    animation = replace(animation, pictures=_counted(animation.pictures, on_picture))
    if kind == "folder":
        _save_folder(path, animation, label)
    elif kind == "strip":
        write_whole(path, lambda beside: beside.write_bytes(_strip(path, animation, label)))
    else:
        assert kind is not None
        return _save_file(path, kind, animation, plays, label)
    return []


def _counted(
    pictures: Iterator[np.ndarray], on_picture: Callable[[], None]
) -> Iterator[np.ndarray]:
    for picture in pictures:
        yield picture
        on_picture()


def _save_file(
    path: Path, kind: str, animation: Animation, plays: int, label: bytes | None
) -> list[str]:
    problems: list[str] = []
    timing = animation.timing
    if encode.repeats(kind) and animation.hold:
        timing = timing.held(HOLD)

    def write(beside: Path) -> None:
        note = "" if label is None else "Synthetic: made by ganim from a photograph or clip."
        problem = encode.write(
            beside, kind, animation.pictures, timing, plays, animation.sound, note
        )
        if problem is not None:
            problems.append(f"The sound was not read to its end: {problem}.")
        if label is not None and kind != _IN_CONTAINER:
            embed_xmp(beside, kind, label)

    write_whole(path, write)
    return problems


def _save_folder(path: Path, animation: Animation, label: bytes | None) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            ".tmp", f".{path.name[:40]}.", path.parent, ignore_cleanup_errors=True
        ) as temporary:
            beside = Path(temporary) / "pictures"  # others may read it, unlike `temporary`
            beside.mkdir()
            for number, picture in enumerate(animation.pictures, start=1):
                content = _encoded(picture, ".png", label)
                (beside / f"frame-{number:04d}.png").write_bytes(content)
            if path.is_dir():
                shutil.rmtree(path)
            beside.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error


def _strip(path: Path, animation: Animation, label: bytes | None) -> bytes:
    """Some of the pictures side by side, evenly chosen, the first and the last among them."""
    count = len(animation.timing.times)
    chosen = set(
        np.linspace(0, count - 1, min(count, _STRIP_PICTURES)).round().astype(int).tolist()
    )
    kept = [
        _reduced(picture) for index, picture in enumerate(animation.pictures) if index in chosen
    ]
    return _encoded(np.hstack(kept), path.suffix.lower(), label)


def _reduced(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    if height <= _STRIP_HEIGHT:
        return picture
    size = max(1, round(width * _STRIP_HEIGHT / height)), _STRIP_HEIGHT
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _encoded(picture: np.ndarray, suffix: str, label: bytes | None) -> bytes:
    return stills.encode(Picture(picture, "RGB", Metadata(xmp=label)), suffix)[0]
