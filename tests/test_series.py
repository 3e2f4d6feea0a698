"""Series and landmarks: from folders, tables and clips into shards, statistics and tensors."""

import csv
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from ganim.cli import main
from ganim.model.data import load_faces
from ganim.model.landmarks import dlib_models
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.execution import pool
from ganim.pipeline.faces.crop import Box, decode_crop
from ganim.pipeline.faces.landmarks import to_crop
from ganim.pipeline.prepare.prepare import PrepareSettings, Summary, prepare
from ganim.pipeline.report import html
from ganim.pipeline.report.statistics import read_statistics

PREVIOUS = Path(__file__).parent / "data" / "previous"
PERSONS = ("ann", "bob", "sub/cem", "dee ü")
PHOTOS = [f"{person}/{number}.jpg" for person in PERSONS for number in range(3)]
FRAMES = ["clip.mp4@0.00s", "clip.mp4@1.00s"]


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    """Three photographs in each of four folders, one beside them, and a clip of two frames."""
    folder = tmp_path_factory.mktemp("album")
    parts = [astronaut[n : n + 280, 80 + n : 360 + n] for n in range(13)]
    for name, part in zip([*PHOTOS, "loose.jpg"], parts, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(part).save(folder / name, quality=95)
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", 1)
        stream.width, stream.height, stream.pix_fmt = 280, 280, "yuv420p"
        for part in parts[:2]:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(part), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return folder


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tasks run is not the point here."""

    def run(function: Any, tasks: Any, *where: Any) -> Iterator[tuple[Any, Any]]:
        return ((task, function(task)) for task in tasks)

    monkeypatch.setattr(pool, "run", run)


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    """The rows by source, with their split."""
    return {
        row["source"]: row | {"split": split}
        for split in shards.SPLITS
        for path in shards.split_paths(out, split)
        for row in shards.read_shard(path).to_pylist()
    }


def run(source: Path, out: Path, **settings: Any) -> Summary:
    return prepare(source, out, PrepareSettings(test_fraction=0.5, **settings))


def ganim(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("photo", "series"), *rows])
    return path


def write_landmarks(path: Path, points: dict[str, np.ndarray], kind: pa.DataType) -> Path:
    values = [one.ravel().astype(kind.value_type.to_pandas_dtype()) for one in points.values()]
    table = pa.table({"photo": list(points), "landmarks": pa.array(values, kind)})
    pq.write_table(table, path)
    return path


def face(left: int, top: int, side: int, count: int) -> np.ndarray:
    """(count, 2) points inside a square, in pixels."""
    return np.random.default_rng(count).uniform(0, side, (count, 2)) + np.array([left, top])


# ---- prepare


@pytest.fixture(scope="module")
def by_folder(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shards with --series folder."""
    out = tmp_path_factory.mktemp("by_folder") / "shards"
    prepare(album, out, PrepareSettings(test_fraction=0.5, series="folder"), workers=1)
    return out


def test_the_photographs_of_a_folder_and_the_frames_of_a_clip_are_series(by_folder: Path) -> None:
    series = {source: row["series"] for source, row in rows_of(by_folder).items()}
    assert series == (
        {photo: photo.rpartition("/")[0] for photo in PHOTOS}
        | {"loose.jpg": "."}
        | dict.fromkeys(FRAMES, "clip.mp4")
    )


def test_no_series_is_in_both_splits(by_folder: Path) -> None:
    rows = rows_of(by_folder).values()
    assert {row["split"] for row in rows} == {"train", "test"}
    for row in rows:
        assert row["split"] == shards.split_of(row["series"], 0.5)
    by_path = [shards.split_of(row["source"], 0.5) for row in rows]
    assert [row["split"] for row in rows] != by_path, "the test must tell the two apart"


def test_faces_of_a_series_have_dlibs_landmarks_in_coordinates_of_the_crop(
    by_folder: Path,
) -> None:
    import dlib
    import torch
    from face_recognition_models import pose_predictor_model_location

    predictor = dlib.shape_predictor(pose_predictor_model_location())
    inset = round(128 * 0.15 / 1.3)
    box = dlib.rectangle(inset, inset, 128 - inset, 128 - inset)
    for row in rows_of(by_folder).values():
        pixels = decode_crop(row["image"]["bytes"], 128)
        parts = predictor(pixels, box).parts()
        direct = [2 * (value + 0.5) / 128 - 1 for point in parts for value in (point.x, point.y)]
        np.testing.assert_allclose(row["landmarks"], direct, atol=1e-6)
        crops = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        found = dlib_models.landmarks(crops, dlib_models.hog_box(by_folder, 128))
        np.testing.assert_allclose(row["landmarks"], found.flatten(), atol=1e-6)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_names_the_series_of_photographs(album: Path, tmp_path: Path, suffix: str) -> None:
    named = {PHOTOS[0]: "x", "ann/1": "x", "sub\\cem\\2.jpg": "y ü", "loose.jpg": "y ü", "0": "no"}
    table = tmp_path / f"table{suffix}"
    if suffix == ".csv":
        write_csv(table, [*named.items(), ("bob/0.jpg", ""), ("", "x")])
    else:
        columns = {"photo": [*named, "bob/0.jpg", None], "series": [*named.values(), None, "x"]}
        pq.write_table(pa.table(columns), table)
    run(album, tmp_path / "out", series=str(table))
    rows = rows_of(tmp_path / "out")
    expected = {"ann/0.jpg": "x", "ann/1.jpg": "x", "sub/cem/2.jpg": "y ü", "loose.jpg": "y ü"}
    expected |= dict.fromkeys(FRAMES, "clip.mp4")
    for source, row in rows.items():
        assert row["series"] == expected.get(source)
        assert (row["landmarks"] is not None) == (source in expected)
        assert row["split"] == shards.split_of(expected.get(source, source), 0.5)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.list_(pa.float16(), 2 * 478), pa.large_list(pa.float64())]
)
def test_landmarks_of_a_table_are_converted_to_the_crop(
    album: Path, tmp_path: Path, kind: pa.DataType
) -> None:
    points = {"ann/0.jpg": face(60, 60, 120, 478), "loose": face(70, 50, 110, 478)}
    points["bob/1.jpg"] = face(600, 60, 120, 478)  # not of this face
    table = write_landmarks(tmp_path / "table.parquet", points, kind)
    run(album, tmp_path / "out", series="folder", landmarks=str(table))
    rows = rows_of(tmp_path / "out")
    assert {source for source, row in rows.items() if row["landmarks"]} == {
        "ann/0.jpg",
        "loose.jpg",
    }, "dlib's landmarks are other points, so they do not stand beside those of a table"
    for source, name in (("ann/0.jpg", "ann/0.jpg"), ("loose.jpg", "loose")):
        left, top, right, bottom = rows[source]["crop"]
        found = np.array(rows[source]["landmarks"]).reshape(478, 2)
        back = (found + 1) / 2 * [right - left, bottom - top] + [left, top]
        np.testing.assert_allclose(back, points[name], atol=0.1)


