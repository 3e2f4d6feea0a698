"""OpenFace: its CSVs, and the annotator over a stand-in program and a stand-in docker."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS, NUMBERS
from ganim.pipeline.annotate.annotate import annotate, on_cluster
from ganim.pipeline.annotator import Crop, Reading
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.faces.crop import crop_box, cut_crop, encode_jpeg
from ganim.pipeline.openface import workspace
from ganim.pipeline.openface.annotator import OpenFace, find_openface
from ganim.pipeline.openface.output import BadCsv, FoundFace, pick_face, read_csv, to_reading

SHARED = Path(__file__).parents[2] / "shared"
SAMPLES = SHARED / "openface" / "samples"
STAND_IN = Path(__file__).with_name("openface_stand_in.py")

GREY = (120, 120, 120)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
YELLOW, MAGENTA, CYAN, BLACK = (255, 255, 0), (255, 0, 255), (0, 255, 255), (0, 0, 0)


def jpeg(colour: tuple[int, int, int], size: int = 128) -> bytes:
    picture = np.full((size, size, 3), colour[::-1], np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def crops_of(*colours: tuple[int, int, int]) -> list[Crop]:
    return [
        Crop(f"{index}.jpg#0", f"{index}.jpg", jpeg(colour), (0, 0, 98, 98))
        for index, colour in enumerate(colours)
    ]


def greys(count: int) -> list[tuple[int, int, int]]:
    """Grey levels that differ, all far enough from black to be faces."""
    return [(level, level, level) for level in np.linspace(60, 250, count).astype(int).tolist()]


def assert_read(reading: Reading, colour: tuple[int, int, int]) -> None:
    """The reading is the stand-in's for a face of that colour."""
    assert reading.error is None and reading.aus is not None
    expected = 0.01 * np.arange(17)
    expected[NUMBERS.index(12)] = colour[0] / 51
    np.testing.assert_allclose(reading.aus, expected, atol=0.04)
    assert reading.confidence == pytest.approx(0.983)


def executable(path: Path, text: str) -> Path:
    path.write_text(textwrap.dedent(text).lstrip())
    path.chmod(0o755)
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The stand-in, started by the Python of these tests."""
    return executable(
        tmp_path / "FaceLandmarkImg", f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n'
    )


@pytest.fixture
def openface(program: Path) -> OpenFace:
    return find_openface(program=program)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each run of the stand-in: process id, number of pictures."""
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "runs.txt"))
    return tmp_path / "runs.txt"


# Parsing


def sample_files() -> list[Path]:
    return sorted(SAMPLES.glob("*/*.csv"))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="../shared/openface/samples is not here")
def test_every_sample_is_parsed() -> None:
    assert len(sample_files()) == 74
    for path in sample_files():
        faces = read_csv(path)
        rows = len(path.read_text().splitlines()) - 1
        assert len(faces) == rows > 0
        for face in faces:
            assert 0 <= face.confidence <= 1
            assert face.aus.shape == (17,) and face.aus.dtype == np.float32
            assert (face.aus >= 0).all() and (face.aus <= 5).all()
            assert (face.frame is not None) == (path.parent.name == "videos")
            assert (face.landmarks is not None) == (path.parent.name == "landmarks")


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="../shared/openface/samples is not here")
def test_sample_values_are_those_of_their_columns() -> None:
    face = read_csv(SAMPLES / "images" / "two_people.csv")[0]
    assert face.confidence == pytest.approx(0.983)
    assert face.aus[NUMBERS.index(7)] == pytest.approx(2.12)
    # In a clip's CSV the same columns stand elsewhere.
    frame = read_csv(SAMPLES / "videos" / "man_smiles.csv")[0]
    assert frame.frame == 1 and frame.confidence == pytest.approx(0.98)
    assert frame.aus[[0, NUMBERS.index(12), -1]].tolist() == pytest.approx([1.87, 1.30, 2.55])
    assert all(frame.confidence == 0 for frame in read_csv(SAMPLES / "videos" / "no_face.csv"))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="../shared/openface/samples is not here")
