"""Find the photographs and clips below a folder, and open them.

The folder is a path or an address (`files.address`). A file is identified by its path relative to
the folder, with `/` between the parts; the parts may hold any bytes.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from ..errors import WrongUse
from ..files import is_local
from ..images import decode, video

MAX_BYTES = 500_000_000
"""The file size above which a photograph is not read. Uncompressed, MAX_PIXELS take 400 MB."""


@dataclass
class Found:
    """The files below a folder, as sorted relative paths."""

    photographs: list[str]
    clips: list[str]
    other_files: int = 0
    """Files that are neither photographs nor clips by their suffix."""
    closed_folders: int = 0
    """Folders that could not be listed."""


def is_clip(path: str) -> bool:
    """Whether a file is a clip by its suffix."""
    return PurePosixPath(path).suffix.lower() in video.SUFFIXES


def find(root: Path, out: Path) -> Found:
    """Find all files below `root`, sorted into kinds by their suffixes.

    Hidden files and folders, links to folders, and the folder `out` are skipped. Raises WrongUse
    if `root` cannot be listed.
    """
    found = Found([], [])
    for path in _walk(root, out, found) if is_local(root) else _walk_address(root, out):
        if PurePosixPath(path).suffix.lower() in decode.SUFFIXES:
            found.photographs.append(path)
        elif is_clip(path):
            found.clips.append(path)
        else:
            found.other_files += 1
    found.photographs.sort()
    found.clips.sort()
    return found


def _walk(root: Path, out: Path, found: Found) -> Iterator[str]:
    if not root.is_dir():
        raise WrongUse(f"{root} is not a folder. Give --src a folder of photographs.")
    top, skipped = os.fspath(root), out.resolve() if is_local(out) else None

    def count_closed(error: OSError) -> None:
        found.closed_folders += 1

    for folder, subfolders, names in os.walk(top, onerror=count_closed):
        subfolders[:] = [
            name
            for name in subfolders
            if not name.startswith(".") and Path(folder, name).resolve() != skipped
        ]
        below = folder[len(top) :].replace(os.sep, "/").strip("/")
        for name in names:
            if not name.startswith("."):
                yield f"{below}/{name}" if below else name


def _walk_address(root: Path, out: Path) -> Iterator[str]:
    address = cast(Any, root)
    prefix = address.path.rstrip("/") + "/"
    skipped = None
    if not is_local(out) and cast(Any, out).protocol == address.protocol:
        skipped = cast(Any, out).path.rstrip("/") + "/"
    try:
        if not root.is_dir():
            raise WrongUse(f"There is nothing at {root}. Give --src a folder of photographs.")
        paths = address.fs.find(address.path)
    except WrongUse:
        raise
    except Exception as error:  # the exceptions of fsspec's file systems have no common base
        raise WrongUse(f"{root} cannot be listed: {error or type(error).__name__}") from error
    for path in paths:
        path = f"/{path}" if prefix.startswith("/") and not path.startswith("/") else path
        below = path.removeprefix(prefix)
        hidden = any(part.startswith(".") for part in below.split("/"))
        if not hidden and not (skipped and path.startswith(skipped)):
            yield below


def open_source(root: Path, path: str) -> BinaryIO:
    """Open a file below `root`, which must be a resolved path if it is local.

    Raises UnreadableImage if the file cannot be opened, is not regular, or is a link to a file
    outside the folder.
    """
    file = root / path
    try:
        if is_local(root):
            if file.is_symlink() and not file.resolve().is_relative_to(root):
                raise decode.UnreadableImage(
                    "a link that leads out of the folder, which is not followed"
                )
            if not stat.S_ISREG(file.stat().st_mode):
                raise decode.UnreadableImage("not a regular file")
        return cast(BinaryIO, file.open("rb"))
    except decode.UnreadableImage:
        raise
    except FileNotFoundError as error:
        raise decode.UnreadableImage("the file does not exist") from error
    except Exception as error:  # those of fsspec's file systems, and circular links
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise decode.UnreadableImage(f"the file cannot be opened: {reason}") from error


def read_photograph(root: Path, path: str) -> bytes:
    """Return a photograph's bytes. Raises UnreadableImage, or TooLarge above MAX_BYTES."""
    with open_source(root, path) as file:
        try:
            content = file.read(MAX_BYTES + 1) if _size(file) <= MAX_BYTES else None
        except Exception as error:
            raise decode.UnreadableImage(f"the file cannot be read: {error}") from error
    if content is None or len(content) > MAX_BYTES:
        raise decode.TooLarge(f"a file of more than {MAX_BYTES / 1e6:g} MB")
    return content


def _size(file: BinaryIO) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size
