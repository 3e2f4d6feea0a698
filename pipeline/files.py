"""Folders at a path or an address, locks on folders, and atomic writing of files.

A local folder is a Path. A folder at an address such as s3://bucket/raw is a UPath, which has the
same interface. `is_local` tells them apart.
"""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from .errors import CannotWrite, WrongUse, reason

LOCK = ".lock"
"""Name of the file in a folder that holds the lock."""


def address(text: str) -> Path:
    """Return the folder at a path, or at an address that fsspec supports (extra `cluster`).

    Raises WrongUse if the address is malformed or of an unknown kind, or if the extra or the
    package for this kind of address is not installed.
    """
    if "://" not in text:
        return Path(text)
    try:
        from upath import UPath

        folder = UPath(text)
        if folder.protocol in ("file", "local"):
            return Path(folder.path)
        folder.fs.root_marker  # noqa: B018 - creates the file system, which fails if its package is missing
    except ImportError as error:
        raise WrongUse(
            f"{text} needs a package that is not installed ({error}): "
            "pip install 'ganim[cluster]', and also s3fs for s3:// or gcsfs for gs://."
        ) from error
    except ValueError as error:
        raise WrongUse(f"{text} is no address that fsspec knows: {error}") from error
    return cast(Path, folder)


def is_local(folder: Path) -> bool:
    """Whether a folder is a path of this machine, not an address."""
    return isinstance(folder, Path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, so that no other command writes into it. Creates the folder.

    The kernel releases the lock when the process ends, also if it is killed. Folders at an address
    and on file systems without locks are not locked. Raises WrongUse if another process holds the
    lock, or if the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(
            f"{folder} cannot be created as a folder for shards: {error.strerror}."
        ) from error
    if not is_local(folder):
        yield
        return
    import fcntl  # not on Windows

    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WrongUse(
                f"Another ganim is writing into {folder}. Wait until it has ended, or stop it. "
                "Then run the same command again."
            ) from error
        except OSError:
            pass
        yield


def lock_folder(folder: Path) -> int | None:
    """Lock a temporary folder and return the file descriptor; None if it is locked already, or
    deleted. A folder of this kind without a lock is abandoned: its process has ended.

    Raises OSError if it cannot be locked, as on file systems without locks.
    """
    import fcntl

    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    is_locked = False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_locked = os.path.samestat(os.fstat(descriptor), folder.stat())
    except (BlockingIOError, FileNotFoundError):
        pass
    finally:
        if not is_locked:
            os.close(descriptor)
    return descriptor if is_locked else None


def lock_if_free(folder: Path) -> int | None:
    """`lock_folder` of one that may be another user's, or no folder at all: None if so."""
    try:
        return lock_folder(folder)
    except OSError:
        return None


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file atomically: `write` writes a temporary file, which then replaces `path`.

    The file is flushed to disk before it is renamed, so that a crash leaves the old file or the
    new one. At an address, the file is written on this machine and uploaded as one object. Raises
    CannotWrite, and leaves no part of a file.
    """
    try:
        if is_local(path):
            _write_beside(path, write)
            return
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / path.name
            write(temporary)
            path.write_bytes(temporary.read_bytes())
    except CannotWrite:
        raise
    except OSError as error:
        raise cannot_write(path, error) from error


def _write_beside(path: Path, write: Callable[[Path], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the whole name: with an ending added it could be too long for a file.
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """What an error while a file was written means: what happened, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        sentence = "no space is left. Free some, or write elsewhere."
    elif error.errno == errno.ENAMETOOLONG:
        sentence = "the name is too long. Give a shorter one."
    elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        sentence = "a file stands where a folder is meant, or a folder where a file is."
    else:
        sentence = f"{reason(error)}. Choose a folder in which you can write files."
    explained = CannotWrite(f"{path} cannot be written: {sentence}")
    explained.strerror = reason(error)
    return explained


def move(path: Path, target: Path) -> None:
    """Move a file, replacing `target` if it exists. Both must be on the same file system."""
    if is_local(path):
        path.replace(target)
    else:
        cast(Any, path).fs.mv(cast(Any, path).path, cast(Any, target).path)


def _sync_folder(folder: Path) -> None:
    """Flush a rename to disk. Some platforms cannot open folders, and do not need this."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
