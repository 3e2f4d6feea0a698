"""OpenFace's containers in a real podman, with an image of the stand-in.

The tests use a storage of their own. They are skipped without podman; `.ci/run` prints that.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from openface_helpers import BLUE, GREEN, GREY, RED, au12_of, crops_of, wait_until, write_shards

from ganim.pipeline.action_units import NUMBERS
from ganim.pipeline.openface.annotator import OpenFace, find_openface
from ganim.tests import stand_in_image
from ganim.tests.stand_in_image import IMAGE

GANIM = Path(sys.executable).with_name("ganim")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def storage() -> Iterator[Path]:
    if os.geteuid() != 0 or shutil.which("podman") is None:
        pytest.skip("NO PODMAN TESTS: they need root and podman (apt-get install podman)")
    # Not pytest's folder, as pytest cannot delete what podman mounts.
    folder = Path(tempfile.mkdtemp(prefix="podman-", dir="/tmp"))
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/data"\nrunroot = "{folder}/run"\n'
    )
    # Virtual machines may allow less than podman's default limits, and crun needs cgroups v2.
    (folder / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n[engine]\n'
        f'cgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
        f'runtime = "{"runc" if shutil.which("runc") else "crun"}"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch, folder)
        stand_in_image.make_image("podman")
        yield folder
        podman("rm", "--all", "--force")
        podman("rmi", "--all", "--force")
    shutil.rmtree(folder, ignore_errors=True)


def set_environment(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("CONTAINERS_CONF", str(folder / "containers.conf"))
    patch.setenv("CONTAINERS_STORAGE_CONF", str(folder / "storage.conf"))


def podman(*words: str) -> str:
    done = subprocess.run(["podman", *words], capture_output=True, text=True, check=False)
    return done.stdout


@pytest.fixture
def temporary(storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of workspaces. Checks that a test leaves no container and no folder."""
    set_environment(monkeypatch, storage)
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert podman("ps", "--all", "--quiet") == ""
    assert list(folder.iterdir()) == []


def test_a_crop_that_fails_costs_no_other_crop(temporary: Path) -> None:
    openface = find_openface(runtime="podman", image=IMAGE)
    assert "ganim/openface-stand-in@sha256:" in openface.name
    grey, bad, red = openface.read(crops_of(GREY, GREEN, RED))
    assert grey.aus is not None and grey.aus[NUMBERS.index(12)] == au12_of(GREY)
    assert red.aus is not None
    assert bad.aus is None and "OpenFace fails on this crop" in str(bad.error)


def test_a_container_that_hangs_is_killed(temporary: Path) -> None:
    program = find_openface(runtime="podman", image=IMAGE).program
    grey, hung = OpenFace(program, idle_timeout=3.0).read(crops_of(GREY, BLUE))
    assert grey.aus is not None and "it wrote nothing for 3 s" in str(hung.error)


def test_the_containers_of_a_killed_command_are_removed(temporary: Path, tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "shards", {"a.jpg": BLUE, "b.jpg": GREY})
    command = [GANIM, "annotate", folder, "--runtime", "podman", "--image", IMAGE]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        # Until the grey crop is read, which the stand-in reads first, and the blue one hangs.
        wait_until(
            lambda: any(
                (folder / "in/00000.bmp").exists() and (folder / "out/00001.csv").exists()
                for folder in temporary.glob("ganim-openface-*")
            )
        )
    finally:
        process.kill()
        process.wait()
    # One that has ended is listed until podman has removed it.
    wait_until(lambda: len(podman("ps", "--quiet").split()) == 1)
    [container] = podman("ps", "--quiet").split()
    find_openface(runtime="podman", image=IMAGE)
    assert container not in podman("ps", "--all", "--quiet")
