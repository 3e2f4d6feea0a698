"""OpenFace's containers against a real Docker daemon, with an image of the stand-in.

The daemon is started here, for these tests alone. Where that cannot be, they are skipped, and
`.ci/run` says so.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from ganim.pipeline import shards
from ganim.pipeline.action_units import NUMBERS
from ganim.pipeline.annotate.annotate import annotate
from ganim.pipeline.annotator import Crop
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.openface.annotator import OpenFace, find_openface
from ganim.pipeline.openface.output import read_csv
from ganim.tests import stand_in_image
from ganim.tests.stand_in_image import IMAGE, docker

GANIM = Path(sys.executable).with_name("ganim")
SLOW = "ganim/openface-stand-in:slow"
"""A picture takes it a tenth of a second."""

GREY, RED, GREEN, BLUE = (120, 120, 120), (255, 0, 0), (0, 255, 0), (0, 0, 255)
MAGENTA, BLACK, YELLOW = (255, 0, 255), (0, 0, 0), (255, 255, 0)


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
    """The daemon, as ganim finds it. After each test nothing of ours may be left behind."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("DOCKER_HOST", daemon)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield daemon
    assert docker(daemon, "ps", "--all", "--quiet") == ""
    assert list(temporary.iterdir()) == []


def crop_of(colour: tuple[int, int, int], name: str = "a.jpg") -> Crop:
    picture = np.full((128, 128, 3), colour[::-1], np.uint8)
    return Crop(f"{name}#0", name, cv2.imencode(".jpg", picture)[1].tobytes(), (0, 0, 98, 98))


def greys(count: int) -> list[tuple[int, int, int]]:
    return [(level, level, level) for level in np.linspace(60, 250, count).astype(int).tolist()]


def smile(grey: tuple[int, int, int]) -> Any:
    """AU12 as the stand-in reads it off a grey."""
    return pytest.approx(grey[0] / 51, abs=0.05)


def make_shards(folder: Path, faces: dict[str, tuple[int, int, int]]) -> Path:
    rows = [
        {
            "key": f"{source}#0",
            "source": source,
            "image": {"bytes": crop_of(colour).image, "path": None},
            "box": [10, 10, 108, 108],
            "crop": [0, 0, 128, 128],
            "status": shards.OK,
        }
        for source, colour in faces.items()
    ]
    folder.mkdir(exist_ok=True)
    shards.write_shard(folder / "train-00000.parquet", shards.rows_to_table(rows))
    return folder


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    rows = shards.read_shard(folder / "train-00000.parquet").to_pylist()
    return {row["source"]: row for row in rows}


def until(condition: Callable[[], Any]) -> Any:
    """What the condition gives once it holds."""
    for _ in range(600):
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("waited for 30 s in vain")


def container_at_work(temporary: Path, host: str) -> str:
    """The container that has begun its pictures; the probe's has one only, which it ends with."""

    def found() -> str | None:
        for folder in temporary.glob("ganim-openface-*"):
            begun = len(list(folder.glob("in/*"))) > 1 and len(list(folder.glob("out/*.csv"))) > 1
            # It may have ended since: then it is another's turn.
            if begun and docker(host, "inspect", folder.name) is not None:
                return folder.name
        return None

    return str(until(found))


# ---- readings


def test_bad_crops_amid_a_batch_cost_only_themselves(host: str, tmp_path: Path) -> None:
    """Also: two faces in a crop, no face, an unsure one, and photographs of the same stem."""
    colours = {
        "a/face.jpg": (80, 80, 80),
        "b/face.jpg": (160, 160, 160),
        "b/face.png": (240, 240, 240),
        "unreadable.jpg": GREEN,
        "crash.jpg": MAGENTA,
        "two.jpg": RED,
        "none.jpg": BLACK,
        "unsure.jpg": YELLOW,
        **{f"{index}.jpg": grey for index, grey in enumerate(greys(8))},
    }
    folder = make_shards(tmp_path / "shards", colours)
    openface = find_openface(image=IMAGE)
    assert annotate(folder, openface).failed == 4
    rows = rows_of(folder)
    for source, colour in colours.items():
        if colour[0] == colour[1] == colour[2] != 0 or colour == RED:
            assert rows[source]["AU12_r"] == smile(colour)
    assert "exit status 1, Error: Could not open the image" in rows["unreadable.jpg"]["error"]
    assert "exit status 139" in rows["crash.jpg"]["error"]
    assert rows["none.jpg"]["error"] == "OpenFace found no face in the crop"
    assert "confidence of 0.30 is below 0.7" in rows["unsure.jpg"]["error"]
    image = (docker(host, "image", "inspect", "--format", "{{.Id}}", IMAGE) or "").strip()
    assert {row["annotator"] for row in rows.values()} == {f"openface {IMAGE} {image}"}


def test_a_hang_is_ended_tried_once_more_and_cornered(host: str) -> None:
    openface = OpenFace(find_openface(image=IMAGE).program, silence=4.0)
    readings = openface.read([crop_of(GREY), crop_of(BLUE), crop_of(GREY)])
    assert [reading.error for reading in readings[::2]] == [None, None]
    assert "it wrote nothing for 4 s" in str(readings[1].error)