def test_the_edges_of_a_crop_are_at_one() -> None:
    corners = np.array([[-10, 5], [90, 105], [40, 55]])
    np.testing.assert_array_equal(
        to_crop(corners, Box(-10, 5, 90, 105)), [[-1, -1], [1, 1], [0, 0]]
    )


def test_without_series_photographs_have_none_but_frames_do(album: Path, tmp_path: Path) -> None:
    run(album, tmp_path / "out")
    for source, row in rows_of(tmp_path / "out").items():
        in_clip = source in FRAMES
        assert row["series"] == ("clip.mp4" if in_clip else None)
        assert len(row["landmarks"] or []) == (136 if in_clip else 0)


def test_of_several_faces_the_largest_is_the_person(album: Path, tmp_path: Path) -> None:
    with Image.open(album / "loose.jpg") as photograph:
        both = Image.new("RGB", (700, 420))
        both.paste(photograph, (0, 0))
        both.paste(photograph.resize((420, 420)), (280, 0))
    (tmp_path / "source/two").mkdir(parents=True)
    both.save(tmp_path / "source/two/two.png")
    run(tmp_path / "source", tmp_path / "out", series="folder", faces="all")
    rows = [row for p in shards.shard_paths(tmp_path / "out") for row in pq_rows(p)]
    assert [(row["key"], row["series"]) for row in rows] == [
        ("two/two.png#0", "two"),
        ("two/two.png#1", None),
    ]
    assert rows[0]["landmarks"] and rows[1]["landmarks"] is None


def pq_rows(path: Path) -> list[dict[str, Any]]:
    return shards.read_shard(path).to_pylist()


