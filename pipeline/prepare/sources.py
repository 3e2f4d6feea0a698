"""What lies under a folder: photographs and clips, found, named and opened.

A folder is a path or an address (`files.address`); what lies in it is known by its path below
it, with `/` between the parts, whatever bytes those hold.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from ..errors import WrongUse
from ..files import is_local
from ..images import decode, video

MAX_BYTES = 500_000_000
"""A photograph's file may have so many; the largest that is decoded has 400 MB uncompressed."""


@dataclass
class Found:
    """What a walk came by: sorted paths below the folder."""

    photographs: list[str]
    clips: list[str]
    other_files: int = 0
    """Files that are neither, by their names' endings."""
    closed_folders: int = 0
    """Folders that may not be listed."""


def find(root: Path, out: Path) -> Found:
    """All that lies under `root`, by the endings of the names.

    Hidden files and folders, links to folders, and `out` are passed over. Raises WrongUse where
    the folder cannot be listed.
    """
    found = Found([], [])
    for path in _walk(root, out, found) if is_local(root) else _walk_address(root, out):
        suffix = PurePosixPath(path).suffix.lower()
        if suffix in decode.SUFFIXES:
            found.photographs.append(path)
        elif suffix in video.SUFFIXES:
            found.clips.append(path)
        else:
            found.other_files += 1
    found.photographs.sort()
    found.clips.sort()
    return found


def _walk(root: Path, out: Path, found: Found) -> Iterator[str]:
    if not root.is_dir():
        raise WrongUse(f"{root} is not a folder. Give --src a folder of photographs.")
    top, avoided = os.fspath(root), out.resolve() if is_local(out) else None

    def closed(error: OSError) -> None:
        found.closed_folders += 1

    for folder, subfolders, names in os.walk(top, onerror=closed):
        subfolders[:] = [
            name
            for name in subfolders
            if not name.startswith(".") and Path(folder, name).resolve() != avoided
        ]
        below = folder[len(top) :].replace(os.sep, "/").strip("/")
        for name in names:
            if not name.startswith("."):
                yield f"{below}/{name}" if below else name


def _walk_address(root: Path, out: Path) -> Iterator[str]:
    address = cast(Any, root)
    prefix = address.path.rstrip("/") + "/"
    avoided = None
    if not is_local(out) and cast(Any, out).protocol == address.protocol:
        avoided = cast(Any, out).path.rstrip("/") + "/"
    try:
        if not root.is_dir():
            raise WrongUse(f"There is nothing at {root}. Give --src a folder of photographs.")
        paths = address.fs.find(address.path)
    except WrongUse:
        raise
    except Exception as error:  # whatever the store's own library raises
        raise WrongUse(f"{root} cannot be listed: {error or type(error).__name__}") from error
    for path in paths:
        path = f"/{path}" if prefix.startswith("/") and not path.startswith("/") else path
        below = path.removeprefix(prefix)
        hidden = any(part.startswith(".") for part in below.split("/"))
        if not hidden and not (avoided and path.startswith(avoided)):
            yield below


def name_of(path: str) -> str:
    """A path as text that any Parquet reader takes: bytes that are no UTF-8 become \\xNN.

    Two paths never get the same name: where one has such bytes or spells out \\xNN itself, its
    backslashes are doubled.
    """
    raw = os.fsencode(path)
    text = raw.decode("utf-8", "backslashreplace")
    if _ESCAPE.search(text):
        text = raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return text


_ESCAPE = re.compile(r"\\x[0-9a-f]{2}")


def frame_name(clip: str, seconds: float) -> str:
    """The source of a frame: `clip.mp4@12.40s`."""
    return f"{clip}@{seconds:.2f}s"


def owner_of(source: str) -> str:
    """The file a source is of: the clip of a frame, anything else itself."""
    match = _FRAME.fullmatch(source)
    return match[1] if match else source


_FRAME = re.compile(rf"(.*\.(?:{'|'.join(s[1:] for s in video.SUFFIXES)}))@\d+\.\d\ds", re.I | re.S)


def open_source(root: Path, path: str) -> BinaryIO:
    """Open a file under `root`, which is resolved if it is local.

    Raises images.UnreadableImage with the reason, as for a link that leads out of the folder.
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
        raise decode.UnreadableImage("the file is not there") from error
    except Exception as error:  # whatever the store's own library raises; a circle of links
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise decode.UnreadableImage(f"the file cannot be opened: {reason}") from error


def read_photograph(root: Path, path: str) -> bytes:
    """A photograph's bytes. Raises images.UnreadableImage, or images.TooLarge above MAX_BYTES."""
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
