"""Fixtures that several tests share. All photographs come from examples/, or are made from it."""

import io
import os

# The networks of the tests are tiny, so threads slow them down, and `make test` runs several
# processes. This is set before numpy and torch are imported, and is inherited by the processes that
# the tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from ganim.pipeline.openface.annotator import OpenFace

ROOT = Path(__file__).parents[1]
WILD = ROOT.parent / "shared" / "faces" / "wild"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: each process is given whole files, and one that began the
    slowest of them last would keep the others waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Let SIGINT interrupt this process and those that the tests start. A shell starts background
    jobs with the signal ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def astronaut_path() -> Path:
    return ROOT / "examples" / "astronaut.png"


@pytest.fixture(scope="session")
def astronaut(astronaut_path: Path) -> np.ndarray:
    """(512, 512, 3) uint8 RGB, with one face at about (179, 83, 267, 171)."""
    with Image.open(astronaut_path) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.fixture(scope="session")
def small_jpeg(astronaut: np.ndarray) -> bytes:
    """The astronaut at 256x256, whose face is still found, as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(astronaut).resize((256, 256)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def crop_jpeg(astronaut: np.ndarray) -> bytes:
    """The astronaut's face, 128x128, as a JPEG file."""
    from ganim.pipeline.faces.crop import encode_jpeg

    return encode_jpeg(np.ascontiguousarray(astronaut[63:191, 159:287]))


@pytest.fixture
def serial_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the tasks of `pool.run` in this process, for tests that are not about processes."""
    from ganim.pipeline.execution import pool

    def run(function: Any, tasks: Any, *where: Any) -> Iterator[tuple[Any, Any]]:
        return ((task, function(task)) for task in tasks)

    monkeypatch.setattr(pool, "run", run)


@pytest.fixture(scope="session")
def wild() -> Path:
    """A folder of photographs of all kinds, which is not part of the repository."""
    if not WILD.is_dir():
        pytest.skip(f"needs the photographs in {WILD}")
    return WILD


@pytest.fixture(scope="session")
def random_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of 24 smooth random crops with random AUs, 16 to train on."""
    from tiny import random_shards

    folder = tmp_path_factory.mktemp("random_faces")
    random_shards(folder, {"train": 16, "test": 8}, size=64)
    return folder


@pytest.fixture
def openface_program(tmp_path: Path) -> Path:
    """The stand-in for OpenFace as a program FaceLandmarkImg."""
    from openface_helpers import STAND_IN, write_program

    script = f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n'
    return write_program(tmp_path / "FaceLandmarkImg", script)


@pytest.fixture
def openface(openface_program: Path) -> "OpenFace":
    """The annotator with the stand-in for OpenFace."""
    from ganim.pipeline.openface.annotator import find_openface

    return find_openface(program=openface_program)


@pytest.fixture
def openface_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with one line per process of the stand-in: process id and number of pictures."""
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log.txt"))
    return tmp_path / "log.txt"


@pytest.fixture
def visitor(studio, browser):
    """Someone who looks at the page of a test file's `studio` in its `browser`."""
    from studio_browser import Visitor

    visitor = Visitor(browser, studio.address)
    visitor.wait_for_picture()
    yield visitor
    visitor.close()