def test_a_set_has_one_table_of_series_wherever_it_is(album: Path, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "a.csv", [(PHOTOS[0], "x"), (PHOTOS[3], "y")])
    run(album, tmp_path / "out", series=str(table))
    manifest = shards.read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest["settings"]["series"].startswith("table ")
    assert str(tmp_path) not in manifest["settings"]["series"]
    same = write_csv(tmp_path / "b.csv", [(PHOTOS[3], "y"), (PHOTOS[0], "x")])
    assert run(album, tmp_path / "out", series=str(same)).skipped == 14
    other = write_csv(tmp_path / "a.csv", [(PHOTOS[0], "x"), (PHOTOS[3], "x")])
    for series in (str(other), "folder", None):
        with pytest.raises(WrongUse, match="was prepared with series=table "):
            run(album, tmp_path / "out", series=series)


KILLED = """
import os, signal, sys
from pathlib import Path
from ganim.pipeline.prepare.prepare import PrepareSettings, prepare

if __name__ == "__main__":
    source, out, series, landmarks = sys.argv[1:]
    done = []
    def on_file(statuses):
        done.append(statuses)
        if len(done) == 9:
            os.kill(os.getpid(), signal.SIGKILL)
    settings = PrepareSettings(
        test_fraction=0.5, shard_rows=2, series=series, landmarks=landmarks
    )
    prepare(Path(source), Path(out), settings, workers=1, on_file=on_file)
"""


