"""A Docker daemon, and an image with the stand-in for OpenFace, for tests and benchmarks.

The image is made without a registry, from this machine's Python, Pillow and PyAV, with the
stand-in in place of OpenFace's programs. The daemon has its own folder, socket and containers, and
uses neither the network nor another daemon.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

IMAGE = "ganim/openface-stand-in:1"
PROGRAMS = "/home/openface-build/build/bin"
STAND_IN = Path(__file__).with_name("openface_stand_in.py")

# Prefixes of names that the stand-in does not need.
_LEFT_OUT = ("site-packages", "test", "idlelib", "tkinter", "ensurepip", "config-")

_IMPORTED = re.compile(r"(_imaging|_core|_ctypes|zlib|_hashlib|_posix\w+)\..*so")


def missing() -> str | None:
    """Why no daemon can be started on this machine; None if one can."""
    if os.geteuid() != 0:
        return "NO DOCKER TESTS: a daemon of their own needs root"
    absent = [name for name in ("dockerd", "docker") if shutil.which(name) is None]
    if absent:
        return f"NO DOCKER TESTS: {absent[0]} is not installed (apt-get install docker.io)"
    return None


@contextlib.contextmanager
def daemon() -> Iterator[str]:
    """Start a daemon and yield its DOCKER_HOST; at the end, stop it and delete its data."""
    # Not pytest's folder, because the path of a socket may have at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="dockerd-", dir="/tmp"))
    command = ["dockerd", "--host", f"unix://{folder}/sock", "--data-root", f"{folder}/data"]
    command += ["--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
    command += ["--bridge", "none", "--iptables=false"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(300):
            if process.poll() is not None or docker(f"unix://{folder}/sock", "info") is not None:
                break
            time.sleep(0.1)
        if docker(f"unix://{folder}/sock", "info") is None:
            raise RuntimeError(f"dockerd does not start: {(folder / 'log').read_text()[-2000:]}")
        yield f"unix://{folder}/sock"
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def docker(host: str, *arguments: str) -> str | None:
    """The output of a docker command; None if it fails."""
    environment = os.environ | {"DOCKER_HOST": host}
    command = ["docker", *arguments]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    return done.stdout.decode() if done.returncode == 0 else None


def make_image(runtime: str, host: str | None = None) -> None:
    """Import the image. As in OpenFace's image, the entry point is not FaceLandmarkImg."""
    changes = ['ENTRYPOINT ["/no/such/program"]', "ENV PYTHONPATH=/stand-in"]
    changes += ["ENV PYTHONDONTWRITEBYTECODE=1"]
    options = [part for change in changes for part in ("--change", change)]
    environment = os.environ | ({} if host is None else {"DOCKER_HOST": host})
    command = [runtime, "import", *options, "-", IMAGE]
    subprocess.run(command, input=_root_archive(), capture_output=True, env=environment, check=True)


def make_variant(host: str, image: str, environment: str) -> None:
    """Make an image with one more environment variable, such as STAND_IN_PACE=0.4,0.025."""
    container = (docker(host, "create", IMAGE) or "").strip()
    docker(host, "commit", "--change", f"ENV {environment}", container, image)
    docker(host, "rm", container)


def _root_archive() -> bytes:
    """The image's root folder as a tar archive."""
    stdlib, site = (Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib"))
    python = Path(sys.executable).resolve()
    packages = [site / name for name in ("PIL", "pillow.libs", "av", "av.libs")]
    program = f"#!{python}\n".encode() + STAND_IN.read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        binaries = [python]
        for folder, place in [
            (stdlib, stdlib),
            *((p, Path("/stand-in", p.name)) for p in packages),
        ]:
            for path in folder.rglob("*") if folder.is_dir() else ():
                inside = path.relative_to(folder)
                left_out = any(part.startswith(_LEFT_OUT) for part in inside.parts)
                if not left_out and path.is_file():
                    tar.add(path.resolve(), place / inside)
                    if _IMPORTED.match(path.name):
                        binaries.append(path)
        tar.add(python, str(python))
        for library in _libraries(binaries):
            tar.add(library.resolve(), str(library))
        for name in ("FaceLandmarkImg", "FeatureExtraction"):
            entry = tarfile.TarInfo(f"{PROGRAMS}/{name}")
            entry.size, entry.mode = len(program), 0o755
            tar.addfile(entry, io.BytesIO(program))
    return buffer.getvalue()


def _libraries(binaries: list[Path]) -> set[Path]:
    """The system's shared libraries that programs and libraries load."""
    listing = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False).stdout
    found = {Path(path) for path in re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", listing, re.M)}
    return {path for path in found if "site-packages" not in path.parts}
