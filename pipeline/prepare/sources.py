"""Find the photographs and clips below a folder, and open them.

The folder is a path or an address (`files.address`). A file is identified by its path relative to
the folder, with `/` between the parts; the parts may hold any bytes.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from ..errors import WrongUse, reason
from ..files import is_local
from ..images import decode, is_clip

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
    links: list[str] = field(default_factory=list)
    """Links to folders outside, which are not followed, as `name → target`."""


def find(root: Path, out: Path, follow_links: bool = False) -> Found:
    """Find all files below `root`, sorted into kinds by their suffixes.

    Hidden files and folders, and the folder `out`, are skipped. Links to folders outside are
    followed with `follow_links`, and counted otherwise. Each folder is walked once, whatever links
    lead to it. Raises WrongUse if `root` cannot be listed, or is `out`.
    """
    found = Found([], [])
    walk = _walk(root, out, found, follow_links) if is_local(root) else _walk_address(root, out)
    for path in walk:
        if PurePosixPath(path).suffix.lower() in decode.SUFFIXES:
            found.photographs.append(path)
        elif is_clip(path):
            found.clips.append(path)
        else:
            found.other_files += 1
    found.photographs.sort()
    found.clips.sort()
    return found


def _walk(root: Path, out: Path, found: Found, follow_links: bool) -> Iterator[str]:
    if not root.is_dir():
        raise WrongUse(f"{root} is not a folder. Give --src a folder of photographs.")
    try:
        os.scandir(root).close()
    except OSError as error:
        raise WrongUse(
            f"{root} cannot be listed: {error.strerror}. Check who may read it."
        ) from error
    inside = Path(os.path.realpath(root))
    if is_local(out) and Path(os.path.realpath(out)) == inside:
        raise _is_out(root)
    walked = {Path(os.path.realpath(out))} if is_local(out) else set()
    # Folders themselves go before links to them, so that files are found under their own path.
    waiting = [root]
    while waiting:
        links: list[Path] = []
        for start in waiting:
            yield from _walk_folder(root, start, walked, links, found)
        waiting = []
        for link in sorted(links):
            target = Path(os.path.realpath(link))
            if target in walked:
                continue
            if follow_links or target.is_relative_to(inside):
                waiting.append(link)
            else:
                found.links.append(f"{_below(root, link)} → {link.readlink()}")


def _walk_folder(
    root: Path, start: Path, walked: set[Path], links: list[Path], found: Found
) -> Iterator[str]:
    """The files below a folder, by their paths below `root`; adds to `walked` and `links`."""

    def count_closed(error: OSError) -> None:
        found.closed_folders += 1

    for folder, subfolders, names in os.walk(start, onerror=count_closed):
        real = Path(os.path.realpath(folder))
        if real in walked:
            subfolders.clear()
            continue
        walked.add(real)
        visible = [name for name in subfolders if not name.startswith(".")]
        links += [Path(folder, name) for name in visible if Path(folder, name).is_symlink()]
        subfolders[:] = [name for name in visible if not Path(folder, name).is_symlink()]
        for name in names:
            if not name.startswith("."):
                yield _below(root, Path(folder, name))


def _below(root: Path, path: Path) -> str:
    return os.fspath(path.relative_to(root)).replace(os.sep, "/")


def _is_out(root: Path) -> WrongUse:
    return WrongUse(f"{root} holds the photographs: name another folder for the shards with --out.")


def _walk_address(root: Path, out: Path) -> Iterator[str]:
    address = cast(Any, root)
    prefix = address.path.rstrip("/") + "/"
    skipped = None
    if not is_local(out) and cast(Any, out).protocol == address.protocol:
        skipped = cast(Any, out).path.rstrip("/") + "/"
    if skipped == prefix:
        raise _is_out(root)
    try:
        if not root.is_dir():
            raise WrongUse(f"There is nothing at {root}. Give --src a folder of photographs.")
        paths = address.fs.find(address.path)
    except WrongUse:
        raise
    except Exception as error:  # the exceptions of fsspec's file systems have no common base
        raise WrongUse(f"{root} cannot be listed: {reason(error)}") from error
    for path in paths:
        path = f"/{path}" if prefix.startswith("/") and not path.startswith("/") else path
        below = path.removeprefix(prefix)
        hidden = any(part.startswith(".") for part in below.split("/"))
        if not hidden and not (skipped and path.startswith(skipped)):
            yield below


def open_source(root: Path, path: str, follow_links: bool = False) -> BinaryIO:
    """Open a file below `root`, which must be a resolved path if it is local.

    Raises UnreadableImage if the file cannot be opened, is not regular, or is outside the folder by
    a link, unless `follow_links`.
    """
    file = root / path
    try:
        if is_local(root):
            if not follow_links and not file.resolve().is_relative_to(root):
                raise decode.UnreadableImage(
                    "a link that leads out of the folder, which --follow-links follows"
                )
            if not stat.S_ISREG(file.stat().st_mode):
                raise decode.UnreadableImage("not a regular file")
        return cast(BinaryIO, file.open("rb"))
    except decode.UnreadableImage:
        raise
    except FileNotFoundError as error:
        raise decode.UnreadableImage("the file does not exist") from error
    except Exception as error:  # those of fsspec's file systems, and circular links
        raise decode.UnreadableImage(f"the file cannot be opened: {reason(error)}") from error


def read_photograph(root: Path, path: str, follow_links: bool = False) -> bytes:
    """Return a photograph's bytes. Raises UnreadableImage, or TooLarge above MAX_BYTES."""
    with open_source(root, path, follow_links) as file:
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
