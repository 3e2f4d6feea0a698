"""The CSVs of OpenFace: parsing, the choice of a face, and the stand-in's likeness to OpenFace."""

import threading
from pathlib import Path

import numpy as np
import pytest
from openface_helpers import BLACK, GREY, SAMPLES, jpeg, needs_samples

from ganim.pipeline.action_units import COLUMNS, NUMBERS
from ganim.pipeline.openface.annotator import OpenFace
from ganim.pipeline.openface.batch import ARGUMENTS
from ganim.pipeline.openface.output import BadCsv, FaceRecord, pick_face, read_csv, to_reading
from ganim.pipeline.openface.workspace import make_folders


@needs_samples
def test_every_sample_is_parsed() -> None:
    paths = sorted(SAMPLES.glob("*/*.csv"))
    assert len(paths) == 74
    for path in paths:
        faces = read_csv(path)
        rows = len(path.read_text().splitlines()) - 1
        assert len(faces) == rows > 0
        for face in faces:
            assert 0 <= face.confidence <= 1
            assert face.aus.shape == (17,) and face.aus.dtype == np.float32
            assert (face.aus >= 0).all() and (face.aus <= 5).all()
            assert (face.frame is not None) == (path.parent.name == "videos")
            assert (face.landmarks is not None) == (path.parent.name == "landmarks")


@needs_samples
def test_sample_values_are_those_of_their_columns() -> None:
    face = read_csv(SAMPLES / "images" / "two_people.csv")[0]
    assert face.confidence == pytest.approx(0.983)
    assert face.aus[NUMBERS.index(7)] == pytest.approx(2.12)
    # The columns have other positions in the CSV of a clip.
    frame = read_csv(SAMPLES / "videos" / "man_smiles.csv")[0]
    assert frame.frame == 1 and frame.confidence == pytest.approx(0.98)
    assert frame.aus[[0, NUMBERS.index(12), -1]].tolist() == pytest.approx([1.87, 1.30, 2.55])
    assert {frame.confidence for frame in read_csv(SAMPLES / "videos" / "no_face.csv")} == {0}


@needs_samples
def test_faces_of_a_sample_are_distinguished_by_their_landmarks() -> None:
    faces = read_csv(SAMPLES / "landmarks" / "two_people.csv")
    assert faces[0].landmarks is not None and faces[0].landmarks.shape == (68, 2)
    assert faces[0].landmarks[0].tolist() == pytest.approx([237.0, 145.2], abs=60)
    assert pick_face(faces, (200, 100, 420, 320)) is faces[0]
    assert pick_face(faces, (760, 100, 980, 320)) is faces[1]
    assert pick_face(faces, (500, 400, 600, 500)) is None


@needs_samples
def test_the_stand_in_writes_as_openface_does(openface: OpenFace, tmp_path: Path) -> None:
    inputs, outputs = make_folders(tmp_path)
    for name, colour in [("face", GREY), ("none", BLACK)]:
        (inputs / f"{name}.jpg").write_bytes(jpeg(colour))
    assert openface.program.execute(ARGUMENTS, tmp_path, 60, threading.Event()) is None

    def names(text: str) -> list[str]:
        """The lines of a details file without their values."""
        return [line.split(":")[0] for line in text.splitlines()]

    real, ours = SAMPLES / "landmarks" / "portrait_obama.csv", outputs / "face.csv"
    columns = [name for name in real.read_text().split("\n")[0].split(", ") if "pose" not in name]
    assert ours.read_text().split("\n")[0].split(", ") == columns
    assert len(ours.read_text().splitlines()[1].split(", ")) == len(columns)
    for mine, sample in [("face", "landmarks/portrait_obama"), ("none", "images/no_face_mountain")]:
        written = (outputs / f"{mine}_of_details.txt").read_text()
        assert names(written) == names((SAMPLES / f"{sample}_of_details.txt").read_text()) != []
    assert not (outputs / "none.csv").exists()


@pytest.mark.parametrize("separator", [", ", ",", " , "])
def test_columns_are_found_by_name(tmp_path: Path, separator: str) -> None:
    columns = ["face", *COLUMNS[::-1], "AU28_c", "confidence"]
    values = ["0", *(f"{0.1 * index:.2f}" for index in range(17))]
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
def test_a_csv_without_aus_is_an_error(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "face.csv"
    path.write_text(text)
    with pytest.raises(BadCsv, match=reason):
        read_csv(path)


def test_a_csv_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadCsv, match="cannot be read"):
        read_csv(tmp_path / "none.csv")


def test_a_csv_without_rows_has_no_faces(tmp_path: Path) -> None:
    path = tmp_path / "face.csv"
    path.write_text(", ".join(["face", "confidence", *COLUMNS]) + "\n")
    assert read_csv(path) == []


def face_at(x: float, y: float, confidence: float = 0.98) -> FaceRecord:
    landmarks = np.full((68, 2), (x, y), np.float32)
    return FaceRecord(confidence, np.zeros(17, np.float32), landmarks)


def test_pick_face_prefers_confident_faces_near_the_centre() -> None:
    box = (100, 100, 200, 200)
    near, confident, far = face_at(150, 150, 0.2), face_at(180, 180), face_at(250, 150)
    assert pick_face([far, near, confident], box) is confident
    assert pick_face([far, near], box) is near
    assert pick_face([far], box) is None
    assert pick_face([], box) is None
    without_landmarks = [FaceRecord(confidence, np.zeros(17)) for confidence in (0.3, 0.9, 0.5)]
    assert pick_face(without_landmarks, box) is without_landmarks[1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 5.1])
def test_a_value_outside_0_to_5_is_an_error(value: float) -> None:
    aus = np.zeros(17, np.float32)
    aus[3] = value
    reading = to_reading(FaceRecord(0.98, aus))
    assert reading.aus is None and "AU05_r" in str(reading.error)
