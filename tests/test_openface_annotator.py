"""The annotator over a stand-in for OpenFace: readings, retries, the self-test, several workers."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from openface_helpers import (
    BLACK,
    BLUE,
    CYAN,
    GREEN,
    GREY,
    MAGENTA,
    RED,
    YELLOW,
    assert_all_ended,
    assert_read,
    au12_of,
    crops_of,
    face_row,
    greys,
    jpeg,
    logged,
    rows_of,
    write_program,
    write_shards,
)

from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.annotate.annotate import annotate
from ganim.pipeline.annotator import Crop, Reading
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.openface.annotator import OpenFace, find_openface

# Readings


def test_a_batch_is_read_by_one_process_in_order(openface: OpenFace, openface_log: Path) -> None:
    colours = greys(20)
    readings = openface.read(crops_of(*colours))
    for reading, colour in zip(readings, colours, strict=True):
        assert_read(reading, colour)
    assert [pictures for _, pictures in logged(openface_log)] == [1, 20]  # self-test and batch
    assert openface.read([]) == []


def test_the_picture_is_padded_and_enlarged(openface_program: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    copying = write_program(
        tmp_path / "copying", f'#!/bin/sh\ncp -r "$2" {kept}\nexec {openface_program} "$@"\n'
    )
    rng = np.random.default_rng(0)
    small = rng.integers(60, 250, (16, 16), np.uint8)
    crop = cv2.merge([cv2.resize(small, (128, 128), interpolation=cv2.INTER_CUBIC)] * 3)
    encoded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    openface = find_openface(program=copying)
    openface.check()
    shutil.rmtree(kept)
    openface.read([Crop("a", "a", encoded, (0, 0, 1, 1))])

    [path] = kept.iterdir()
    picture = cv2.imread(str(path))
    assert path.name == "00000.bmp" and picture is not None and picture.shape == (384, 384, 3)
    decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    reduced = cv2.resize(picture[64:320, 64:320], (128, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - decoded).mean() < 2
    # The padding repeats the crop's edge.
    assert np.abs(picture[:60, 100].astype(int) - picture[0, 100]).max() <= 1


def test_of_two_faces_the_one_in_the_middle_is_read(openface: OpenFace) -> None:
    first, second = openface.read(crops_of(RED, RED))
    assert_read(first, RED)
    assert_read(second, RED)


def test_a_damaged_crop_is_not_given_to_openface(openface: OpenFace, openface_log: Path) -> None:
    damaged = [Crop("a", "a", data, (0, 0, 1, 1)) for data in (b"", b"not a picture")]
    readings = openface.read([damaged[0], *crops_of(GREY), damaged[1]])
    assert_read(readings[1], GREY)
    for index in (0, 2):
        assert readings[index].error == "the crop is no readable picture"
    assert [pictures for _, pictures in logged(openface_log)] == [1, 1]  # self-test, grey crop


def test_the_lowest_confidence_can_be_set(openface_program: Path) -> None:
    openface = find_openface(program=openface_program, min_confidence=0.2)
    [reading] = openface.read(crops_of(YELLOW))
    assert reading.aus is not None and reading.confidence == pytest.approx(0.3)


def test_annotate_fills_the_shards(openface: OpenFace, openface_log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    colours = [*greys(5), BLACK, GREEN]
    rows = [face_row(f"{index}.jpg", jpeg(colour)) for index, colour in enumerate(colours)]
    rows.append({"key": "wall.jpg#", "source": "wall.jpg", "status": shards.NO_FACE})
    shards.write_shard(folder / "train-00000.parquet", shards.rows_to_table(rows[:4]))
    shards.write_shard(folder / "train-00001.parquet", shards.rows_to_table(rows[4:]))

    summary = annotate(folder, openface)
    assert (summary.annotated, summary.failed, summary.skipped) == (5, 2, 0)
    written = rows_of(folder)
    assert len(written) == 8
    for row, colour in zip(written[:5], colours, strict=False):
        assert row["status"] == shards.OK and row["annotator"] == openface.name
        aus = np.array([row[column] for column in COLUMNS], np.float32)
        assert_read(Reading(aus, row["au_confidence"]), colour)
    assert [row["status"] for row in written[5:]] == ["no_aus", "no_aus", "no_face"]
    assert written[5]["error"] == "OpenFace found no face in the crop"
    assert written[5]["image"]["bytes"] == rows[5]["image"]["bytes"]

    before = openface_log.read_text()
    assert annotate(folder, openface).skipped == 7
    assert openface_log.read_text() == before


# Retries


FAILURES = {
    "no face": (BLACK, "found no face in the crop"),
    "low confidence": (YELLOW, "confidence of 0.30 is below 0.7"),
    "another's face": (CYAN, "no face in the middle"),
    "unreadable": (GREEN, "fails on this crop: exit status 1, Error: Could not open the image"),
    "crash": (MAGENTA, "fails on this crop: exit status -11"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_crop_that_fails_costs_no_other_crop(
    openface: OpenFace, openface_log: Path, kind: str
) -> None:
    colour_that_fails, reason = FAILURES[kind]
    colours = greys(16)
    colours[10] = colour_that_fails
    readings = openface.read(crops_of(*colours))
    # At most the self-test, the batch, and two processes for each time it is halved.
    assert len(logged(openface_log)) <= 10
    for index, (reading, colour) in enumerate(zip(readings, colours, strict=True)):
        if index == 10:
            assert reading.aus is None and reason in str(reading.error)
        else:
            assert_read(reading, colour)


@pytest.mark.slow
def test_several_kinds_of_failure_in_one_batch(openface: OpenFace) -> None:
    kinds = [GREEN, BLACK, MAGENTA, YELLOW, GREEN, CYAN, BLACK]
    colours = [colour for pair in zip(kinds, greys(7), strict=True) for colour in pair]
    readings = openface.read(crops_of(*colours))
    assert [reading.aus is not None for reading in readings] == [False, True] * 7
    reasons = dict(FAILURES.values())
    for reading, colour in zip(readings, colours, strict=True):
        if colour in reasons:
            assert reasons[colour] in str(reading.error)
        else:
            assert_read(reading, colour)


# The self-test


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        ("models", "self-test picture: exit status 1, Could not find CEN patch experts"),
        ("faces", "self-test picture: exit status -11"),
        ("mount", "self-test picture: it wrote nothing, Could not open any images"),
        ("smile", r"self-test picture: it reads the AU12 of a smile as 0\.00, less than 0\.5\."),
    ],
)
def test_an_openface_that_fails_the_self_test_reads_no_batch(
    openface: OpenFace, openface_log: Path, monkeypatch: pytest.MonkeyPatch, fails: str, reason: str
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", fails)
    with pytest.raises(WrongUse, match=reason) as raised:
        openface.read(crops_of(*greys(32)))
    assert openface.program.label in str(raised.value)
    assert len(logged(openface_log)) == 1


def test_an_openface_that_writes_no_aus_fails_the_self_test(tmp_path: Path) -> None:
    program = write_program(
        tmp_path / "FaceLandmarkImg",
        """
        #!/bin/sh
        for picture in "$2"/*.bmp; do echo "face, confidence" > "$6/$(basename $picture .bmp).csv"
        done
        """,
    )
    with pytest.raises(WrongUse, match="self-test picture: its CSV has no column AU01_r"):
        find_openface(program=program).read(crops_of(GREY))


@pytest.mark.parametrize("fails", ["models", "smile"])
def test_a_failed_self_test_stops_the_batches_beside_it(
    openface: OpenFace, openface_log: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", fails)
    openface = OpenFace(openface.program, workers=2)
    with pytest.raises(WrongUse, match="on the self-test picture"):
        list(openface.run(openface.read, [crops_of(GREY, BLUE)] * 5))  # BLUE hangs
    assert_all_ended(openface_log)


# Several workers


def test_two_workers_read_all_batches(openface: OpenFace) -> None:
    openface = OpenFace(openface.program, workers=2)
    batches = [greys(5), [*greys(3), GREEN], greys(7), [BLACK], greys(2)]
    results = list(openface.run(lambda batch: openface.read(crops_of(*batch)), batches))
    assert len(results) == 5
    for colours, readings in results:
        for reading, colour in zip(readings, colours, strict=True):
            if colour in (GREEN, BLACK):
                assert reading.error is not None
            else:
                assert_read(reading, colour)


def test_without_batches_openface_is_not_started(openface: OpenFace, openface_log: Path) -> None:
    assert list(openface.run(openface.read, [])) == []
    assert not openface_log.exists()


def test_an_error_in_one_batch_stops_the_others(openface: OpenFace, openface_log: Path) -> None:
    openface = OpenFace(openface.program, workers=2)
    openface.check()

    def read(batch: list[Crop]) -> list[Reading]:
        if not batch:
            raise WrongUse("an error")
        return openface.read(batch)

    hanging = crops_of(GREY, BLUE)
    with pytest.raises(WrongUse, match="an error"):
        list(openface.run(read, [hanging, hanging, []]))
    assert_all_ended(openface_log)


@pytest.mark.slow
def test_a_cluster_reads_the_batches(
    openface_program: Path, openface_log: Path, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    colours = {f"{index:02d}.jpg": grey for index, grey in enumerate(greys(12))}
    folder = write_shards(tmp_path / "shards", colours)
    openface = find_openface(program=openface_program)
    openface.batch = 4
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        summary = annotate(folder, openface, scheduler=cluster.scheduler_address)
    assert (summary.annotated, summary.read) == (12, 12)
    # Twelve batches, and one self-test, though the annotator is sent with each batch.
    assert sorted(pictures for _, pictures in logged(openface_log)) == [1] * 13
    read = {row["source"]: row["AU12_r"] for row in rows_of(folder)}
    assert read == {source: au12_of(colour) for source, colour in colours.items()}
