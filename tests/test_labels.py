"""Labels from folders of OpenFace CSVs, from tables, and from GANimation's pickle."""

import collections
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from openface_helpers import SAMPLES, SHARED, face_row, needs_samples

from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS, NUMBERS
from ganim.pipeline.annotate.annotate import annotate
from ganim.pipeline.annotator import Crop
from ganim.pipeline.errors import NothingUsable, WrongUse
from ganim.pipeline.labels.annotator import Labels
from ganim.pipeline.labels.photographs import Photographs
from ganim.pipeline.openface.output import read_csv


def crop_of(source: str, box: tuple[int, int, int, int] = (0, 0, 100, 100)) -> Crop:
    return Crop(f"{source}#0", source, b"", box)


def aus_like(value: float) -> list[float]:
    """17 different AUs, from `value` (0-3) upwards."""
    return [value + 0.1 * index for index in range(17)]


def write_csv(path: Path, *faces: tuple[float, float], at: list[int] | None = None) -> None:
    """Write an OpenFace CSV of faces (confidence, value), with landmarks if `at` gives their x."""
    points = [f"{axis}_{point}" for axis in "xy" for point in range(68)] if at else []
    lines = [["face", "confidence", *points, *COLUMNS]]
    for index, (confidence, value) in enumerate(faces):
        landmarks = [at[index]] * 68 + [50] * 68 if at else []
        lines.append([str(v) for v in (index, confidence, *landmarks, *aus_like(value))])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(", ".join(line) for line in lines) + "\n")


def load(path: Path, *sources: str, **more: Any) -> Labels:
    """Labels for a set of these photographs."""
    return Labels.load(path, Photographs(sources), **more)


def look_up(labels: Labels, *sources: str) -> list[float | str | None]:
    """Look up the AU01 of each photograph, or the error."""
    readings = labels.read([crop_of(source) for source in sources])
    assert len(readings) == len(sources)
    for reading in readings:
        assert (reading.aus is None) != (reading.error is None)
        if reading.aus is not None:
            np.testing.assert_allclose(reading.aus, aus_like(reading.aus[0]), atol=1e-5)
    return [reading.error if reading.aus is None else float(reading.aus[0]) for reading in readings]


NONE = "no label for this photograph"


# A folder of CSVs


def test_csvs_are_found_by_the_whole_path(tmp_path: Path) -> None:
    write_csv(tmp_path / "a" / "photo.csv", (0.98, 1))
    write_csv(tmp_path / "b" / "photo.csv", (0.98, 2))
    write_csv(tmp_path / "photo.csv", (0.98, 3))
    sources = ["b/photo.jpg", "photo.png", "a/photo.jpg", "c/photo.jpg", "other.jpg"]
    assert look_up(load(tmp_path, *sources), *sources) == [
        2,
        3,
        1,
        "the label photo may belong to another photograph of that name",
        NONE,
    ]


def test_a_flat_csv_serves_a_subfolder_if_the_name_is_its_own(tmp_path: Path) -> None:
    write_csv(tmp_path / "one.csv", (0.98, 1))
    write_csv(tmp_path / "two.csv", (0.98, 2))
    sources = ["a/one.jpg", "a/two.jpg", "b/two.jpg", "b/two.jpg"]
    shared = "the label two may belong to another photograph of that name"
    # Whatever the order of the photographs, and whether or not all are looked up.
    for batch in (sources, sources[::-1], ["b/two.jpg"]):
        answers = look_up(load(tmp_path, *sources), *batch)
        assert answers == [1 if source == "a/one.jpg" else shared for source in batch]


def test_a_csv_deeper_down_serves_a_photograph_of_no_other_folder(tmp_path: Path) -> None:
    write_csv(tmp_path / "a" / "one.csv", (0.98, 1))
    write_csv(tmp_path / "a" / "two.csv", (0.98, 2))
    sources = ["b/one.jpg", "one.jpg", "b/two.jpg"]
    assert look_up(load(tmp_path, *sources), *sources) == [NONE, 1, NONE]


def test_photographs_that_differ_by_suffix_share_no_csv(tmp_path: Path) -> None:
    write_csv(tmp_path / "one.csv", (0.98, 1))
    labels = load(tmp_path, "one.jpg", "one.png")
    for answer in look_up(labels, "one.jpg", "one.png"):
        assert "may belong to another photograph" in str(answer)


def test_a_name_with_dots_and_foreign_bytes(tmp_path: Path) -> None:
    write_csv(tmp_path / "photo.v2.csv", (0.98, 1))
    write_csv(tmp_path / "caf\udce9.csv", (0.98, 2))
    sources = ["photo.v2.jpg", "caf\\xe9.jpg"]
    assert look_up(load(tmp_path, *sources), *sources) == [1, 2]