def test_a_clip_by_feature_extraction(host: str, tmp_path: Path) -> None:
    clip = tmp_path / "a clip: of mine.mp4"
    write_clip(clip, [*greys(6), BLACK, BLACK])
    out = tmp_path / "clip.csv"
    done = ganim(clip, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "6 of 8 frames have AUs" in done.stdout
    rows = read_csv(out)
    assert [row.frame for row in rows] == list(range(1, 9))
    assert [row.success for row in rows] == [True] * 6 + [False] * 2
    for row, grey in zip(rows, greys(6), strict=False):
        assert row.aus[NUMBERS.index(12)] == pytest.approx(grey[0] / 51, abs=0.2)


# ---- what a container may do


def test_containers_are_shut_in_and_several_at_once(host: str, tmp_path: Path) -> None:
    openface = find_openface(image=SLOW, workers=2)
    openface.batch = 15
    folder = make_shards(
        tmp_path / "shards", {f"{index}.jpg": grey for index, grey in enumerate(greys(30))}
    )
    seen: list[dict[str, Any]] = []

    def look() -> None:
        def two() -> list[str] | None:
            running = (docker(host, "ps", "--quiet") or "").split()
            return running if len(running) == 2 else None

        seen.extend(json.loads(docker(host, "inspect", *until(two)) or ""))

    looking = threading.Thread(target=look)
    looking.start()
    summary = annotate(folder, openface)
    looking.join()
    assert (summary.annotated, len(seen)) == (30, 2)
    for container in seen:
        rules = container["HostConfig"]
        assert rules["NetworkMode"] == "none" and rules["ReadonlyRootfs"]
        assert rules["CapDrop"] == ["ALL"] and rules["SecurityOpt"] == ["no-new-privileges"]
        assert rules["Memory"] == rules["MemorySwap"] == 4 << 30 and rules["PidsLimit"] == 256
        writable = {mount["Destination"]: mount["RW"] for mount in container["Mounts"]}
        assert writable == {"/input": False, "/output": True}
    assert 1.4 < openface.seconds_reading < 4  # thirty pictures of 0.1 s, and no starts


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


def test_theirs_killed_is_tried_again(host: str, tmp_path: Path) -> None:
    openface = find_openface(image=SLOW)
    grey = greys(20)

    def kill() -> None:
        docker(host, "kill", "--signal", "KILL", container_at_work(tmp_path / "tmp", host))

    killing = threading.Thread(target=kill)
    killing.start()
    readings = openface.read([crop_of(colour) for colour in grey])
    killing.join()
    assert [reading.error for reading in readings] == [None] * 20
    assert [r.aus[NUMBERS.index(12)] for r in readings if r.aus is not None] == [
        smile(colour) for colour in grey
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ours_stopped_goes_on_and_leaves_nothing(
    host: str, tmp_path: Path, number: signal.Signals
) -> None:
    colours = {f"{index}.jpg": grey for index, grey in enumerate(greys(24))}
    folder = make_shards(tmp_path / "shards", colours)
    process = started(folder)
    name = container_at_work(tmp_path / "tmp", host)
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=30)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        assert docker(host, "inspect", name) is not None, "this test shows nothing"
    else:
        assert process.returncode == 130
        assert "The same command goes on" in said
        assert docker(host, "ps", "--all", "--quiet") == ""
        assert list((tmp_path / "tmp").iterdir()) == []
    done = ganim(folder)
    assert done.returncode == 0, done.stderr
    assert "24 faces have AUs" in done.stdout and "OpenFace read no crop" in done.stdout
    assert [row["AU12_r"] for row in rows_of(folder).values()] == [
        smile(colour) for colour in colours.values()
    ]


def test_another_run_at_work_is_left_alone(host: str, tmp_path: Path) -> None:
    process = started(make_shards(tmp_path / "shards", {f"{i}.jpg": GREY for i in range(20)}))
    container_at_work(tmp_path / "tmp", host)
    find_openface(image=IMAGE)  # sweeps
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "20 faces have AUs" in said


# ---- what is not there


def test_an_image_that_is_absent(host: str) -> None:
    with pytest.raises(
        WrongUse, match=r"^The image no/such:1 is not here\..* docker pull no/such:1"
    ):
        find_openface(image="no/such:1")


def test_an_image_that_cannot_be_pulled(host: str, tmp_path: Path) -> None:
    make_shards(tmp_path / "shards", {"a.jpg": GREY})
    command = [GANIM, "annotate", tmp_path / "shards", "--image", "localhost:1/no/such:1", "--pull"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "docker could not fetch localhost:1/no/such:1" in done.stderr


def test_a_program_that_is_not_in_the_image(host: str) -> None:
    openface = find_openface(image=IMAGE, image_program="/usr/bin/FaceLandmarkImg")
    with pytest.raises(WrongUse, match=r"fails to start: .*no such file"):
        openface.read([crop_of(GREY)])


def test_a_daemon_that_is_down(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody")
    with pytest.raises(WrongUse, match=r"^docker does not answer: .* Start it") as raised:
        find_openface(image=IMAGE)
    assert "\n" not in str(raised.value)


def test_a_daemon_that_goes_down_meanwhile(
    daemon: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test, as it ends the daemon. What was answered before is kept."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("DOCKER_HOST", daemon)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder = make_shards(tmp_path / "shards", {f"{index}.jpg": GREY for index in range(60)})
    openface = find_openface(image=SLOW)
    openface.batch = 20

    def end() -> None:
        until(lambda: openface.seconds_reading > 1)  # the first batch is read
        container_at_work(temporary, daemon)
        os.kill(int(Path(daemon.removeprefix("unix://")).with_name("pid").read_text()), 15)

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(WrongUse, match=r"fails to start: .*(docker|daemon)") as raised:
        annotate(folder, openface)
    ending.join()
    assert "\n" not in str(raised.value)
    answered = [row["AU12_r"] for row in rows_of(folder).values() if row["annotator"]]
    assert answered == [smile(GREY)] * 20
    assert list(temporary.iterdir()) == []


def write_clip(path: Path, colours: list[tuple[int, int, int]]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 128
        for colour in colours:
            picture = np.full((128, 128, 3), colour, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