def test_a_killed_run_ends_as_one_that_was_not_killed(album: Path, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "a.csv", [(photo, photo[:3]) for photo in PHOTOS[2:10]])
    points = {photo: face(60, 60, 120, 68) for photo in PHOTOS[4:]}
    landmarks = write_landmarks(tmp_path / "a.parquet", points, pa.list_(pa.float32()))
    settings = {"shard_rows": 2, "series": str(table), "landmarks": str(landmarks)}
    (tmp_path / "run.py").write_text(KILLED)
    out = tmp_path / "out"
    words = [sys.executable, tmp_path / "run.py", album, out, table, landmarks]
    done = subprocess.run(words, check=False)
    assert done.returncode == -signal.SIGKILL
    assert 0 < run(album, out, **settings).skipped < 14
    run(album, tmp_path / "undisturbed", **settings)
    files = [
        {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
        for folder in (out, tmp_path / "undisturbed")
    ]
    assert files[0] == files[1]


# ---- bad tables


@pytest.mark.parametrize(
    ("option", "name", "content", "said"),
    [
        ("series", "absent.csv", None, "cannot be read as a table: No such file"),
        ("series", "absent", None, "is not a table"),
        ("series", "a.csv", b"", "lacks the column photo and the column series"),
        ("series", "a.csv", b"photo,who\nloose.jpg,x\n", "lacks the column series"),
        ("series", "a.csv", b"photo,series\n\xff\xfe,x\n", "cannot be read as a table"),
        ("series", "a.csv", b"photo,series\n", "names none of the 13 photographs"),
        ("series", "a.csv", b"photo,series\nabsent.jpg,x\n", "it begins with absent.jpg"),
        ("series", "a.csv", b"photo,series\nloose.jpg,x\nloose.jpg,y\n", "in two series, x and y"),
        ("series", "a.parquet", b"nothing", "cannot be read as a table"),
        ("series", "a.parquet", {"photo": ["loose.jpg"], "series": [1.5]}, "must hold texts"),
        ("landmarks", "a.csv", b"photo,landmarks\n", "is not a .parquet"),
        ("landmarks", "absent.parquet", None, "No such file"),
        ("landmarks", "a.parquet", {"photo": ["loose.jpg"]}, "lacks the column landmarks"),
        ("landmarks", "a.parquet", {"photo": ["a"], "landmarks": ["x"]}, "lists of numbers"),
        ("landmarks", "a.parquet", {"photo": ["a"], "landmarks": [[1.0]]}, "hold 1 numbers"),
        (
            "landmarks",
            "a.parquet",
            {"photo": ["a", "b"], "landmarks": [[1.0] * 136, [1.0] * 956]},
            "hold 136, 956 numbers",
        ),
        (
            "landmarks",
            "a.parquet",
            {"photo": ["a"] * 2, "landmarks": [[1.0] * 136] * 2},
            "several rows of landmarks",
        ),
        (
            "landmarks",
            "a.parquet",
            {"photo": ["absent.jpg"], "landmarks": [[1.0] * 136]},
            "names none of the 13 photographs",
        ),
    ],
)
def test_a_bad_table_is_a_sentence(
    album: Path, tmp_path: Path, option: str, name: str, content: Any, said: str
) -> None:
    if isinstance(content, dict):
        pq.write_table(pa.table(content), tmp_path / name)
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    words = ["prepare", "--src", album, "--out", tmp_path / "out"]
    done = ganim(*words, f"--{option}", tmp_path / name)
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert said in done.output and name in done.output
    assert not (tmp_path / "out").exists()


# ---- earlier shards


def test_shards_of_earlier_versions_have_no_series(tmp_path: Path) -> None:
    faces = load_faces(PREVIOUS / "shards", "train", 64)
    assert faces.series == [None] * len(faces) and faces.landmarks is None
    # annotate writes such shards anew, with the columns of this version.
    shutil.copytree(PREVIOUS / "shards", tmp_path / "shards")
    done = ganim("annotate", tmp_path / "shards", "--annotator", "estimator", "--overwrite")
    assert done.exit_code == 0, done.output
    names = pq.ParquetFile(tmp_path / "shards/train-00000.parquet").schema_arrow.names
    assert names == shards.SCHEMA.names
    assert load_faces(tmp_path / "shards", "train", 64).series == [None] * len(faces)


# ---- after prepare


@pytest.fixture
def annotated(by_folder: Path, tmp_path: Path) -> Path:
    """The same shards with AUs."""
    folder = Path(shutil.copytree(by_folder, tmp_path / "annotated"))
    aus = {name: number / 4 for number, name in enumerate(COLUMNS)} | {"annotator": "test"}
    for path in shards.shard_paths(folder):
        rows = [row | aus for row in pq_rows(path)]
        shards.write_shard(path, shards.rows_to_table(rows))
    return folder


def test_tensors_have_series_and_landmarks(annotated: Path) -> None:
    path = shards.split_paths(annotated, "train")[0]
    rows = pq_rows(path)
    rows[1] |= {"series": None, "landmarks": None}
    shards.write_shard(path, shards.rows_to_table(rows))
    faces = load_faces(annotated, "train", 64)
    assert faces.series == [row["series"] for row in rows]
    assert faces.landmarks is not None and faces.landmarks.shape == (len(rows), 68, 2)
    assert bool(faces.landmarks[1].isnan().all())
    np.testing.assert_array_equal(faces.landmarks[2].flatten(), np.float32(rows[2]["landmarks"]))
    some = faces.subset(np.array([2, 0]))
    assert some.series == [faces.series[2], faces.series[0]] and some.landmarks is not None
    np.testing.assert_array_equal(some.landmarks, faces.landmarks[[2, 0]])


def test_landmarks_of_two_schemes_are_refused(annotated: Path) -> None:
    path = shards.split_paths(annotated, "train")[0]
    rows = pq_rows(path)
    rows[1]["landmarks"] = [0.0] * 956
    shards.write_shard(path, shards.rows_to_table(rows))
    with pytest.raises(WrongUse, match="68 and with 478 landmarks"):
        load_faces(annotated, "train", 64)


def test_inspect_counts_series(by_folder: Path, annotated: Path) -> None:
    done = ganim("inspect", annotated)
    assert done.exit_code == 0, done.output
    rows = rows_of(by_folder).values()
    by_split = [[row for row in rows if row["split"] == split] for split in shards.SPLITS]
    counts = {
        "series": [len({row["series"] for row in some}) for some in by_split],
        "faces in series": [len(some) for some in by_split],
        "faces with 68 landmarks": [len(some) for some in by_split],
    }
    lines = [line.split() for line in done.output.splitlines()]
    for name, numbers in counts.items():
        assert [*name.split(), *map(str, numbers)] in lines, done.output
    assert "1 of 6 series have one face only" in done.output


def test_the_page_shows_a_row_of_faces_for_some_series(annotated: Path) -> None:
    statistics = read_statistics(annotated)
    assert dict(statistics.series["faces"]) == {".": 1, "clip.mp4": 2} | dict.fromkeys(PERSONS, 3)
    page = html.render(statistics)
    assert page == html.render(statistics)
    section = page.partition("<h2>Series</h2>")[2].partition("</section>")[0]
    for name, count in {"clip.mp4": 2, "ann": 3, "dee ü": 3}.items():
        shown = section.partition(f"<bdi>{name}</bdi>")[2].partition("<h3>")[0]
        assert f"{count} faces" in shown and shown.count("<figure") == count
    assert "<bdi>.</bdi>" not in section, "one face is no pair"


def test_a_page_without_series_does_not_mention_them() -> None:
    statistics = read_statistics(PREVIOUS / "shards")
    assert statistics.series.empty
    assert "eries</h2>" not in html.render(statistics)
