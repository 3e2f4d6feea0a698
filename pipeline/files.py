"""Folders by path or address, held by one process at a time; files that appear whole or not at all.

A folder is a Path, or behind an address such as s3://bucket/raw a UPath, which has the same
interface. Only this file and the walk over the source tell one from the other.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from .errors import WrongUse

LOCK = ".lock"


def address(text: str) -> Path:
    """The folder at a path, or at any address that fsspec knows (extra `cluster`).

    Raises WrongUse where the extra, or the part of fsspec that the address needs, is missing.
    """
    if "://" not in text:
        return Path(text)
    try:
        from upath import UPath

        folder = UPath(text)
        if folder.protocol in ("file", "local"):
            return Path(folder.path)
        folder.fs.root_marker  # noqa: B018 - connects, as far as that needs no network
    except ImportError as error:
        raise WrongUse(
            f"{text} needs a package that is not here ({error}). Addresses need: "
            "pip install 'ganim[cluster]', and for s3:// also s3fs, for gs:// gcsfs."
        ) from error
    except ValueError as error:
        raise WrongUse(f"{text} is no address that fsspec knows: {error}") from error
    return cast(Path, folder)


def is_local(folder: Path) -> bool:
    """Whether it is a path of this machine, not an address."""
    return isinstance(folder, Path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, made if need be, so that no other command writes into it meanwhile.

    Raises WrongUse if another process holds it. The kernel lets go when the holder ends, however
    it ends. Nothing is held at an address, nor on a file system without locks.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(f"{folder} cannot be a folder for shards: {error.strerror}.") from error
    if not is_local(folder):
        yield
        return
    import fcntl  # not on Windows

    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WrongUse(
                f"Another ganim is writing into {folder}. Wait until it has ended, or stop it; "
                "the same command then goes on."
            ) from error
        except OSError:
            pass
        yield


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in place: all of it or none.

    At an address the file is filled on this machine and sent: an object appears whole.
    """
    if not is_local(path):
        with tempfile.TemporaryDirectory() as folder:
            beside = Path(folder) / path.name
            write(beside)
            path.write_bytes(beside.read_bytes())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def move(path: Path, target: Path) -> None:
    """Put a file in the place of another, or where there is none, below the same folder."""
    if is_local(path):
        path.replace(target)
    else:
        cast(Any, path).fs.mv(cast(Any, path).path, cast(Any, target).path)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; some platforms cannot open folders, and need not."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
