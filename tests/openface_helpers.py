"""What the tests of OpenFace and of annotation share: crops and shards of plain colours, clips.

The stand-in for OpenFace (openface_stand_in.py) decides by the colour of a crop what it reads.
"""

import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from ganim.pipeline import shards
from ganim.pipeline.action_units import NUMBERS
from ganim.pipeline.annotator import Crop, Reading

SHARED = Path(__file__).parents[2] / "shared"
SAMPLES = SHARED / "openface" / "samples"
STAND_IN = Path(__file__).with_name("openface_stand_in.py")
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="../shared/openface/samples does not exist"
)

Colour = tuple[int, int, int]
GREY = (120, 120, 120)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
YELLOW, MAGENTA, CYAN, BLACK = (255, 255, 0), (255, 0, 255), (0, 255, 255), (0, 0, 0)


def greys(count: int) -> list[Colour]:
    """Different grey levels, each light enough for the stand-in to find a face."""
    return [(level, level, level) for level in np.linspace(60, 250, count).astype(int).tolist()]


def jpeg(colour: Colour) -> bytes:
    """A crop of 128x128 pixels in one colour."""
    picture = np.full((128, 128, 3), colour[::-1], np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def crops_of(*colours: Colour) -> list[Crop]:
    """A crop of each colour, of the sources `0.jpg`, `1.jpg`, …"""
    return [
        Crop(f"{index}.jpg#0", f"{index}.jpg", jpeg(colour), (0, 0, 98, 98))
        for index, colour in enumerate(colours)
    ]


def au12_of(colour: Colour) -> Any:
    """The AU12 (0-5) that the stand-in reads from a crop."""
    return pytest.approx(colour[0] / 51, abs=0.05)


def assert_read(reading: Reading, colour: Colour) -> None:
    """Check that a reading is the stand-in's for a face of that colour."""
    assert reading.error is None and reading.aus is not None
    expected = 0.01 * np.arange(17)
    expected[NUMBERS.index(12)] = colour[0] / 51
    np.testing.assert_allclose(reading.aus, expected, atol=0.04)
    assert reading.confidence == pytest.approx(0.983)


def face_row(source: str, image: bytes, box: list[int] | None = None) -> dict[str, Any]:
    """A row of a shard with the face of a photograph."""
    return {
        "key": f"{source}#0",
        "source": source,
        "image": {"bytes": image, "path": None},
        "box": box or [10, 10, 108, 108],
        "crop": [0, 0, 128, 128],
        "status": shards.OK,
    }


def write_shards(folder: Path, colours: Mapping[str, Colour]) -> Path:
    """Write a folder of one shard with a crop per source."""
    folder.mkdir(exist_ok=True)
    rows = [face_row(source, jpeg(colour)) for source, colour in colours.items()]
    shards.write_shard(folder / "train-00000.parquet", shards.rows_to_table(rows))
    return folder


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """All rows of a folder of shards, in order."""
    return [
        row for path in shards.shard_paths(folder) for row in shards.read_shard(path).to_pylist()
    ]


def write_clip(path: Path, frames: list[np.ndarray]) -> None:
    """Write an MPEG-4 clip of 25 frames per second."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.bit_rate = 4_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_program(path: Path, text: str) -> Path:
    """Write an executable script."""
    path.write_text(textwrap.dedent(text).lstrip())
    path.chmod(0o755)
    return path


def logged(log: Path) -> list[tuple[int, int]]:
    """The process id and the number of pictures of each process of the stand-in."""
    lines = [line.split() for line in log.read_text().splitlines()]
    return [(int(pid), int(pictures)) for pid, pictures in lines]


def assert_all_ended(log: Path) -> None:
    """Check that at least one process of the stand-in was started, and that none is running."""
    pids = [pid for pid, _ in logged(log)]
    assert pids
    for pid in pids:
        wait_until(lambda pid=pid: not is_running(pid))


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie, which only waits to be collected."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until(condition: Callable[[], Any]) -> Any:
    """Wait until a condition is true, and return its value. Fails after two minutes."""
    for _ in range(2400):
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("the condition was false for two minutes")
