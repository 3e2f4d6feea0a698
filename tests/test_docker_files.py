"""docker/: the compose file and the Dockerfile agree with ganim and OpenFace."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from ganim.cli import main
from ganim.pipeline.openface.batch import ARGUMENTS
from ganim.pipeline.openface.process import IMAGE, IMAGE_PROGRAM

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker" / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()


def test_the_services_are_the_four_steps_and_openface() -> None:
    assert list(SERVICES) == ["prepare", "openface", "annotate", "train", "animate"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_sandboxed(name: str) -> None:
    service = SERVICES[name]
    assert service["network_mode"] == "none" and service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" in service and "pids_limit" in service and service["tmpfs"] == ["/tmp"]
    assert "docker.sock" not in json.dumps(service)


@pytest.mark.parametrize("name", ["prepare", "annotate", "train", "animate"])
def test_ganim_accepts_the_command_of_a_service(name: str) -> None:
    service = SERVICES[name]
    words = [*service.get("entrypoint", [])[1:], *service["command"], "--help"]
    result = CliRunner().invoke(main, words)  # --help comes last, so click first checks the options
    assert result.exit_code == 0 and words[0] == name, result.output


def test_openface_is_run_as_by_ganim_annotate() -> None:
    service = SERVICES["openface"]
    assert service["image"] == f"${{OPENFACE_IMAGE:-{IMAGE}}}"
    assert service["entrypoint"] == [IMAGE_PROGRAM]
    assert service["command"] == [word.format(**FOLDERS) for word in ARGUMENTS]
    assert [mount.split(":")[1:] for mount in service["volumes"]] == [["/input", "ro"], ["/output"]]


FOLDERS = {"in": "/input", "out": "/output"}


def test_the_dockerfile_copies_the_whole_package() -> None:
    copied = [
        word for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.M) for word in line.split()
    ]
    assert all((ROOT / name).exists() for name in copied)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not set(copied) & set(ignored)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]
    rooms = {name.split(".")[1] for name in packages if "." in name}
    code = {"__init__.py", "cli.py"} | rooms
    assert set(copied) == code | {"pyproject.toml", "README.md"}
    assert 'ENTRYPOINT ["ganim"]' in DOCKERFILE


def test_the_image_holds_compiled_code() -> None:
    compiled = DOCKERFILE.index("ENV UV_COMPILE_BYTECODE=1")
    assert compiled < DOCKERFILE.index("RUN uv sync"), "of the dependencies"
    (own,) = re.findall(r"compileall -q (.+)$", DOCKERFILE, re.M)
    assert all(name in own.split() for name in ("commands", "model", "pipeline", "studio", "*.py"))


def test_compose_accepts_the_file() -> None:
    version = ["docker", "compose", "version"]
    if shutil.which("docker") is None or subprocess.call(version, stderr=subprocess.DEVNULL) != 0:
        pytest.skip("docker compose is not installed")
    command = ["docker", "compose", "-f", str(COMPOSE), "config", "--quiet"]
    assert subprocess.call(command) == 0
