"""OpenFace's processes and their workspaces: start, time out, stop, and what a kill leaves."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from openface_helpers import (
    BLUE,
    GREY,
    assert_all_ended,
    assert_read,
    crops_of,
    greys,
    is_running,
    jpeg,
    logged,
    write_program,
)

from ganim.pipeline.errors import WrongUse
from ganim.pipeline.openface import concurrency, workspace
from ganim.pipeline.openface.annotator import OpenFace, find_openface


@pytest.mark.slow
def test_a_process_that_hangs_is_killed_and_only_its_crop_is_lost(
    openface: OpenFace, openface_log: Path
) -> None:
    colours = [*greys(6), BLUE, *greys(5)]
    readings = OpenFace(openface.program, idle_timeout=3.0).read(crops_of(*colours))
    for reading, colour in zip(readings, colours, strict=True):
        if colour == BLUE:
            assert "it wrote nothing for 3 s" in str(reading.error)
        else:
            assert_read(reading, colour)
    assert_all_ended(openface_log)


def test_after_ctrl_c_no_process_and_no_folder_is_left(
    openface: OpenFace, openface_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))

    def interrupt() -> None:
        while not openface_log.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        openface.read(crops_of(GREY, BLUE))
    assert_all_ended(openface_log)
    assert list(temporary.iterdir()) == []


READ_AND_KILL = """
import os, sys, threading, time
from pathlib import Path
from ganim.pipeline.annotator import Crop
from ganim.pipeline.openface.annotator import find_openface

def kill():
    while len(Path(os.environ["STAND_IN_LOG"]).read_text().splitlines()) < 2:
        time.sleep(0.02)
    os.kill(os.getpid(), 9)

openface = find_openface(program=Path(sys.argv[1]))
openface.check()
threading.Thread(target=kill).start()
openface.read([Crop("a", "a", Path(sys.argv[2]).read_bytes(), (0, 0, 1, 1))])
"""


def test_what_a_killed_process_leaves_is_removed_by_the_next(
    openface_program: Path, openface_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (tmp_path / "hangs.jpg").write_bytes(jpeg(BLUE))
    done = subprocess.run(
        [sys.executable, "-c", READ_AND_KILL, openface_program, tmp_path / "hangs.jpg"],
        env=os.environ | {"TMPDIR": str(temporary)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(list(temporary.iterdir())) == 1
    pid, _ = logged(openface_log)[-1]
    assert is_running(pid)
    find_openface(program=openface_program)
    assert list(temporary.iterdir()) == []
    assert_all_ended(openface_log)


@pytest.mark.parametrize("size", [0, 1000, 1 << 60])
def test_a_workspace_in_use_is_not_abandoned(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    with workspace.workspace(size) as folder:
        in_memory = size == 1000 and Path("/dev/shm").is_dir()
        assert (folder.parent == Path("/dev/shm")) == in_memory
        workspace.remove_abandoned()
        assert folder.is_dir() and not workspace.is_abandoned(folder)
    assert not folder.exists() and workspace.is_abandoned(folder)


def test_a_temporary_folder_without_locks_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(WrongUse, match=r"No locks available\. Set TMPDIR"), workspace.workspace():
        pass
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_an_error(openface: OpenFace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WrongUse, match=r"No space left on device\..*TMPDIR"):
        openface.read(crops_of(GREY))


def test_a_program_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"none is not an executable program\. Name the file"):
        find_openface(program=tmp_path / "none")
    (tmp_path / "text").write_text("no program")
    with pytest.raises(WrongUse, match="not an executable program"):
        find_openface(program=tmp_path / "text")
    nonsense = write_program(tmp_path / "nonsense", "neither script nor binary")
    with pytest.raises(WrongUse, match=r"fails to start: Exec format error\."):
        find_openface(program=nonsense).read(crops_of(GREY))
    absent = write_program(tmp_path / "absent", "#!/bin/sh\nexec /no/such/FaceLandmarkImg\n")
    with pytest.raises(WrongUse, match=r"fails to start: .*not found"):
        find_openface(program=absent).read(crops_of(GREY))


def test_a_program_is_found_in_the_working_folder_and_on_the_path(
    openface_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"openface local:{openface_program}"
    monkeypatch.chdir(openface_program.parent)
    assert find_openface(program=Path("FaceLandmarkImg")).name == name
    monkeypatch.chdir("/")
    monkeypatch.setenv("PATH", f"{openface_program.parent}:{os.environ['PATH']}")
    assert find_openface(program=Path("FaceLandmarkImg")).name == name


def test_a_permit_is_released_by_the_start_up_time_before_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(concurrency.time, "monotonic", lambda: clock[-1])
    semaphore = threading.BoundedSemaphore(1)

    def is_free() -> bool:
        free = semaphore.acquire(blocking=False)
        if free:
            semaphore.release()
        return free

    permit = concurrency.Permit(semaphore, pictures=100)
    for seconds, started, free in [
        (4.0, 10, False),  # it took 4 s to start
        (8.0, 50, False),  # 50 pictures are left, of 0.1 s each
        (9.0, 60, True),  # 40 are left, which will take 4 s
        (10.0, 70, True),
    ]:
        clock.append(seconds)
        permit.update(started)
        assert is_free() == free
    permit.release()
    assert is_free()
