"""OpenFace's containers: find its image in docker or podman, run it sandboxed, remove it.

A container sees users' photographs, so it gets no network, no capabilities, a read-only root and
input, and limits on memory and processes. It has the name of its workspace, so that a later process
finds and removes it if this one is killed.
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
"""Exit statuses of docker, podman and the shell for a container or program that did not start."""

_WORKSPACE_LABEL, _HOST_LABEL = "ganim.workspace", "ganim.host"
_MEMORY_LIMIT = "4g"


@dataclass(frozen=True)
class ContainerImage:
    """An image on this machine, and how its runtime runs it. `find_image` makes one."""

    runtime: str
    """docker or podman."""
    id: str
    label: str
    """The image's name and digest, for the rows of the shards and for messages."""
    user: tuple[str, ...] = ()
    """Options with which this user owns the files that the container writes."""
    mount: str = ""
    """Mount options beyond `ro` and `rw`."""

    def command(self, program: str, arguments: list[str], folder: Path) -> list[str]:
        """The command line that runs a program with a workspace's `in` as /input, `out` as
        /output."""
        host = socket.gethostname()
        return [
            *(self.runtime, "run", "--rm", "--name", folder.name, *self.user),
            *("--label", f"{_WORKSPACE_LABEL}={folder}", "--label", f"{_HOST_LABEL}={host}"),
            *("--network", "none", "--read-only", "--tmpfs", "/tmp"),
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            # OpenFace runs as process 1 of the container, which ignores SIGTERM.
            *("--stop-timeout", "1"),
            *("--pids-limit", "256", "--memory", _MEMORY_LIMIT, "--memory-swap", _MEMORY_LIMIT),
            # Several containers share the cores, so threads within each would only contend.
            *("--env", "OMP_NUM_THREADS=1", "--env", "OPENBLAS_NUM_THREADS=1"),
            *("-v", f"{folder}/in:/input:ro{self.mount}"),
            *("-v", f"{folder}/out:/output:rw{self.mount}"),
            *("--entrypoint", program, self.id, *arguments),
        ]

    def remove(self, name: str) -> None:
        """Kill and remove a container, if it exists."""
        _query([self.runtime, "rm", "--force", name])

    def remove_abandoned(self) -> None:
        """Remove the containers of this machine whose ganim process was killed."""
        on_this_host = f"label={_HOST_LABEL}={socket.gethostname()}"
        listing = [self.runtime, "ps", "--all", "--quiet", "--no-trunc", "--filter", on_this_host]
        # docker and podman print labels differently in `ps`, but alike in `inspect`.
        template = f'{{{{index .Config.Labels "{_WORKSPACE_LABEL}"}}}}'
        listed, containers = _query(listing)
        for container in containers.split() if listed else []:
            exists, folder = _query([self.runtime, "inspect", "--format", template, container])
            if exists and folder.strip() and workspace.is_abandoned(Path(folder.rstrip("\n"))):
                self.remove(container)


def find_image(runtime: str | None, image: str, pull: bool = False) -> ContainerImage:
    """Find an image in `runtime`, or in the first of docker and podman that has it.

    The image is downloaded only if `pull` is set. Raises WrongUse, with the reason and what to do,
    if there is no runtime that works or no image.
    """
    runtimes = [runtime] if runtime else [name for name in RUNTIMES if shutil.which(name)]
    if not runtimes:
        raise WrongUse(
            "OpenFace needs docker or podman, and neither is on the PATH. Install one of them, or "
            "name a local FaceLandmarkImg."
        )
    errors: list[WrongUse] = []
    for name in runtimes:
        try:
            return _find_in(name, image)
        except _ImageMissing as error:
            if pull:
                _pull(name, image)
                return _find_in(name, image)
            errors.append(error)
        except WrongUse as error:
            errors.append(error)
    raise errors[0]


class _ImageMissing(WrongUse):
    """The runtime works, but does not have the image."""


def _find_in(runtime: str, image: str) -> ContainerImage:
    if shutil.which(runtime) is None:
        raise WrongUse(f"{runtime} is not on the PATH. Install it, or name another runtime.")
    info = runtime_info(runtime)
    present, inspection = _query([runtime, "image", "inspect", image])
    if not present:
        raise _ImageMissing(
            f"The image {image} is not on this machine. Fetch it first, or add --pull: "
            f"{runtime} pull {image}"
        )
    [description] = json.loads(inspection)
    digests = description.get("RepoDigests") or []
    own = [digest for digest in digests if digest.startswith(re.split("[:@]", image)[0] + "@")]
    # An image that was built on this machine has no registry digest, but an id of its content.
    label = [*own, *sorted(digests), f"{image} {description['Id']}"][0]

    # Rootless docker and podman map user ids: an id inside the container is another one outside.
    rootless = re.search(r"^\s*rootless(: true)?\s*$", info, re.MULTILINE) is not None
    is_podman = "podman" in Path(runtime).name or "rootless: " in info  # `docker` may be podman
    user: tuple[str, ...] = ("--user", f"{os.getuid()}:{os.getgid()}")
    if rootless:
        user = ("--userns", "keep-id", *user) if is_podman else ("--user", "0:0")
    # SELinux lets podman's containers see a folder only once it is relabelled (`Z`).
    return ContainerImage(runtime, description["Id"], label, user, ",Z" if is_podman else "")


def runtime_info(runtime: str) -> str:
    """What the runtime prints about itself. Raises WrongUse if its daemon does not answer."""
    works, info = _query([runtime, "info"])
    if not works:
        raise WrongUse(
            f"{runtime} does not answer: {error_line(info)} Start it and check that you may use "
            "it, or name a local FaceLandmarkImg."
        )
    return info


def _pull(runtime: str, image: str) -> None:
    """Download an image; the runtime prints its progress to standard error."""
    status = subprocess.call(
        [runtime, "pull", image], stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno()
    )
    if status != 0:
        raise WrongUse(
            f"{runtime} could not fetch {image}, for the reason printed above. Check the name and "
            f"the network, or load a saved image: {runtime} load -i FILE"
        )


def error_line(output: str) -> str:
    """The last line of a program's output that mentions an error, or else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [
        line for line in lines if re.search("error|could not|cannot|can't|denied", line, re.I)
    ]
    return (errors or lines or ["it printed nothing"])[-1]


def _query(command: list[str]) -> tuple[bool, str]:
    """Run a short command: whether it succeeded, and its standard output, or error if it failed."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return done.returncode == 0, done.stdout if done.returncode == 0 else done.stderr
