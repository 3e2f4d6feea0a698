"""`ganim annotate face.jpg`: the AUs of each face of a photograph, printed and as a CSV."""

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from clips import write_clip
from PIL import Image

from ganim.cli import main
from ganim.model.animation.faces import find_faces
from ganim.model.estimator.network import load_estimator
from ganim.pipeline.action_units import COLUMNS, NAMES, to_intensity
from ganim.pipeline.openface.output import read_csv

ESTIMATOR = ("--annotator", "estimator")


def annotate(*words: object):
    return CliRunner().invoke(main, ["annotate", *map(str, words)])


@pytest.fixture
def two(astronaut: np.ndarray, tmp_path: Path) -> Path:
    """A photograph of two faces of unlike size."""
    picture = np.full((512, 900, 3), 128, np.uint8)
    picture[:, :512] = astronaut
    picture[:384, 516:] = np.asarray(Image.fromarray(astronaut).resize((384, 384)))
    Image.fromarray(picture).save(tmp_path / "two.png")
    return tmp_path / "two.png"


def test_the_aus_of_each_face_are_printed_and_written(two: Path, tmp_path: Path) -> None:
    out = tmp_path / "aus.csv"
    done = annotate(two, *ESTIMATOR, "--out", out)
    assert done.exit_code == 0, done.output
    faces = find_faces(load_estimator(), np.asarray(Image.open(two)))
    expected = np.stack([to_intensity(face.own_aus) for face in faces])
    lines = {line[:26].strip(): line[26:].split() for line in done.output.splitlines()}
    assert lines["AU (0 to 5)"] == ["face", "1", "face", "2"]
    for index, (number, name) in enumerate(NAMES.items()):
        printed = np.array(lines[f"{number} {name}"], float)
        np.testing.assert_allclose(printed, expected[:, index], atol=0.2)  # the crops are JPEGs

    with out.open() as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    assert [row["face"] for row in rows] == ["0", "1"]
    written = np.array([[float(row[name]) for name in COLUMNS] for row in rows])
    np.testing.assert_allclose(written, expected, atol=0.2)
    assert int(rows[0]["right"]) - int(rows[0]["left"]) == faces[0].crop.width
    assert len(read_csv(out)) == 2, "what reads OpenFace's CSVs reads this"


def test_a_face_upside_down_is_read_as_the_upright_one(astronaut, tmp_path: Path) -> None:
    columns = []
    for name, picture in (("up", astronaut), ("down", astronaut[::-1, ::-1])):
        Image.fromarray(np.ascontiguousarray(picture)).save(tmp_path / f"{name}.png")
        done = annotate(tmp_path / f"{name}.png", *ESTIMATOR)
        values = [float(line.split()[-1]) for line in done.output.splitlines()[1:18]]
        columns.append(values)
    assert np.abs(np.subtract(*columns)).mean() < 0.15


def test_openface_reads_photographs(two: Path, openface_program: Path) -> None:
    done = annotate(two, "--annotator", "openface", "--program", openface_program)
    assert done.exit_code == 0, done.output
    assert "face 2" in done.output


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"no picture", "cannot be read: not a picture"), (None, "No face was found")],
)
def test_what_has_no_face_is_a_sentence(content, sentence: str, tmp_path: Path) -> None:
    photograph = tmp_path / "a.png"
    Image.new("RGB", (200, 200), "green").save(photograph)
    if content is not None:
        photograph.write_bytes(content)
    done = annotate(photograph, *ESTIMATOR, "--out", tmp_path / "aus.csv")
    assert done.exit_code == 1 and sentence in done.output and "Traceback" not in done.output
    assert not (tmp_path / "aus.csv").exists()


def test_wrong_use_is_a_sentence(two: Path, tmp_path: Path) -> None:
    assert "are only printed" in annotate(two, *ESTIMATOR, "--overwrite").output
    assert "for shards only" in annotate(two, *ESTIMATOR, "--redo-below", 0.5).output
    done = annotate(two, *ESTIMATOR, "--out", "/proc/aus.csv")
    assert done.exit_code == 1 and "/proc/aus.csv cannot be written" in done.output
    assert annotate(tmp_path / "absent.jpg", *ESTIMATOR).exit_code == 2


def test_no_file_is_replaced_unasked(two: Path, tmp_path: Path) -> None:
    """Neither what is read nor, without --overwrite, a table that somebody may have corrected."""
    clip, table = tmp_path / "clip.mp4", tmp_path / "clip.csv"
    write_clip(clip, [np.asarray(Image.open(two))[:256, :320]] * 2, 25)
    table.write_text("mine")
    for source in (two, clip):
        before = source.read_bytes()
        done = annotate(source, *ESTIMATOR, "--out", source, "--overwrite")
        assert done.exit_code == 2 and "name another file" in done.output
        assert source.read_bytes() == before
        done = annotate(source, *ESTIMATOR, "--out", table)
        assert done.exit_code == 2 and "exists already" in done.output
    assert annotate(clip, *ESTIMATOR).exit_code == 2 and table.read_text() == "mine"
    assert annotate(clip, *ESTIMATOR, "--overwrite").exit_code == 0
    assert len(read_csv(table)) == 2
