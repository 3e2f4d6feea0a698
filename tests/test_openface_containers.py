"""OpenFace's containers, with a stand-in for docker's command line; the real OpenFace, if any."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from openface_helpers import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    RED,
    SAMPLES,
    SHARED,
    assert_all_ended,
    crops_of,
    write_program,
)

from ganim.pipeline.annotator import Crop
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.faces import detect
from ganim.pipeline.faces.crop import crop_box, cut_crop, encode_jpeg
from ganim.pipeline.images import decode
from ganim.pipeline.openface.annotator import OpenFace, find_openface
from ganim.pipeline.openface.output import read_csv

DIGEST = "algebr/openface@sha256:" + "ab" * 32
IMAGE_ID = "sha256:" + "cd" * 32

# It runs the "container" as a process on this machine.
DOCKER_STAND_IN = """
#!{python}
import contextlib, json, os, signal, subprocess, sys
from pathlib import Path

folder = Path(__file__).parent
args = sys.argv[1:]
with (folder / "calls.jsonl").open("a") as file:
    file.write(json.dumps(args) + "\\n")
if args == ["info"]:
    print((folder / "info.txt").read_text())
elif args[:2] == ["image", "inspect"]:
    if args[2] != "algebr/openface:latest":
        sys.exit(print("[]") or f"Error response from daemon: No such image: {{args[2]}}")
    print((folder / "inspect.json").read_text())
elif args[0] == "ps":
    pass
elif args[:2] == ["rm", "--force"]:
    with contextlib.suppress(OSError):
        os.kill(int((folder / args[2]).read_text()), signal.SIGKILL)
elif args[0] == "run":
    takes_value = ["--name", "--network", "--tmpfs", "--cap-drop", "--security-opt", "--userns"]
    takes_value += ["--pids-limit", "--memory", "--memory-swap", "--user", "-v", "--entrypoint"]
    takes_value += ["--label", "--env", "--stop-timeout"]
    options, mounts, args = {{}}, {{}}, args[1:]
    while args[0].startswith("-"):
        name, args = args[0], args[1:]
        if name in takes_value:
            if name == "-v":
                outside, inside, mode = args[0].split(":")
                mounts[inside] = outside
            options[name], args = args[0], args[1:]
    assert args[0] == "{image_id}", args
    if options["--entrypoint"] != "{entrypoint}":
        print("docker: Error response from daemon: no such file or directory\\n")
        print("Run 'docker run --help' for more information")
        sys.exit(127)
    command = ["{program}", *(mounts.get(argument, argument) for argument in args[1:])]
    process = subprocess.Popen(command, start_new_session=True)
    (folder / options["--name"]).write_text(str(process.pid))
    sys.exit(process.wait() % 256)