def test_faces_of_a_sample_are_told_apart_by_their_landmarks() -> None:
    faces = read_csv(SAMPLES / "landmarks" / "two_people.csv")
    assert faces[0].landmarks is not None and faces[0].landmarks.shape == (68, 2)
    assert faces[0].landmarks[0].tolist() == pytest.approx([237.0, 145.2], abs=60)
    assert pick_face(faces, (200, 100, 420, 320)) is faces[0]
    assert pick_face(faces, (760, 100, 980, 320)) is faces[1]
    assert pick_face(faces, (500, 400, 600, 500)) is None


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="../shared/openface/samples is not here")
def test_the_stand_in_writes_as_openface_does(openface: OpenFace, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name, colour in [("face", GREY), ("none", BLACK)]:
        (tmp_path / "in" / f"{name}.jpg").write_bytes(jpeg(colour))
    arguments = ["-fdir", "{in}", "-aus", "-2Dfp", "-out_dir", "{out}"]
    assert openface.program.execute(arguments, tmp_path, 60, threading.Event()) is None

    def shape(text: str) -> list[str]:
        """A file's text without its values."""
        return [line.split(":")[0] for line in text.splitlines()]

    real, ours = SAMPLES / "landmarks" / "portrait_obama.csv", tmp_path / "out" / "face.csv"
    columns = [name for name in real.read_text().split("\n")[0].split(", ") if "pose" not in name]
    assert ours.read_text().split("\n")[0].split(", ") == columns
    assert len(ours.read_text().splitlines()[1].split(", ")) == len(columns)
    for mine, theirs in [("face", "landmarks/portrait_obama"), ("none", "images/no_face_mountain")]:
        written = (tmp_path / "out" / f"{mine}_of_details.txt").read_text()
        assert shape(written) == shape((SAMPLES / f"{theirs}_of_details.txt").read_text())
    assert not (tmp_path / "out" / "none.csv").exists()


@pytest.mark.parametrize("separator", [", ", ",", " , "])
def test_columns_are_found_by_name(tmp_path: Path, separator: str) -> None:
    columns = ["face", *COLUMNS[::-1], "AU28_c", "confidence"]
    values = ["0", *(f"{0.1 * index:.2f}" for index in range(17))][: len(columns)]
    rows = [columns, [*values, "1.0", "0.91"]]
    path = tmp_path / "face.csv"
    path.write_text("\ufeff" + "\r\n".join(separator.join(row) for row in rows) + "\r\n")
    [face] = read_csv(path)
    assert face.confidence == pytest.approx(0.91)
    np.testing.assert_allclose(face.aus, 0.1 * np.arange(17)[::-1], rtol=1e-6)
    assert face.landmarks is None and face.frame is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column confidence, AU01_r"),
        ("face, confidence, gaze_0_x\n0, 0.98, 0.1\n", "no column AU01_r, AU02_r"),
        (", ".join(["confidence", *COLUMNS[:-1]]) + "\n", "no column AU45_r;"),
        (", ".join(["confidence", *COLUMNS]) + "\n0.98, 0.1\n", "damaged"),
        (", ".join(["confidence", *COLUMNS]) + "\n0.98" + ", x" * 17 + "\n", "damaged"),
        ("\0\0\0", "no column confidence"),
    ],
)
def test_a_csv_without_aus_says_so(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "face.csv"
    path.write_text(text)
    with pytest.raises(BadCsv, match=reason):
        read_csv(path)


def test_a_csv_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadCsv, match="cannot be read"):
        read_csv(tmp_path / "none.csv")


def test_a_csv_without_faces_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "face.csv"
    path.write_text(", ".join(["face", "confidence", *COLUMNS]) + "\n")
    assert read_csv(path) == []


def face_at(x: float, y: float, confidence: float = 0.98) -> FoundFace:
    return FoundFace(confidence, np.zeros(17, np.float32), np.full((68, 2), (x, y), np.float32))


