"""Takes away what only Linux has, in every process that has this folder in its PYTHONPATH.

`.ci/run` runs the tests with it once. Taken away are calls, /dev/shm, /proc (from ganim alone, as
libraries look there on Linux), and fork as the way in which processes start by default.
"""

import errno
import functools
import multiprocessing.context
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

_LINUX_ALONE = {
    os: (
        *("sched_getaffinity", "sched_setaffinity", "memfd_create", "eventfd", "pidfd_open"),
        *("posix_fadvise", "posix_fallocate", "copy_file_range", "splice", "getrandom"),
        *("process_cpu_count", "setns", "unshare", "O_TMPFILE"),
    ),
    signal: ("pidfd_send_signal", "SIGPWR"),
    socket: ("AF_VSOCK", "AF_NETLINK"),
}
for module, names in _LINUX_ALONE.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

_ROOT = Path(__file__).parents[2]
_GANIM = tuple(f"{_ROOT / room}" for room in ("cli.py", "commands", "studio", "model", "pipeline"))
_STANDARD = str(Path(os.__file__).parent)


def _from_ganim(frame: FrameType | None) -> bool:
    """Whether a call comes from ganim, perhaps through Python's own library."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file != __file__ and not file.startswith("<frozen"):
            own = file.startswith(_STANDARD) and "site-packages" not in file
            if not own:
                return file.startswith(_GANIM)
        frame = frame.f_back
    return False


def _is_absent(path: Any) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    text = os.fsdecode(path)
    if text.startswith("/dev/shm"):
        return True
    return text.startswith("/proc") and _from_ganim(sys._getframe(1))


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("open", "os.listdir", "os.scandir", "os.mkdir") and _is_absent(arguments[0]):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(arguments[0]))


def _checked(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def checked(path: Any, *arguments: Any, **more: Any) -> Any:
        return call("/absent" if _is_absent(path) else path, *arguments, **more)

    return checked


sys.addaudithook(_refuse)
for name in ("stat", "lstat", "access", "statvfs"):
    original = getattr(os, name)
    checked = _checked(original)
    setattr(os, name, checked)
    for known in (os.supports_fd, os.supports_follow_symlinks, os.supports_dir_fd):
        if original in known:
            known.add(checked)

multiprocessing.context._default_context._default_context = (  # type: ignore[attr-defined]
    multiprocessing.context._concrete_contexts["spawn"]  # type: ignore[attr-defined]
)
