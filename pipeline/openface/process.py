"""A process of one of OpenFace's programs, local or in a container: start, supervise, kill."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import WrongUse
from . import workspace
from .containers import NOT_STARTED, ContainerImage, error_line, find_image, runtime_info

IMAGE = "algebr/openface:latest"
IMAGE_PROGRAM = "/home/openface-build/build/bin/FaceLandmarkImg"

_POLL_SECONDS = 0.5
# By SIGKILL or SIGTERM, as the exit status of a local process and of a container.
_KILLED = (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGKILL, 128 + signal.SIGTERM)


class Stopped(Exception):
    """The process was killed, or not started, because the caller asked to stop."""


@dataclass(frozen=True)
class Failure:
    """Why a process did not finish its input."""

    reason: str
    transient: bool = False
    """Whether it timed out or was killed from outside, so that the input may not be the cause."""


@dataclass(frozen=True)
class Program:
    """FaceLandmarkImg or FeatureExtraction. `find_program` makes one."""

    label: str
    """Path or image, for the rows of the shards and for messages."""
    path: str
    """The path on this machine, or inside the image."""
    image: ContainerImage | None = None

    def with_name(self, name: str) -> "Program":
        """Another program in the same folder."""
        return replace(self, path=str(Path(self.path).with_name(name)))

    def execute(
        self,
        arguments: list[str],
        folder: Path,
        idle_timeout: float,
        stop: threading.Event,
        on_output: Callable[[set[str]], None] = lambda names: None,
    ) -> Failure | None:
        """Run the program on a workspace; return the failure if it did not finish its input.

        arguments: `{in}` and `{out}` are replaced by the workspace's two folders.
        idle_timeout: seconds without a change of the files in `out` after which it is killed.
        on_output: called about twice a second, if files changed, with the names of all in `out`.
        Raises Stopped once `stop` is set, and WrongUse if the program or its container does not
        start.
        """
        inputs, outputs = (str(folder / "in"), str(folder / "out"))
        if self.image is not None:
            inputs, outputs = "/input", "/output"
        arguments = [argument.format(**{"in": inputs, "out": outputs}) for argument in arguments]
        command = [self.path, *arguments]
        if self.image is not None:
            command = self.image.command(self.path, arguments, folder)
        if stop.is_set():
            raise Stopped
        with tempfile.TemporaryFile() as log:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C reaches only ganim, which kills it
                )
            except OSError as error:
                raise self.error("to start", f"{error.strerror}.") from error
            started = time.monotonic()
            try:
                workspace.record_process(folder, process.pid)
                if not _wait(process, folder / "out", idle_timeout, stop, on_output):
                    return Failure(f"it wrote nothing for {idle_timeout:g} s", transient=True)
            finally:
                if process.poll() is None:
                    self._kill(process, folder.name, started)
            log.seek(0)
            message = error_line(log.read().decode(errors="replace"))
        if process.returncode in NOT_STARTED:
            if self.image is not None:
                runtime_info(self.image.runtime)  # else an ended daemon is OpenFace's fault
            raise self.error("to start", message)
        if process.returncode != 0:
            reason = f"exit status {process.returncode}, {message}"
            return Failure(reason, transient=process.returncode in _KILLED)
        if not any((folder / "out").iterdir()):
            return Failure(f"it wrote nothing, {message}")
        return None

    def error(self, what: str, reason: str) -> WrongUse:
        """The error for an OpenFace that fails whatever its input, with what it fails to do."""
        return WrongUse(
            f"OpenFace ({self.label}) fails {what}: {reason} Repair this installation of "
            "OpenFace, or name another image or program."
        )

    def _kill(self, process: subprocess.Popen[bytes], container: str, started: float) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if self.image is not None:
            self.image.remove(container)
            if time.monotonic() - started < 5:
                # The daemon may have created the container only after the first request.
                time.sleep(0.3)
                self.image.remove(container)


def find_program(
    runtime: str | None = None,
    image: str = IMAGE,
    program: Path | None = None,
    image_program: str = IMAGE_PROGRAM,
    pull: bool = False,
) -> Program:
    """Find FaceLandmarkImg: the local `program`, or `image_program` inside `image`.

    The image is looked up in `runtime`, or in docker and podman, and downloaded if `pull` is set.
    Raises WrongUse, with the reason and what to do, if it is not found.
    """
    if program is None:
        found = find_image(runtime, image, pull)
        return Program(found.label, image_program, found)
    path = shutil.which(program.absolute() if program.exists() else program)
    if path is None:
        raise WrongUse(
            f"{program} is not an executable program. Name the file FaceLandmarkImg of an "
            "OpenFace 2.0 installation."
        )
    return Program(f"local:{path}", path)


def _wait(
    process: subprocess.Popen[bytes],
    outputs: Path,
    idle_timeout: float,
    stop: threading.Event,
    on_output: Callable[[set[str]], None],
) -> bool:
    """Wait for the process to end; False if it wrote nothing for `idle_timeout` seconds."""
    known_sizes: dict[str, int] = {}
    last_output = last_poll = time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            return True
        if stop.is_set():
            raise Stopped
        now = time.monotonic()
        if now - last_poll < _POLL_SECONDS:
            continue
        last_poll = now
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(outputs)}
        if sizes != known_sizes:
            known_sizes, last_output = sizes, now
            on_output(set(sizes))
        elif now - last_output > idle_timeout:
            return False