def test_several_faces_are_distinguished_by_landmarks_or_not_at_all(tmp_path: Path) -> None:
    write_csv(tmp_path / "marked.csv", (0.98, 1), (0.9, 2), at=[50, 350])
    write_csv(tmp_path / "plain.csv", (0.8, 1), (0.9, 2))
    write_csv(tmp_path / "single.csv", (0.98, 3), at=[700])
    labels = load(tmp_path, "marked.jpg", "plain.jpg", "single.jpg")

    def first_au(source: str, box: tuple[int, int, int, int]) -> float | str | None:
        [reading] = labels.read([crop_of(source, box)])
        return reading.error if reading.aus is None else float(reading.aus[0])

    assert first_au("marked.jpg", (0, 0, 100, 100)) == 1
    assert first_au("marked.jpg", (300, 0, 400, 100)) == 2
    assert "none of the 2 faces" in str(first_au("marked.jpg", (500, 0, 600, 100)))
    assert "does not say where" in str(first_au("plain.jpg", (0, 0, 100, 100)))
    # A single face is that of another person, or OpenFace read the photograph at another size.
    assert "not inside the crop's box" in str(first_au("single.jpg", (0, 0, 100, 100)))
    assert first_au("single.jpg", (650, 0, 750, 100)) == 3


def test_a_csv_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    write_csv(tmp_path / "unsure.csv", (0.4, 1))
    write_csv(tmp_path / "empty.csv")
    (tmp_path / "damaged.csv").write_text("face, confidence\n")
    (tmp_path / "folder.csv").mkdir()
    clip = [["frame", "confidence", *COLUMNS], ["1", "0.98", *"0" * 17], ["2", "0.98", *"0" * 17]]
    (tmp_path / "clip.csv").write_text("\n".join(",".join(row) for row in clip))
    names = ["unsure", "empty", "damaged", "folder", "clip"]
    labels = load(tmp_path, *(f"{name}.jpg" for name in names))
    answers = look_up(labels, *(f"{name}.jpg" for name in names))
    reasons = ["0.40 is below 0.7", "no face", "no column AU01_r", "cannot be read", "of a clip"]
    for answer, reason in zip(answers, reasons, strict=True):
        assert reason in str(answer)
    assert look_up(load(tmp_path, "unsure.jpg", min_confidence=0.3), "unsure.jpg") == [1]


@needs_samples
def test_labels_from_openfaces_samples() -> None:
    labels = load(SAMPLES / "images", "lfw_00459.jpg", "no_face_mountain.jpg")
    [reading, no_face] = labels.read([crop_of("lfw_00459.jpg"), crop_of("no_face_mountain.jpg")])
    [face] = read_csv(SAMPLES / "images" / "lfw_00459.csv")
    assert reading.aus is not None and reading.aus.tolist() == face.aus.tolist()
    assert reading.confidence == pytest.approx(0.983)
    assert no_face.error == NONE


# Tables


def table_of(column: str, *names: str, **more: Any) -> pd.DataFrame:
    values = {
        name: [aus_like(1 + index)[i] for index in range(len(names))]
        for i, name in enumerate(COLUMNS)
    }
    return pd.DataFrame({column: list(names), **values, **more})


@pytest.mark.parametrize("column", ["photo", "source", "file", "path", "name"])
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_table(tmp_path: Path, suffix: str, column: str) -> None:
    path = tmp_path / f"table{suffix}"
    # Not in OpenFace's order, and with a name that looks like a number.
    table = table_of(column, "00012", "a/two.jpg", confidence=[0.9, 0.8])
    table = table[[*COLUMNS[::-1], "confidence", column]]
    if suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    labels = load(path, "x/00012.jpg", "a/two.jpg", "b/two.jpg")
    assert look_up(labels, "x/00012.jpg", "a/two.jpg", "b/two.jpg") == [1, 2, NONE]
    assert labels.read([crop_of("a/two.jpg")])[0].confidence == pytest.approx(0.8)


def test_labels_without_confidence_get_1(tmp_path: Path) -> None:
    table_of("file", "one.jpg", "./b\\two.jpg").to_csv(tmp_path / "t.csv", index=False)
    [reading, other] = load(tmp_path / "t.csv", "one.jpg", "b/two.jpg").read(
        [crop_of("one.jpg"), crop_of("b/two.jpg")]
    )
    assert reading.confidence == 1.0 and reading.aus is not None and other.aus is not None


