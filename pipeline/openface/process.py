"""One run of a program of OpenFace, on this machine or in a container: watched, and ended."""

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
from .containers import NOT_STARTED, Image, find_image, telling_line

IMAGE = "algebr/openface:latest"
IMAGE_PROGRAM = "/home/openface-build/build/bin/FaceLandmarkImg"

_LOOK_EVERY_SECONDS = 0.5
# Killed or terminated, as a local process and as a container report it.
_SUDDEN = (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGKILL, 128 + signal.SIGTERM)


class Stopped(Exception):
    """The run was ended because the whole work is."""


@dataclass(frozen=True)
class Failure:
    """Why a run did not reach its end."""

    reason: str
    sudden: bool = False
    """It hung, or was killed from outside: the pictures may not be to blame."""


@dataclass(frozen=True)
class Program:
    """FaceLandmarkImg or FeatureExtraction. `find_program` makes one."""

    label: str
    """What it is, for the rows and for messages."""
    path: str
    """On this machine, or inside the image."""
    image: Image | None = None

    def beside(self, name: str) -> "Program":
        """Another program of the same OpenFace."""
        return replace(self, path=str(Path(self.path).with_name(name)))

    def execute(
        self,
        arguments: list[str],
        folder: Path,
        silence: float,
        stop: threading.Event,
        on_look: Callable[[set[str]], None] = lambda written: None,
    ) -> Failure | None:
        """Run over a workspace's `in` into its `out`; the failure if it did not reach its end.

        In `arguments`, {in} and {out} stand for the two folders. A run that writes nothing for
        `silence` seconds is ended. `on_look` is told twice a second which files are written.
        Raises Stopped once `stop` is set, and WrongUse where the container or the program cannot
        be started at all.
        """
        inputs, outputs = (str(folder / "in"), str(folder / "out"))
        if self.image is not None:
            inputs, outputs = "/input", "/output"
        filled = [argument.format(**{"in": inputs, "out": outputs}) for argument in arguments]
        command = [self.path, *filled]
        if self.image is not None:
            command = self.image.command(self.path, filled, folder)
        if stop.is_set():
            raise Stopped
        with tempfile.TemporaryFile() as log:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C reaches us alone, and we stop it
                )
            except OSError as error:
                raise self.broken("to start", f"{error.strerror}.") from error
            began = time.monotonic()
            try:
                workspace.note_process(folder, process.pid)
                if not _wait(process, folder / "out", silence, stop, on_look):
                    return Failure(f"it wrote nothing for {silence:g} s", sudden=True)
            finally:
                if process.poll() is None:
                    self._end(process, folder.name, began)
            log.seek(0)
            said = telling_line(log.read().decode(errors="replace"))
        if process.returncode in NOT_STARTED:
            raise self.broken("to start", said)
        if process.returncode != 0:
            reason = f"exit status {process.returncode}, {said}"
            return Failure(reason, sudden=process.returncode in _SUDDEN)
        return None if any((folder / "out").iterdir()) else Failure(f"it wrote nothing, {said}")

    def broken(self, where: str, failure: str) -> WrongUse:
        """The error for an OpenFace that does not work."""
        return WrongUse(
            f"OpenFace ({self.label}) fails {where}: {failure} Mend this installation of "
            "OpenFace, or name another image or program."
        )

    def _end(self, process: subprocess.Popen[bytes], container: str, began: float) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if self.image is not None:
            self.image.remove(container)
            if time.monotonic() - began < 5:
                # The daemon may have been about to create it when we asked.
                time.sleep(0.3)
                self.image.remove(container)


def find_program(
    runtime: str | None = None,
    image: str = IMAGE,
    program: Path | None = None,
    image_program: str = IMAGE_PROGRAM,
    pull: bool = False,
) -> Program:
    """FaceLandmarkImg, checked to be there.

    `program` is a local one. Without it, `image` runs in `runtime`, or in whichever of docker and
    podman has it; `image_program` is FaceLandmarkImg's path inside. Raises WrongUse with the
    reason and what to do, which is also how `auto` learns that there is no OpenFace here.
    """
    if program is None:
        found = find_image(runtime, image, pull)
        return Program(found.label, image_program, found)
    path = shutil.which(program.absolute() if program.exists() else program)
    if path is None:
        raise WrongUse(
            f"{program} is not a program that can be run. Name the file FaceLandmarkImg of an "
            "OpenFace 2.0 installation."
        )
    return Program(f"local:{path}", path)


def _wait(
    process: subprocess.Popen[bytes],
    outputs: Path,
    silence: float,
    stop: threading.Event,
    on_look: Callable[[set[str]], None],
) -> bool:
    """Wait for the process to end; False if it was silent for too long before."""
    before: dict[str, int] = {}
    heard = looked = time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            return True
        if stop.is_set():
            raise Stopped
        now = time.monotonic()
        if now - looked < _LOOK_EVERY_SECONDS:
            continue
        written = {entry.name: entry.stat().st_size for entry in os.scandir(outputs)}
        if written != before:
            before, heard = written, now
            on_look(set(written))
        elif now - heard > silence:
            return False
        looked = time.monotonic()
