"""Containers that see photographs: an image found in docker or podman, run shut in, removed.

A container gets no network, no capabilities, a read-only root and input, and limits on memory
and processes. It bears the name of its workspace, so that a later run finds it when ours dies.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import WrongUse
from . import workspace

RUNTIMES = ("docker", "podman")
NOT_STARTED = (125, 126, 127)
"""The exit statuses by which docker, podman and the shell say that they could not start it."""

_WORKSPACE, _HOST = "ganim.workspace", "ganim.host"
_MEMORY = "4g"


@dataclass(frozen=True)
class Image:
    """An image that is here, and how this machine's runtime runs it."""

    runtime: str
    """docker or podman."""
    id: str
    label: str
    """Name and digest, for the rows and for messages."""
    user: tuple[str, ...] = ()
    """The options by which files that the container writes are ours."""
    mount: str = ""
    """How folders are mounted, beyond ro and rw."""

    def command(self, program: str, arguments: list[str], folder: Path) -> list[str]:
        """The command line of a container over a workspace: its `in` is /input, `out` /output."""
        return [
            *(self.runtime, "run", "--rm", "--name", folder.name, *self.user),
            *("--label", f"{_WORKSPACE}={folder}", "--label", f"{_HOST}={socket.gethostname()}"),
            *("--network", "none", "--read-only", "--tmpfs", "/tmp"),
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            # OpenFace, as a container's first process, does not hear a request to end.
            *("--stop-timeout", "1"),
            *("--pids-limit", "256", "--memory", _MEMORY, "--memory-swap", _MEMORY),
            # Several containers share the cores; threads within each would only contend.
            *("--env", "OMP_NUM_THREADS=1", "--env", "OPENBLAS_NUM_THREADS=1"),
            *("-v", f"{folder}/in:/input:ro{self.mount}"),
            *("-v", f"{folder}/out:/output:rw{self.mount}"),
            *("--entrypoint", program, self.id, *arguments),
        ]

    def remove(self, name: str) -> None:
        """Stop and remove a container, if it is there."""
        _ask([self.runtime, "rm", "--force", name])

    def sweep(self) -> None:
        """Remove the containers whose ganim was killed, on this machine."""
        ours = f"label={_HOST}={socket.gethostname()}"
        listed = [self.runtime, "ps", "--all", "--quiet", "--no-trunc", "--filter", ours]
        # Of a label, docker's ps tells in a way that podman's does not know; inspect is alike.
        label = f'{{{{index .Config.Labels "{_WORKSPACE}"}}}}'
        answers, listing = _ask(listed)
        for container in listing.split() if answers else []:
            known, folder = _ask([self.runtime, "inspect", "--format", label, container])
            if known and folder.strip() and workspace.is_abandoned(Path(folder.rstrip("\n"))):
                self.remove(container)


def find_image(runtime: str | None, image: str, pull: bool = False) -> Image:
    """An image in `runtime`, or in whichever of docker and podman has it.

    Downloads it only if `pull` is set. Raises WrongUse with the reason and what to do.
    """
    runtimes = [runtime] if runtime else [name for name in RUNTIMES if shutil.which(name)]
    if not runtimes:
        raise WrongUse(
            "OpenFace needs docker or podman, and neither is on the PATH. Install one of them, or "
            "name a local FaceLandmarkImg."
        )
    reasons: list[WrongUse] = []
    for name in runtimes:
        try:
            return _find_in(name, image)
        except _Absent as reason:
            if pull:
                _pull(name, image)
                return _find_in(name, image)
            reasons.append(reason)
        except WrongUse as reason:
            reasons.append(reason)
    raise reasons[0]


class _Absent(WrongUse):
    """The runtime works, and has no such image."""


def _find_in(runtime: str, image: str) -> Image:
    if shutil.which(runtime) is None:
        raise WrongUse(f"{runtime} is not on the PATH. Install it, or name another runtime.")
    answers, info = _ask([runtime, "info"])
    if not answers:
        raise WrongUse(
            f"{runtime} does not answer: {telling_line(info)} Start it and see that you may use "
            "it, or name a local FaceLandmarkImg."
        )
    present, inspection = _ask([runtime, "image", "inspect", image])
    if not present:
        raise _Absent(
            f"The image {image} is not here. Fetch it first, or add --pull: {runtime} pull {image}"
        )
    [description] = json.loads(inspection)
    digests = description.get("RepoDigests") or []
    own = [digest for digest in digests if digest.startswith(re.split("[:@]", image)[0] + "@")]
    # An image that was built here has no digest of a registry; its own id is one of its content.
    label = [*own, *sorted(digests), f"{image} {description['Id']}"][0]

    # In rootless docker and podman, user numbers mean others inside the container than outside.
    rootless = re.search(r"^\s*rootless(: true)?\s*$", info, re.MULTILINE) is not None
    is_podman = "podman" in Path(runtime).name or "rootless: " in info  # `docker` may be podman
    user: tuple[str, ...] = ("--user", f"{os.getuid()}:{os.getgid()}")
    if rootless:
        user = ("--userns", "keep-id", *user) if is_podman else ("--user", "0:0")
    # Relabelled for SELinux, which hides other folders from podman's containers.
    return Image(runtime, description["Id"], label, user, ",Z" if is_podman else "")


def _pull(runtime: str, image: str) -> None:
    """Download an image, with the runtime's own progress on our standard error."""
    status = subprocess.call(
        [runtime, "pull", image], stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno()
    )
    if status != 0:
        raise WrongUse(
            f"{runtime} could not fetch {image}; its reason stands above. Look at the name and "
            "the network, or load a saved image: "
            f"{runtime} load -i FILE"
        )


def telling_line(text: str) -> str:
    """The last line of a program's output that tells of a failure, or the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [
        line for line in lines if re.search("error|could not|cannot|can't|denied", line, re.I)
    ]
    return (telling or lines or ["it said nothing"])[-1]


def _ask(command: list[str]) -> tuple[bool, str]:
    """Whether a quick command succeeded, and what it said."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return done.returncode == 0, done.stdout if done.returncode == 0 else done.stderr
