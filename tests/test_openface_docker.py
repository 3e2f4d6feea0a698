"""OpenFace's containers in a real Docker daemon, with an image of the stand-in.

The tests start a daemon of their own. They are skipped if they cannot; `.ci/run` prints that.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openface_helpers import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    MAGENTA,
    RED,
    YELLOW,
    au12_of,
    crops_of,
    greys,
    rows_of,
    wait_until,
    write_clip,
    write_shards,
)

from ganim.pipeline.action_units import NUMBERS
from ganim.pipeline.annotate.annotate import annotate
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.openface.annotator import OpenFace, find_openface
from ganim.pipeline.openface.output import read_csv
from ganim.tests import stand_in_image
from ganim.tests.stand_in_image import IMAGE, docker

GANIM = Path(sys.executable).with_name("ganim")
SLOW = "ganim/openface-stand-in:slow"
"""The stand-in, slowed down to 0.1 s per picture."""


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def daemon() -> Iterator[str]:
    reason = stand_in_image.missing()
    if reason is not None:
        pytest.skip(reason)
    with stand_in_image.daemon() as host:
        stand_in_image.make_image("docker", host)
        stand_in_image.make_variant(host, SLOW, "STAND_IN_PACE=0.2,0.1")
        yield host


@pytest.fixture
def host(daemon: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """DOCKER_HOST of the daemon. Checks that a test leaves no container and no folder."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("DOCKER_HOST", daemon)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield daemon
    assert docker(daemon, "ps", "--all", "--quiet") == ""
    assert list(temporary.iterdir()) == []


def reading_container(temporary: Path, host: str) -> str:
    """Wait for a container that has read several pictures but not all, and return its name.

    It is not the self-test's, which has one picture only.
    """

    def find() -> str | None:
        for folder in temporary.glob("ganim-openface-*"):
            reading = len(list(folder.glob("in/*"))) > 1 and len(list(folder.glob("out/*.csv"))) > 1
            if reading and docker(host, "inspect", folder.name) is not None:
                return folder.name
        return None

    return str(wait_until(find))


# ---- readings


def test_bad_crops_amid_a_batch_cost_only_themselves(host: str, tmp_path: Path) -> None:
    """Also with two faces in a crop, no face, a low confidence, photographs of the same stem."""
    colours = {
        "a/face.jpg": (80, 80, 80),
        "b/face.jpg": (160, 160, 160),
        "b/face.png": (240, 240, 240),
        "unreadable.jpg": GREEN,
        "crash.jpg": MAGENTA,
        "two.jpg": RED,
        "none.jpg": BLACK,
        "low.jpg": YELLOW,
        **{f"{index}.jpg": grey for index, grey in enumerate(greys(8))},
    }
    folder = write_shards(tmp_path / "shards", colours)
    openface = find_openface(image=IMAGE)
    assert annotate(folder, openface).failed == 4
    rows = {row["source"]: row for row in rows_of(folder)}
    for source, colour in colours.items():
        if colour[0] == colour[1] == colour[2] != 0 or colour == RED:
            assert rows[source]["AU12_r"] == au12_of(colour)
    assert "exit status 1, Error: Could not open the image" in rows["unreadable.jpg"]["error"]
    assert "exit status 139" in rows["crash.jpg"]["error"]
    assert rows["none.jpg"]["error"] == "OpenFace found no face in the crop"
    assert "confidence of 0.30 is below 0.7" in rows["low.jpg"]["error"]
    image = (docker(host, "image", "inspect", "--format", "{{.Id}}", IMAGE) or "").strip()
    assert {row["annotator"] for row in rows.values()} == {f"openface {IMAGE} {image}"}


def test_a_container_that_hangs_is_killed_and_only_its_crop_is_lost(host: str) -> None:
    openface = OpenFace(find_openface(image=IMAGE).program, idle_timeout=4.0)
    readings = openface.read(crops_of(GREY, BLUE, GREY))
    assert [reading.error for reading in readings[::2]] == [None, None]
    assert "it wrote nothing for 4 s" in str(readings[1].error)