def test_rows_without_numbers_are_errors(tmp_path: Path) -> None:
    table = table_of("photo", "gap", "text", "large", "unsure", confidence=[1, 1, 1, 0.2])
    table = table.astype({"AU04_r": object})
    table.loc[0, "AU04_r"] = None
    table.loc[1, "AU04_r"] = "strong"
    table.loc[2, "AU04_r"] = 50
    table.to_csv(tmp_path / "t.csv", index=False)
    labels = load(tmp_path / "t.csv", "gap.jpg", "text.jpg", "large.jpg", "unsure.jpg")
    answers = look_up(labels, "gap.jpg", "text.jpg", "large.jpg")
    assert answers[:2] == ["AU04_r is nan, not a number in 0-5"] * 2
    assert answers[2] == "AU04_r is 50, not a number in 0-5"
    assert "below" in str(look_up(labels, "unsure.jpg")[0])


def test_of_several_rows_without_a_position_none_is_used(tmp_path: Path) -> None:
    table_of("photo", "a.jpg", "a.jpg", confidence=[0.8, 0.9]).to_parquet(tmp_path / "t.parquet")
    labels = load(tmp_path / "t.parquet", "a.jpg")
    assert "2 faces, and does not say where" in str(look_up(labels, "a.jpg")[0])


@pytest.mark.skipif(
    not (SHARED / "openface" / "labels.parquet").exists(),
    reason="../shared/openface/labels.parquet does not exist",
)
def test_the_shared_labels() -> None:
    path = SHARED / "openface" / "labels.parquet"
    table = pd.read_parquet(path)
    labels = load(path, *table["photo"])
    assert labels.name.startswith("labels labels.parquet ")
    readings = labels.read([crop_of(photo) for photo in table["photo"][::100]])
    expected = table[list(COLUMNS)].to_numpy()[::100]
    assert len(readings) == len(expected) >= 190
    aus = [reading.aus for reading in readings if reading.aus is not None]
    np.testing.assert_array_equal(np.stack(aus), expected)


# GANimation's pickle


def test_the_pickle_of_ganimation(tmp_path: Path) -> None:
    values = {"one": np.array(aus_like(1)), "two": np.array(aus_like(2), np.float32)}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path = tmp_path / f"aus_openface_{protocol}.pkl"
        path.write_bytes(pickle.dumps(values, protocol))
        labels = load(path, "one.jpg", "sub/two.jpg", "three.jpg")
        assert look_up(labels, "one.jpg", "sub/two.jpg", "three.jpg") == [1, 2, NONE]


def test_pickles_of_old_and_new_numpy(tmp_path: Path) -> None:
    """The same arrays under the names of numpy 1 and numpy 2, and as Python 2 wrote them."""
    values = {"one": np.array(aus_like(1)), "two": [np.float64(value) for value in aus_like(2)]}
    text = pickle.dumps(values, 2)
    old = text.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    new = text.replace(b"numpy.core.multiarray", b"numpy._core.multiarray")
    # Python 2 pickles bytes as a string.
    raw = np.array(aus_like(1)).tobytes()
    python2 = (
        b"(dp0\nS'one'\np1\ncnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\n"
        b"tR(I1\n(I17\ntcnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
        b"S" + repr(raw).removeprefix("b").encode() + b"\ntbs."
    )
    for index, data in enumerate((old, new, python2)):
        path = tmp_path / f"{index}.pkl"
        path.write_bytes(data)
        assert look_up(load(path, "one.jpg"), "one.jpg") == [1]
    assert look_up(load(tmp_path / "0.pkl", "two.jpg"), "two.jpg") == [2]


