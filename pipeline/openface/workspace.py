"""Temporary folders for OpenFace's input and output, deleted even if their process was killed.

A folder is locked by `flock` while it is in use. The kernel releases the lock when the process
ends, however it ends, so a folder without a lock is abandoned and the next process deletes it.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import WrongUse
from ..files import lock_folder, lock_if_free

_PREFIX = "ganim-openface-"
_PID_FILE = "process"
_MEMORY = Path("/dev/shm")
# A container daemon that shuts down waits up to 15 s for its containers, which write until then.
_DELETE_TIMEOUT = 20.0


@contextlib.contextmanager
def workspace(size: int = 0) -> Iterator[Path]:
    """Create an empty folder with a name that is unique on this machine; delete it at the end.

    size: how many bytes will be written. With a size, the folder is made in memory (`/dev/shm`)
    if twice as much is free there, so that short-lived pictures are not written to a disk.
    Without one, or where TMPDIR is set, it is made in the temporary folder. Raises WrongUse if the
    folder cannot be made or locked.
    """
    parent = _MEMORY if size and _fits_in_memory(size) else None
    while True:
        try:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        except OSError as error:
            raise WrongUse(
                f"No temporary folder can be made: {error.strerror}. Free some space in "
                f"{tempfile.gettempdir()}, or set TMPDIR to another folder."
            ) from error
        try:
            lock = lock_folder(folder)
        except OSError as error:
            folder.rmdir()
            raise WrongUse(
                f"A folder in {folder.parent} cannot be locked: {error.strerror}. Set TMPDIR to a "
                "folder of a disk of this machine."
            ) from error
        # Another process may have deleted the folder as abandoned before it was locked.
        if lock is not None:
            break
    try:
        yield folder
    finally:
        _delete(folder)
        os.close(lock)


def make_folders(workspace: Path) -> tuple[Path, Path]:
    """Create the folders `in` and `out` of a workspace, and return them."""
    inputs, outputs = workspace / "in", workspace / "out"
    inputs.mkdir()
    outputs.mkdir()
    return inputs, outputs


def is_abandoned(folder: Path) -> bool:
    """Whether a workspace is deleted, or no process holds its lock."""
    if not folder.exists():
        return True
    lock = lock_if_free(folder)
    if lock is not None:
        os.close(lock)
    return lock is not None


def record_process(folder: Path, pid: int) -> None:
    """Record a process group's leader, which `remove_abandoned` kills if this process cannot."""
    (folder / _PID_FILE).write_text(str(pid))


def remove_abandoned() -> None:
    """Delete the workspaces that killed processes left, and kill the programs that run in them."""
    parents = (Path(tempfile.gettempdir()), _MEMORY)
    for folder in [path for parent in parents for path in parent.glob(f"{_PREFIX}*")]:
        lock = lock_if_free(folder)
        if lock is not None:
            _kill_process(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _fits_in_memory(size: int) -> bool:
    if "TMPDIR" in os.environ:
        return False
    try:
        free = shutil.disk_usage(_MEMORY).free
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        available = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return False
    return min(free, available) > 2 * size


def _delete(folder: Path) -> None:
    """Delete a folder, again and again while a container that cannot be killed writes into it."""
    deadline = time.monotonic() + _DELETE_TIMEOUT
    shutil.rmtree(folder, ignore_errors=True)
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
        shutil.rmtree(folder, ignore_errors=True)


def _kill_process(folder: Path) -> None:
    """Kill the recorded process of an abandoned workspace."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / _PID_FILE).read_text())
        # The pid may have been reused; our process has the folder in its command line.
        if os.fsencode(folder) in _command_line(pid):
            os.killpg(pid, signal.SIGKILL)


def _command_line(pid: int) -> bytes:
    """The command line of a process; empty if there is no such process. Raises OSError."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:  # no such process, or no /proc, as on macOS
        command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, check=False).stdout