def test_a_clip_by_feature_extraction(host: str, tmp_path: Path) -> None:
    clip = tmp_path / "a clip: of mine.mp4"
    colours = [*greys(6), BLACK, BLACK]
    write_clip(clip, [np.full((128, 128, 3), colour, np.uint8) for colour in colours])
    out = tmp_path / "clip.csv"
    done = ganim(clip, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "6 of 8 frames have AUs" in done.stdout
    rows = read_csv(out)
    assert [row.frame for row in rows] == list(range(1, 9))
    assert [row.success for row in rows] == [True] * 6 + [False] * 2
    for row, grey in zip(rows, greys(6), strict=False):
        assert row.aus[NUMBERS.index(12)] == pytest.approx(grey[0] / 51, abs=0.2)


# ---- isolation


def test_two_containers_at_once_are_sandboxed(host: str, tmp_path: Path) -> None:
    openface = find_openface(image=SLOW, workers=2)
    openface.batch = 15
    folder = write_shards(
        tmp_path / "shards", {f"{index}.jpg": grey for index, grey in enumerate(greys(30))}
    )
    containers: list[dict[str, Any]] = []

    def inspect() -> None:
        def two() -> list[str] | None:
            running = (docker(host, "ps", "--quiet") or "").split()
            return running if len(running) == 2 else None

        containers.extend(json.loads(docker(host, "inspect", *wait_until(two)) or ""))

    thread = threading.Thread(target=inspect)
    thread.start()
    summary = annotate(folder, openface)
    thread.join()
    assert (summary.annotated, len(containers)) == (30, 2)
    for container in containers:
        config = container["HostConfig"]
        assert config["NetworkMode"] == "none" and config["ReadonlyRootfs"]
        assert config["CapDrop"] == ["ALL"] and config["SecurityOpt"] == ["no-new-privileges"]
        assert config["Memory"] == config["MemorySwap"] == 4 << 30 and config["PidsLimit"] == 256
        writable = {mount["Destination"]: mount["RW"] for mount in container["Mounts"]}
        assert writable == {"/input": False, "/output": True}
    assert 1.4 < openface.seconds_reading < 4  # thirty pictures of 0.1 s, without the start-up


# ---- kills


def ganim(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [GANIM, "annotate", *words, "--annotator", "openface", "--image", IMAGE]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def started(folder: Path) -> subprocess.Popen[str]:
    command = [GANIM, "annotate", folder, "--image", SLOW, "--runtime", "docker", "--workers", "1"]
    return subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_batch_whose_container_was_killed_is_read_again(host: str, tmp_path: Path) -> None:
    openface = find_openface(image=SLOW)
    colours = greys(20)

    def kill() -> None:
        docker(host, "kill", "--signal", "KILL", reading_container(tmp_path / "tmp", host))

    thread = threading.Thread(target=kill)
    thread.start()
    readings = openface.read(crops_of(*colours))
    thread.join()
    assert [reading.error for reading in readings] == [None] * 20
    assert [r.aus[NUMBERS.index(12)] for r in readings if r.aus is not None] == [
        au12_of(colour) for colour in colours
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_command_continues_and_leaves_no_container(
    host: str, tmp_path: Path, number: signal.Signals
) -> None:
    colours = {f"{index}.jpg": grey for index, grey in enumerate(greys(24))}
    folder = write_shards(tmp_path / "shards", colours)
    process = started(folder)
    name = reading_container(tmp_path / "tmp", host)
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=30)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        assert docker(host, "inspect", name) is not None, "the kill must leave a container"
    else:
        assert process.returncode == 130
        assert "The same command goes on" in said
        assert docker(host, "ps", "--all", "--quiet") == ""
        assert list((tmp_path / "tmp").iterdir()) == []
    done = ganim(folder)
    assert done.returncode == 0, done.stderr
    assert "24 faces have AUs" in done.stdout and "OpenFace read no crop" in done.stdout
    read = {row["source"]: row["AU12_r"] for row in rows_of(folder)}
    assert read == {source: au12_of(colour) for source, colour in colours.items()}


def test_the_containers_of_a_running_command_are_not_removed(host: str, tmp_path: Path) -> None:
    process = started(write_shards(tmp_path / "shards", {f"{i}.jpg": GREY for i in range(20)}))
    reading_container(tmp_path / "tmp", host)
    find_openface(image=IMAGE)  # removes abandoned containers
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "20 faces have AUs" in said


# ---- errors


def test_without_the_image(host: str) -> None:
    with pytest.raises(
        WrongUse, match=r"^The image no/such:1 is not on this machine\..* docker pull no/such:1"
    ):
        find_openface(image="no/such:1")


def test_an_image_that_cannot_be_pulled(host: str, tmp_path: Path) -> None:
    write_shards(tmp_path / "shards", {"a.jpg": GREY})
    command = [GANIM, "annotate", tmp_path / "shards", "--image", "localhost:1/no/such:1", "--pull"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "docker could not fetch localhost:1/no/such:1" in done.stderr


def test_a_program_that_is_not_in_the_image(host: str) -> None:
    openface = find_openface(image=IMAGE, image_program="/usr/bin/FaceLandmarkImg")
    with pytest.raises(WrongUse, match=r"fails to start: .*no such file"):
        openface.read(crops_of(GREY))


def test_without_a_daemon(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody")
    with pytest.raises(WrongUse, match=r"^docker does not answer: .* Start it") as raised:
        find_openface(image=IMAGE)
    assert "\n" not in str(raised.value)


def test_if_the_daemon_ends_the_faces_read_before_are_kept(
    daemon: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test, as it ends the daemon."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("DOCKER_HOST", daemon)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder = write_shards(tmp_path / "shards", {f"{index}.jpg": GREY for index in range(60)})
    openface = find_openface(image=SLOW)
    openface.batch = 20

    def end() -> None:
        wait_until(lambda: openface.seconds_reading > 1)  # the first batch is read
        reading_container(temporary, daemon)
        os.kill(int(Path(daemon.removeprefix("unix://")).with_name("pid").read_text()), 15)

    thread = threading.Thread(target=end)
    thread.start()
    # While the daemon shuts down, it still answers, and refuses to start a container.
    ended = r"^docker does not answer: |fails to start: .*daemon"
    with pytest.raises(WrongUse, match=ended) as raised:
        annotate(folder, openface)
    thread.join()
    assert "\n" not in str(raised.value)
    read = [row["AU12_r"] for row in rows_of(folder) if row["annotator"]]
    assert read == [au12_of(GREY)] * 20
    assert list(temporary.iterdir()) == []