"""


@pytest.fixture
def docker(openface_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH, with a stand-in for docker."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "info.txt").write_text("Server:\n Security Options:\n  seccomp\n")
    inspection = [{"Id": IMAGE_ID, "RepoDigests": [f"a.mirror/{DIGEST}", DIGEST]}]
    (folder / "inspect.json").write_text(json.dumps(inspection))
    write_program(
        folder / "docker",
        DOCKER_STAND_IN.format(
            python=sys.executable,
            program=openface_program,
            image_id=IMAGE_ID,
            entrypoint="/home/openface-build/build/bin/FaceLandmarkImg",
        ),
    )
    monkeypatch.setenv("PATH", str(folder))
    return folder


def calls(docker: Path, subcommand: str) -> list[list[str]]:
    """The command lines with which docker was called, of one subcommand."""
    lines = (docker / "calls.jsonl").read_text().splitlines()
    return [call for call in map(json.loads, lines) if call[0] == subcommand]


def test_a_container_is_sandboxed(docker: Path) -> None:
    openface = find_openface()
    assert openface.name == f"openface {DIGEST}"
    readings = openface.read(crops_of(GREY, GREEN, BLACK, RED))
    assert [reading.aus is not None for reading in readings] == [True, False, False, True]
    commands = calls(docker, "run")
    assert len(commands) > 1
    for command in commands:
        for option in (
            "--rm --name ganim-openface-",
            "--network none",
            "--read-only",
            "--cap-drop ALL",
            "--security-opt no-new-privileges",
            "--pids-limit 256",
            "--memory 4g --memory-swap 4g",
            "--label ganim.workspace=/",
            "--tmpfs /tmp",
            f"--user {os.getuid()}:{os.getgid()}",
            "/in:/input:ro",
            "/out:/output:rw",
            "-fdir /input -aus -2Dfp -out_dir /output",
        ):
            assert option in " ".join(command)
    names = {command[command.index("--name") + 1] for command in commands}
    assert len(names) == len(commands)


@pytest.mark.slow
def test_a_container_that_hangs_is_removed(docker: Path, openface_log: Path) -> None:
    openface = OpenFace(find_openface().program, idle_timeout=1.0)
    [reading] = openface.read(crops_of(BLUE))
    assert "it wrote nothing for 1 s" in str(reading.error)
    removed = {call[-1] for call in calls(docker, "rm")}
    assert len(removed) == 2  # the crop was tried twice
    assert_all_ended(openface_log)


def test_an_image_without_a_digest_is_named_by_its_id(docker: Path) -> None:
    (docker / "inspect.json").write_text(json.dumps([{"Id": IMAGE_ID, "RepoDigests": []}]))
    assert find_openface().name == f"openface algebr/openface:latest {IMAGE_ID}"


@pytest.mark.parametrize(
    ("name", "info", "expected"),
    [
        ("docker", " Security Options:\n  seccomp\n  rootless\n", ("--user", "0:0")),
        ("podman", "host:\n  security:\n    rootless: true\n", ("--userns", "keep-id", "--user")),
        ("podman", "host:\n  security:\n    rootless: false\n", ("--user",)),
    ],
)
def test_this_user_owns_the_files_of_rootless_containers(
    docker: Path, name: str, info: str, expected: tuple[str, ...]
) -> None:
    if name != "docker":
        (docker / "docker").rename(docker / name)
    (docker / "info.txt").write_text(info)
    image = find_openface().program.image
    assert image is not None
    assert image.user[: len(expected)] == expected
    assert image.mount == (",Z" if name == "podman" else "")


def test_without_a_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WrongUse, match="needs docker or podman, and neither is on the PATH"):
        find_openface()
    with pytest.raises(WrongUse, match="podman is not on the PATH"):
        find_openface(runtime="podman")


def test_without_a_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_program(
        tmp_path / "docker",
        """
        #!/bin/sh
        echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. \\
        Is the docker daemon running?' >&2
        exit 1
        """,
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(WrongUse, match=r"docker does not answer: Cannot connect .* Start it"):
        find_openface(runtime="docker")


def test_without_the_image(docker: Path) -> None:
    with pytest.raises(WrongUse, match=r"or add --pull: docker pull someone/openface:1$"):
        find_openface(image="someone/openface:1")


def test_the_runtime_that_has_the_image_is_used(docker: Path) -> None:
    (docker / "docker").rename(docker / "podman")
    write_program(docker / "docker", "#!/bin/sh\nexit 1\n")
    image = find_openface().program.image
    assert image is not None and image.runtime == "podman"


def test_a_program_that_is_not_in_the_image(docker: Path) -> None:
    openface = find_openface(image_program="/usr/local/bin/FaceLandmarkImg")
    with pytest.raises(WrongUse, match="fails to start: docker: Error response from daemon"):
        openface.read(crops_of(GREY))


def test_the_real_openface_reads_as_recorded() -> None:
    try:
        openface = find_openface()
    except WrongUse as reason:
        pytest.skip(str(reason))
    photograph = SHARED / "faces" / "wild" / "portrait_obama.jpg"
    if not photograph.exists():
        pytest.skip("../shared/faces does not exist")
    image = decode.read_image(photograph)
    box = detect.detect_faces(image)[0].box
    crop = encode_jpeg(cut_crop(image, crop_box(box)))
    [reading] = openface.read([Crop("a", "a", crop, (0, 0, 1, 1))])
    [recorded] = read_csv(SAMPLES / "landmarks" / "portrait_obama.csv")
    assert reading.aus is not None
    assert np.abs(reading.aus - recorded.aus).mean() < 0.4


def test_an_image_that_the_real_docker_does_not_have() -> None:
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    with pytest.raises(WrongUse) as raised:
        find_openface(runtime="docker", image="ganim.invalid/no-such-image")
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith((".", "no-such-image"))
