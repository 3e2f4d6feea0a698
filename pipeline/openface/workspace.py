"""Temporary folders that outlive nobody: locked while in use, swept away by the next run.

The lock is the kernel's, on the folder itself, so it ends with the process however that dies.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import WrongUse

_PREFIX = "ganim-openface-"
_PROCESS = "process"
_MEMORY = Path("/dev/shm")
_WRITES_ON = 20.0


@contextlib.contextmanager
def workspace(room: int = 0) -> Iterator[Path]:
    """A new empty folder, gone at the end. Its name is unique on this machine.

    It stands in memory if that has `room` bytes twice over, so that pictures which live for
    seconds never reach the disk; otherwise, or where TMPDIR is set, in the temporary folder.
    """
    parent = _MEMORY if room and _has_room(room) else None
    while True:
        try:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        except OSError as error:
            raise WrongUse(
                f"No temporary folder can be made: {error.strerror}. Make room in "
                f"{tempfile.gettempdir()}, or set TMPDIR to another folder."
            ) from error
        lock = _lock(folder)
        # A sweep can come between the folder and its lock: then it took the folder for abandoned.
        if lock is not None:
            break
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(lock)


def is_abandoned(folder: Path) -> bool:
    """Whether nobody works in a workspace any more, or it is gone."""
    if not folder.exists():
        return True
    lock = _lock(folder)
    if lock is not None:
        os.close(lock)
    return lock is not None


def note_process(folder: Path, number: int) -> None:
    """Have a sweep end this process, the leader of its group, if we cannot any more."""
    (folder / _PROCESS).write_text(str(number))


def sweep() -> None:
    """Remove the workspaces that killed processes left behind."""
    places = (Path(tempfile.gettempdir()), _MEMORY)
    for folder in [path for place in places for path in place.glob(f"{_PREFIX}*")]:
        lock = _lock(folder)
        if lock is not None:
            _end_orphan(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _has_room(room: int) -> bool:
    if "TMPDIR" in os.environ:
        return False
    try:
        free = shutil.disk_usage(_MEMORY).free
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        available = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return False
    return min(free, available) > 2 * room


def _remove(folder: Path) -> None:
    """Delete a folder. A container whose daemon is going down cannot be ended by us and writes on
    for a while, at most as long as daemons wait: 15 seconds."""
    until = time.monotonic() + _WRITES_ON
    shutil.rmtree(folder, ignore_errors=True)
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.2)
        shutil.rmtree(folder, ignore_errors=True)


def _end_orphan(folder: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        number = int((folder / _PROCESS).read_text())
        # Its number may be another's by now; ours has the folder in its command line.
        if os.fsencode(folder) in Path(f"/proc/{number}/cmdline").read_bytes():
            os.killpg(number, signal.SIGKILL)


def _lock(folder: Path) -> int | None:
    """The handle that holds a folder's lock; None if another has it, or the folder is gone."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), folder.stat()):
            return handle
    except OSError:
        pass
    os.close(handle)
    return None