def test_pick_face_prefers_sure_ones_near_the_centre() -> None:
    box = (100, 100, 200, 200)
    near, sure, far = face_at(150, 150, 0.2), face_at(180, 180), face_at(250, 150)
    assert pick_face([far, near, sure], box) is sure
    assert pick_face([far, near], box) is near
    assert pick_face([far], box) is None
    assert pick_face([], box) is None
    blind = [FoundFace(confidence, np.zeros(17)) for confidence in (0.3, 0.9, 0.5)]
    assert pick_face(blind, box) is blind[1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 5.1])
def test_a_number_that_is_no_intensity_is_an_error(value: float) -> None:
    aus = np.zeros(17, np.float32)
    aus[3] = value
    reading = to_reading(FoundFace(0.98, aus))
    assert reading.aus is None and "AU05_r" in str(reading.error)


# Reading


def test_a_batch_is_one_run_in_order(openface: OpenFace, runs: Path) -> None:
    colours = greys(20)
    readings = openface.read(crops_of(*colours))
    for reading, colour in zip(readings, colours, strict=True):
        assert_read(reading, colour)
    assert runs.read_text().split()[1::2] == ["1", "20"]  # the probe, the batch
    assert openface.read([]) == []


def test_the_picture_given_is_padded_and_enlarged(program: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    spy = executable(tmp_path / "spy", f'#!/bin/sh\ncp -r "$2" {kept}\nexec {program} "$@"\n')
    rng = np.random.default_rng(0)
    small = rng.integers(60, 250, (16, 16), np.uint8)
    crop = cv2.merge([cv2.resize(small, (128, 128), interpolation=cv2.INTER_CUBIC)] * 3)
    encoded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    spying = find_openface(program=spy)
    spying.check()
    shutil.rmtree(kept)
    spying.read([Crop("a", "a", encoded, (0, 0, 1, 1))])

    [picture] = kept.iterdir()
    given = cv2.imread(str(picture))
    assert picture.name == "00000.bmp" and given is not None and given.shape == (384, 384, 3)
    decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    back = cv2.resize(given[64:320, 64:320], (128, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(back.astype(int) - decoded).mean() < 2
    # The margin repeats the crop's edge.
    assert np.abs(given[:60, 100].astype(int) - given[0, 100]).max() <= 1


BAD = {
    "no face": (BLACK, "found no face in the crop"),
    "unsure": (YELLOW, "confidence of 0.30 is below 0.7"),
    "another's face": (CYAN, "no face in the middle"),
    "unreadable": (GREEN, "fails on this crop: exit status 1, Error: Could not open the image"),
    "crash": (MAGENTA, "fails on this crop: exit status -11"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_crop_amid_a_batch_costs_only_itself(
    openface: OpenFace, runs: Path, kind: str
) -> None:
    bad, reason = BAD[kind]
    colours = greys(16)
    colours[10] = bad
    readings = openface.read(crops_of(*colours))
    assert len(runs.read_text().splitlines()) <= 10  # a probe, the batch, two for each halving
    for index, (reading, colour) in enumerate(zip(readings, colours, strict=True)):
        if index == 10:
            assert reading.aus is None and reason in str(reading.error)
        else:
            assert_read(reading, colour)


def test_every_kind_of_crop_in_one_batch(openface: OpenFace) -> None:
    kinds = [GREEN, BLACK, MAGENTA, YELLOW, GREEN, CYAN, BLACK]
    colours = [colour for pair in zip(kinds, greys(7), strict=True) for colour in pair]
    readings = openface.read(crops_of(*colours))
    assert [reading.aus is not None for reading in readings] == [False, True] * 7
    reasons = dict(BAD.values())
    for reading, colour in zip(readings, colours, strict=True):
        if colour in reasons:
            assert reasons[colour] in str(reading.error)
        else:
            assert_read(reading, colour)


def test_of_two_faces_ours_is_taken(openface: OpenFace) -> None:
    for reading in openface.read(crops_of(RED, RED)):
        assert_read(reading, RED)


def test_a_hang_is_stopped_and_costs_only_itself(openface: OpenFace, runs: Path) -> None:
    colours = [*greys(6), BLUE, *greys(5)]
    readings = OpenFace(openface.program, silence=1.0).read(crops_of(*colours))
    for reading, colour in zip(readings, colours, strict=True):
        if colour == BLUE:
            assert "it wrote nothing for 1 s" in str(reading.error)
        else:
            assert_read(reading, colour)
    assert_all_ended(runs)


def assert_all_ended(runs: Path) -> None:
    for line in runs.read_text().splitlines():
        state = Path(f"/proc/{line.split()[0]}/stat")
        # A zombie has ended too: nobody is left here to hear of it. A killed one takes a moment.
        for _ in range(100):
            if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
                break
            time.sleep(0.05)
        else:
            raise AssertionError(f"process {line.split()[0]} is still there")


def test_ctrl_c_leaves_nothing_running(
    openface: OpenFace, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))

    def interrupt() -> None:
        while not runs.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        openface.read(crops_of(GREY, BLUE))
    assert_all_ended(runs)
    assert list((tmp_path / "tmp").iterdir()) == []


KILLED = """
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


def test_what_a_kill_leaves_is_swept_by_the_next_run(
    program: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (tmp_path / "hangs.jpg").write_bytes(jpeg(BLUE))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, program, tmp_path / "hangs.jpg"],
        env=os.environ | {"TMPDIR": str(temporary)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(list(temporary.iterdir())) == 1
    hanging = runs.read_text().splitlines()[-1].split()[0]
    assert Path(f"/proc/{hanging}").exists()
    find_openface(program=program)
    assert list(temporary.iterdir()) == []
    assert_all_ended(runs)


@pytest.mark.parametrize("room", [0, 1000, 1 << 60])
def test_a_workspace_in_use_is_not_swept(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    with workspace.workspace(room) as folder:
        in_memory = room == 1000 and Path("/dev/shm").is_dir()
        assert (folder.parent == Path("/dev/shm")) == in_memory
        workspace.sweep()
        assert folder.is_dir() and not workspace.is_abandoned(folder)
    assert not folder.exists() and workspace.is_abandoned(folder)


def test_two_runs_at_once_answer_in_place(openface: OpenFace, runs: Path) -> None:
    several = OpenFace(openface.program, workers=2)
    batches = [greys(5), [*greys(3), GREEN], greys(7), [BLACK], greys(2)]
    seen = 0
    for colours, readings in several.run(lambda batch: several.read(crops_of(*batch)), batches):
        seen += 1
        for reading, colour in zip(readings, colours, strict=True):
            if colour in (GREEN, BLACK):
                assert reading.error is not None
            else:
                assert_read(reading, colour)
    assert seen == 5


@pytest.mark.parametrize("fails", ["models", "smile"])
def test_a_broken_openface_stops_the_batches_that_began(
    openface: OpenFace, runs: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", fails)
    several = OpenFace(openface.program, workers=2)
    with pytest.raises(WrongUse, match="on a picture it should know"):
        list(several.run(several.read, [crops_of(GREY, BLUE)] * 5))  # blue: hangs
    assert_all_ended(runs)


def test_without_batches_openface_is_not_started(openface: OpenFace, runs: Path) -> None:
    assert list(openface.run(openface.read, [])) == []
    assert not runs.exists()


def test_one_broken_batch_stops_the_others(openface: OpenFace, runs: Path) -> None:
    several = OpenFace(openface.program, workers=2)
    several.check()

    def read(batch: list[Crop]) -> list[Reading]:
        if not batch:
            raise WrongUse("it broke")
        return several.read(batch)

    hanging = crops_of(GREY, BLUE)
    with pytest.raises(WrongUse, match="it broke"):
        list(several.run(read, [hanging, hanging, []]))
    assert_all_ended(runs)


def test_a_cluster_reads_the_batches(program: Path, runs: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    folder = tmp_path / "shards"
    folder.mkdir()
    rows = [
        {
            "key": f"{index}.jpg#0",
            "source": f"{index}.jpg",
            "image": {"bytes": jpeg(colour), "path": None},
            "box": [10, 10, 108, 108],
            "status": shards.OK,
        }
        for index, colour in enumerate(greys(12))
    ]
    shards.write_shard(folder / "train-00000.parquet", shards.rows_to_table(rows))
    openface = find_openface(program=program)
    openface.batch = 4
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        run = partial(on_cluster, cluster.scheduler_address)
        summary = annotate(folder, openface, workers=3, run=run)
    assert (summary.annotated, summary.read) == (12, 12)
    # Three batches, and one probe though three annotators were sent.
    assert sorted(runs.read_text().split()[1::2]) == ["1", "4", "4", "4"]
    written = shards.read_shard(folder / "train-00000.parquet").to_pylist()
    for row, colour in zip(written, greys(12), strict=True):
        assert row["AU12_r"] == pytest.approx(colour[0] / 51, abs=0.04)


def test_a_damaged_crop_is_not_given_to_openface(openface: OpenFace, runs: Path) -> None:
    damaged = [Crop("a", "a", data, (0, 0, 1, 1)) for data in (b"", b"not a picture")]
    readings = openface.read([damaged[0], *crops_of(GREY), damaged[1]])
    assert_read(readings[1], GREY)
    for index in (0, 2):
        assert readings[index].error == "the crop is no readable picture"
    assert runs.read_text().split()[1::2] == ["1", "1"]  # the probe, the one that is a picture


def test_an_openface_without_aus_is_told_apart_from_crops_without(tmp_path: Path) -> None:
    program = executable(
        tmp_path / "FaceLandmarkImg",
        """
        #!/bin/sh
        for picture in "$2"/*.bmp; do echo "face, confidence" > "$6/$(basename $picture .bmp).csv"
        done
        """,
    )
    with pytest.raises(WrongUse, match="on a picture it should know: its CSV has no column AU01_r"):
        find_openface(program=program).read(crops_of(GREY))


def test_a_lower_confidence_can_be_asked_for(program: Path) -> None:
    [reading] = find_openface(program=program, min_confidence=0.2).read(crops_of(YELLOW))
    assert reading.aus is not None and reading.confidence == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        ("models", "picture it should know: exit status 1, Could not find CEN patch experts"),
        ("faces", "picture it should know: exit status -11"),
        ("mount", "picture it should know: it wrote nothing, Could not open any images"),
        ("smile", r"picture it should know: it sees no smile there\."),
    ],
)
def test_a_broken_openface_stops_the_work_soon(
    openface: OpenFace, runs: Path, monkeypatch: pytest.MonkeyPatch, fails: str, reason: str
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", fails)
    with pytest.raises(WrongUse, match=reason) as raised:
        openface.read(crops_of(*greys(32)))
    assert openface.program.label in str(raised.value)
    assert len(runs.read_text().splitlines()) == 1


def test_a_program_that_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"none is not a program that can be run\. Name the file"):
        find_openface(program=tmp_path / "none")
    (tmp_path / "text").write_text("no program")
    with pytest.raises(WrongUse, match="not a program that can be run"):
        find_openface(program=tmp_path / "text")
    nonsense = executable(tmp_path / "nonsense", "neither script nor binary")
    with pytest.raises(WrongUse, match=r"fails to start: Exec format error\."):
        find_openface(program=nonsense).read(crops_of(GREY))
    absent = executable(tmp_path / "absent", "#!/bin/sh\nexec /no/such/FaceLandmarkImg\n")
    with pytest.raises(WrongUse, match=r"fails to start: .*not found"):
        find_openface(program=absent).read(crops_of(GREY))


def test_a_program_named_beside_us_or_on_the_path(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(program.parent)
    assert find_openface(program=Path("FaceLandmarkImg")).name == f"openface local:{program}"
    monkeypatch.chdir("/")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert find_openface(program=Path("FaceLandmarkImg")).name == f"openface local:{program}"


def test_no_room_for_the_crops(openface: OpenFace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WrongUse, match=r"No space left on device\..*TMPDIR"):
        openface.read(crops_of(GREY))


# Shards


def test_annotate_fills_the_shards(openface: OpenFace, runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    colours = [*greys(5), BLACK, GREEN]
    rows: list[dict[str, Any]] = [
        {
            "key": f"{index}.jpg#0",
            "source": f"{index}.jpg",
            "image": {"bytes": jpeg(colour), "path": None},
            "box": [10, 10, 108, 108],
            "crop": [0, 0, 128, 128],
            "status": shards.OK,
        }
        for index, colour in enumerate(colours)
    ]
    rows.append({"key": "wall.jpg#", "source": "wall.jpg", "status": shards.NO_FACE})
    shards.write_shard(folder / "train-00000.parquet", shards.rows_to_table(rows[:4]))
    shards.write_shard(folder / "test-00000.parquet", shards.rows_to_table(rows[4:]))

    summary = annotate(folder, openface)
    assert (summary.annotated, summary.failed, summary.skipped) == (5, 2, 0)
    written = [
        row
        for name in ("train-00000", "test-00000")
        for row in shards.read_shard(folder / f"{name}.parquet").to_pylist()
    ]
    for row, colour in zip(written[:5], colours, strict=False):
        assert row["status"] == shards.OK and row["annotator"] == openface.name
        aus = np.array([row[column] for column in COLUMNS], np.float32)
        assert_read(Reading(aus, row["au_confidence"]), colour)
    assert [row["status"] for row in written[5:]] == ["no_aus", "no_aus", "no_face"]
    assert written[5]["error"] == "OpenFace found no face in the crop"
    assert written[5]["image"]["bytes"] == rows[5]["image"]["bytes"]

    before = runs.read_text()
    assert annotate(folder, openface).skipped == 7
    assert runs.read_text() == before


# Containers

DIGEST = "algebr/openface@sha256:" + "ab" * 32
IMAGE_ID = "sha256:" + "cd" * 32

# A stand-in for docker's command line, for tests: it runs the "container" as a process here.
DOCKER_STAND_IN = """
#!{python}
import contextlib, json, os, signal, subprocess, sys
from pathlib import Path

here = Path(__file__).parent
args = sys.argv[1:]
with (here / "calls.jsonl").open("a") as file:
    file.write(json.dumps(args) + "\\n")
if args == ["info"]:
    print((here / "info.txt").read_text())
elif args[:2] == ["image", "inspect"]:
    if args[2] != "algebr/openface:latest":
        sys.exit(print("[]") or f"Error response from daemon: No such image: {{args[2]}}")
    print((here / "inspect.json").read_text())
elif args[0] == "ps":
    pass
elif args[:2] == ["rm", "--force"]:
    with contextlib.suppress(OSError):
        os.kill(int((here / args[2]).read_text()), signal.SIGKILL)
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
    (here / options["--name"]).write_text(str(process.pid))
    sys.exit(process.wait() % 256)
"""


@pytest.fixture
def docker(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, alone on the PATH, with a stand-in for docker."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "info.txt").write_text("Server:\n Security Options:\n  seccomp\n")
    inspection = [{"Id": IMAGE_ID, "RepoDigests": [f"a.mirror/{DIGEST}", DIGEST]}]
    (folder / "inspect.json").write_text(json.dumps(inspection))
    executable(
        folder / "docker",
        DOCKER_STAND_IN.format(
            python=sys.executable,
            program=program,
            image_id=IMAGE_ID,
            entrypoint="/home/openface-build/build/bin/FaceLandmarkImg",
        ),
    )
    monkeypatch.setenv("PATH", str(folder))
    return folder


def calls(docker: Path, first: str) -> list[list[str]]:
    lines = (docker / "calls.jsonl").read_text().splitlines()
    return [call for call in map(json.loads, lines) if call[0] == first]


def test_the_container_is_shut_in(docker: Path) -> None:
    annotator = find_openface()
    assert annotator.name == f"openface {DIGEST}"
    colours = [GREY, GREEN, BLACK, RED]
    readings = annotator.read(crops_of(*colours))
    assert [reading.aus is not None for reading in readings] == [True, False, False, True]
    assert annotator.program.image is not None
    for run in calls(docker, "run"):
        command = " ".join(run)
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
            assert option in command
    names = [run[run.index("--name") + 1] for run in calls(docker, "run")]
    assert len(set(names)) == len(names) > 1


def test_a_hanging_container_is_removed(docker: Path, runs: Path) -> None:
    annotator = OpenFace(find_openface().program, silence=1.0)
    [reading] = annotator.read(crops_of(BLUE))
    assert "it wrote nothing for 1 s" in str(reading.error)
    removed = {call[-1] for call in calls(docker, "rm")}
    assert len(removed) == 2  # it was given a second chance
    assert_all_ended(runs)


def test_an_image_built_here_is_named_by_its_id(docker: Path) -> None:
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
def test_files_belong_to_us_without_root(
    docker: Path, name: str, info: str, expected: tuple[str, ...]
) -> None:
    if name != "docker":
        (docker / "docker").rename(docker / name)
    (docker / "info.txt").write_text(info)
    image = find_openface().program.image
    assert image is not None
    assert image.user[: len(expected)] == expected
    assert image.mount == (",Z" if name == "podman" else "")


def test_no_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WrongUse, match="needs docker or podman, and neither is on the PATH"):
        find_openface()
    with pytest.raises(WrongUse, match="podman is not on the PATH"):
        find_openface(runtime="podman")


def test_no_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(
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


def test_no_image(docker: Path) -> None:
    with pytest.raises(WrongUse, match=r"or add --pull: docker pull someone/openface:1$"):
        find_openface(image="someone/openface:1")


def test_the_runtime_that_has_the_image_is_taken(docker: Path) -> None:
    (docker / "docker").rename(docker / "podman")
    executable(docker / "docker", "#!/bin/sh\nexit 1\n")
    image = find_openface().program.image
    assert image is not None and image.runtime == "podman"


def test_the_program_is_elsewhere_in_the_image(docker: Path) -> None:
    annotator = find_openface(image_program="/usr/local/bin/FaceLandmarkImg")
    with pytest.raises(WrongUse, match="fails to start: docker: Error response from daemon"):
        annotator.read(crops_of(GREY))


def test_openface_itself(tmp_path: Path) -> None:
    """The real image, where it is: its answer is near the one in ../shared."""
    try:
        annotator = find_openface()
    except WrongUse as reason:
        pytest.skip(str(reason))
    photograph = SHARED / "faces" / "wild" / "portrait_obama.jpg"
    if not photograph.exists():
        pytest.skip("../shared/faces is not here")
    from ganim.pipeline.faces import detect
    from ganim.pipeline.images import decode

    image = decode.read_image(photograph)
    box = detect.detect_faces(image)[0].box
    crop = encode_jpeg(cut_crop(image, crop_box(box)))
    [reading] = annotator.read([Crop("a", "a", crop, (0, 0, 1, 1))])
    [original] = read_csv(SAMPLES / "landmarks" / "portrait_obama.csv")
    assert reading.aus is not None
    assert np.abs(reading.aus - original.aus).mean() < 0.4


def test_the_docker_of_this_machine_is_asked_politely() -> None:
    """Whatever docker is here, the answer is an annotator or one sentence."""
    if shutil.which("docker") is None:
        pytest.skip("there is no docker on this machine")
    try:
        find_openface(runtime="docker", image="ganim.invalid/no-such-image")
    except WrongUse as reason:
        assert "\n" not in str(reason) and str(reason).endswith((".", "no-such-image"))