class Opens:
    """An object whose pickle calls a function when it is loaded."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.reduced = (call, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_in_a_pickle_is_executed(tmp_path: Path, protocol: int) -> None:
    target = tmp_path / "made"
    path = tmp_path / "aus.pkl"
    for call, named in [
        (Opens(Path(target).touch), "getattr|Path"),
        (Opens(exec, f"open({str(target)!r}, 'w')"), r"(__builtin__|builtins)\.exec"),
        (Opens(open, str(target), "w"), r"\.open"),
        (collections.Counter("ab"), r"collections\.Counter"),
    ]:
        path.write_bytes(pickle.dumps({"one": np.zeros(17), "two": call}, protocol))
        with pytest.raises(WrongUse, match=rf"aus\.pkl is refused: it needs .*({named})"):
            load(path)
        assert not target.exists()


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "aus.pkl"
    array = np.array([Opens(open, str(tmp_path / "made"), "w")] * 17, object)
    path.write_bytes(pickle.dumps({"one": array}))
    with pytest.raises(WrongUse, match="is refused"):
        load(path)
    assert not (tmp_path / "made").exists()


def test_other_codecs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "aus.pkl"
    path.write_bytes(b"c_codecs\nencode\n(Vabc\nVrot13\ntR.")
    with pytest.raises(WrongUse, match="codec rot13"):
        load(path)


def test_entries_without_17_numbers_have_no_face(tmp_path: Path) -> None:
    path = tmp_path / "aus.pkl"
    values = {"one": np.array(aus_like(1)), "long": np.zeros(35), "text": "smile", "none": None}
    path.write_bytes(pickle.dumps(values))
    sources = ["one.jpg", "long.jpg", "text.jpg", "none.jpg"]
    assert look_up(load(path, *sources), *sources) == [
        1,
        *["its label has no face"] * 3,
    ]


# Errors, names, shards


def test_errors_of_files_that_are_not_labels(tmp_path: Path) -> None:
    def fails(name: str, reason: str, content: bytes | None = None) -> None:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(WrongUse, match=reason) as raised:
            load(tmp_path / name)
        assert str(tmp_path / name) in str(raised.value)

    fails("none.parquet", r"does not exist\. Name a folder")
    fails("aus.doc", "is not a label file", b"")
    fails("aus.txt", "cannot be read as a table", b"")
    fails("empty.csv", "cannot be read as a table", b"")
    fails("broken.parquet", "cannot be read as a table", b"PAR1 and then nothing")
    fails("cut.pkl", "cannot be read as a pickle", pickle.dumps({"one": np.zeros(17)})[:-9])
    fails("empty.pkl", "cannot be read as a pickle", b"")
    fails("list.pkl", "has a list, not a dictionary", pickle.dumps([1]))
    fails("wrong.pkl", "has no image with 17 intensities", pickle.dumps({"one": [1.0, 2.0]}))
    fails("openface.csv", "does not name the photograph", b"face, confidence, AU01_r\n0, 1, 1\n")
    fails("few.csv", r"no column AU01_r, .*AU45_r; run OpenFace", b"photo, AU01_c\na.jpg, 1\n")
    (tmp_path / "bare").mkdir()
    fails("bare", r"it has no \.csv")
    (tmp_path / "bare" / "photo.csv").write_text("face, confidence\n0, 0.9\n")
    fails("bare", r"no column AU01_r, .*-aus")


def test_the_name_changes_with_the_labels(tmp_path: Path) -> None:
    write_csv(tmp_path / "csvs" / "one.csv", (0.98, 1))
    first = load(tmp_path / "csvs").name
    assert first.startswith("labels csvs ")
    shutil.copytree(tmp_path / "csvs", tmp_path / "elsewhere" / "csvs")
    assert load(tmp_path / "elsewhere" / "csvs").name == first
    write_csv(tmp_path / "csvs" / "one.csv", (0.98, 2))
    assert load(tmp_path / "csvs").name != first


def test_annotate_with_labels(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    sources = ["a/one.jpg", "b/two.jpg", "b/three.jpg"]
    rows = [face_row(source, b"a crop") for source in sources]
    shards.write_shard(folder / "train-00000.parquet", shards.rows_to_table(rows))
    write_csv(tmp_path / "csvs" / "a" / "one.csv", (0.98, 1))
    write_csv(tmp_path / "csvs" / "two.csv", (0.98, 2))

    labels = Labels.load(tmp_path / "csvs", Photographs.of_shards(folder))
    summary = annotate(folder, labels)
    assert (summary.annotated, summary.failed) == (2, 1)
    written = shards.read_shard(folder / "train-00000.parquet").to_pylist()
    assert [row["AU01_r"] for row in written] == [1, 2, None]
    assert [row["error"] for row in written] == [None, None, NONE]
    assert written[1][COLUMNS[NUMBERS.index(12)]] == pytest.approx(2.8)
    assert {row["annotator"] for row in written} == {labels.name}

    write_csv(tmp_path / "others" / "four.csv", (0.98, 1))
    with pytest.raises(WrongUse, match=r"none of the 3 photographs .* a/one\.jpg, .* four"):
        Labels.load(tmp_path / "others", Photographs.of_shards(folder))


def test_labels_that_gave_no_aus_do_not_lock_the_set(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    rows = shards.rows_to_table([face_row("one.jpg", b"a crop")])
    shards.write_shard(folder / "train-00000.parquet", rows)
    write_csv(tmp_path / "csvs" / "one.csv", (0.1, 1))
    with pytest.raises(NothingUsable):
        annotate(folder, Labels.load(tmp_path / "csvs", Photographs.of_shards(folder)))
    write_csv(tmp_path / "csvs" / "one.csv", (0.9, 1))
    corrected = Labels.load(tmp_path / "csvs", Photographs.of_shards(folder))
    assert annotate(folder, corrected).annotated == 1
