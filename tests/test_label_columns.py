"""Whose columns: names, separators, encodings, scales and ranges of label files."""

import codecs
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from label_files import LANDMARKS, aus_like, first_aus, landmarks_at, write_rows

from ganim.pipeline.action_units import COLUMNS, NUMBERS
from ganim.pipeline.annotator import Crop
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.labels.annotator import Labels
from ganim.pipeline.labels.photographs import Photographs

BOX = (0, 0, 100, 100)


def read(path: Path, *names: str, scale=None) -> tuple[Labels, list[np.ndarray | str]]:
    """The labels of a file, and the AUs of photographs, or the reasons."""
    labels = Labels.load(path, Photographs(names), scale=scale)
    readings = labels.read([Crop(f"{name}#0", name, b"", BOX) for name in names])
    return labels, [str(one.error) if one.aus is None else one.aus for one in readings]


def aus_of(path: Path, name: str = "a.jpg", scale=None) -> np.ndarray:
    [aus] = read(path, name, scale=scale)[1]
    assert not isinstance(aus, str), aus
    return aus


@pytest.mark.parametrize(
    "photo",
    ["photo", "file_name", "FileName", "image", "Image_Path", " path", "INPUT", "Name", "file"],
)
@pytest.mark.parametrize(
    "au", ["AU{:02d}_r", "AU{:02d}", "AU{}", "au{:02d}_r", "{}", "{:02d}", "Au_{}", "AU {:02d}"]
)
def test_columns_of_any_name(tmp_path: Path, photo: str, au: str) -> None:
    columns = [au.format(number) for number in NUMBERS]
    path = write_rows(tmp_path / "t.csv", [*columns[::-1], photo], [*aus_like(1)[::-1], "a.jpg"])
    np.testing.assert_allclose(aus_of(path), aus_like(1), rtol=1e-6)


@pytest.mark.parametrize("separator", [",", ";", "\t", ", ", " ; "])
@pytest.mark.parametrize(
    ("encoding", "bom"),
    [
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""),
        ("cp1252", b""),
    ],
)
def test_separators_and_encodings(
    tmp_path: Path, separator: str, encoding: str, bom: bytes
) -> None:
    path = write_rows(
        tmp_path / "t.csv", ["photo", *COLUMNS], ["é.jpg", *aus_like(1)], by=separator
    )
    path.write_bytes(bom + path.read_text().replace("\n", "\r\n").encode(encoding))
    np.testing.assert_allclose(aus_of(path, "é.jpg"), aus_like(1), rtol=1e-6)


def test_decimal_commas_quotes_and_a_separator_too_many(tmp_path: Path) -> None:
    values = [f"{value:.1f}".replace(".", ",") for value in aus_like(1)]
    path = write_rows(tmp_path / "t.csv", ["photo", *COLUMNS], ['"a; b.jpg"', *values, ""], by=";")
    np.testing.assert_allclose(aus_of(path, "a; b.jpg"), aus_like(1), rtol=1e-6)


def test_intensities_go_before_presences_and_other_columns(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "t.csv",
        ["name", "path", "AU01_c", "AU1", "AU01_r", "AU28_r", "AU12"],
        ["Ann", "a.jpg", 1, 0.9, 2.5, 4, 3],
    )
    aus = aus_of(path)
    assert (aus[0], aus[NUMBERS.index(12)]) == (2.5, 3) and np.isnan(aus).sum() == 15


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (["photo", "AU12", "au12"], "several columns of AU12: AU12, au12"),
        (["photo", *map(str, range(17))], "there is no AU0: they may be counted"),
        (["photo", "AU12_c", "smile"], "no column AU01_r"),
        (["face", "AU12_r"], "does not name the photograph"),
    ],
)
def test_columns_that_can_be_misread_are_refused(
    tmp_path: Path, header: list[str], reason: str
) -> None:
    path = write_rows(tmp_path / "t.csv", header, ["a.jpg", *[1] * (len(header) - 1)])
    with pytest.raises(WrongUse, match=reason) as raised:
        read(path, "a.jpg")
    assert str(raised.value).startswith(str(path))


def test_values_slightly_outside_are_clamped_and_counted(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "t.csv",
        ["photo", "AU04", "AU12"],
        ["a.jpg", -0.01, 5.02],
        ["b.jpg", -0.06, 1],
        ["c.jpg", 1, 9],
        ["d.jpg", "inf", 1],
        ["e.jpg", "", 1],
    )
    labels, [clamped, *refused] = read(path, *(f"{letter}.jpg" for letter in "abcde"))
    assert not isinstance(clamped, str)
    assert clamped[[NUMBERS.index(4), NUMBERS.index(12)]].tolist() == [0, 5]
    assert "2 values slightly outside 0 to 5 were clamped" in labels.summary(1.0)
    assert "the labels have no AU1, AU2, AU5" in labels.summary(1.0)
    assert refused == [
        "AU04_r is -0.06, not a number in 0-5",
        "AU12_r is 9, not a number in 0-5",
        "AU04_r is inf, not a number in 0-5",
        "AU04_r is nan, not a number in 0-5",
    ]


def test_scales(tmp_path: Path) -> None:
    unit = write_rows(tmp_path / "u.csv", ["photo", "AU04", "AU12"], ["a.jpg", 0.5, 1.004])
    labels, [aus] = read(unit, "a.jpg", scale="0-1")
    assert not isinstance(aus, str) and labels.name.endswith("0-1")
    assert aus[[NUMBERS.index(4), NUMBERS.index(12)]].tolist() == [2.5, 5]
    letters = write_rows(
        tmp_path / "l.csv",
        ["photo", "AU01", "AU04", "AU12"],
        ["a.jpg", "A", "e", 0],
        ["b.jpg", "D", "?", 0],
        ["c.jpg", "C", "", 0],
        ["d.jpg", 2, "B", 0],
    )
    labels, [first, *others] = read(letters, *(f"{x}.jpg" for x in "abcd"), scale="A-E")
    assert not isinstance(first, str) and labels.name.endswith("A-E")
    assert first[[0, NUMBERS.index(4), NUMBERS.index(12)]].tolist() == [1, 5, 0]
    assert all("is nan, not a number" in str(other) for other in others)
    # Letters are no numbers, unless they are asked for.
    assert "not a number" in str(read(letters, "a.jpg")[1]) or "no label" in str(
        read(letters, "a.jpg")[1]
    )


@pytest.mark.parametrize("kind", ["csv", "parquet", "pkl", "txt"])
def test_a_scale_that_may_be_0_to_1_is_asked_for(tmp_path: Path, kind: str) -> None:
    values = {f"{i}.jpg": [v / 5 for v in aus_like(i / 30)] for i in range(30)}
    table = pd.DataFrame(values, index=pd.Index(COLUMNS)).T.rename_axis("photo").reset_index()
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        table.to_csv(path, index=False)
    elif kind == "parquet":
        table.to_parquet(path)
    elif kind == "pkl":
        pd.to_pickle(values, path)
    else:
        write_rows(path, [], *([name, *aus] for name, aus in values.items()), by=" ")
    with pytest.raises(WrongUse, match=r"no AU above 1 in 30 faces.*--scale 0-1.*--scale 0-5"):
        read(path, "1.jpg")
    np.testing.assert_allclose(aus_of(path, "3.jpg", "0-1"), aus_like(0.1), rtol=1e-5)
    np.testing.assert_allclose(aus_of(path, "3.jpg", "0-5") * 5, aus_like(0.1), rtol=1e-5)


@pytest.mark.parametrize(
    "first",
    [
        "{}",
        "2\n{}",
        "# of my faces\n{}",
        "image " + " ".join(f"AU{n:02d}" for n in NUMBERS) + "\n{}",
        "\ufeff{}",
    ],
)
@pytest.mark.parametrize("separator", [" ", ",", "\t", "   "])
def test_lists_of_names_and_17_numbers(tmp_path: Path, first: str, separator: str) -> None:
    lines = [separator.join(map(str, [name, *aus_like(v)])) for name, v in (("a b", 1), ("c", 2))]
    (tmp_path / "l.txt").write_text(first.format("\n".join(lines)) + "\n")
    np.testing.assert_allclose(aus_of(tmp_path / "l.txt", "x/a b.jpg"), aus_like(1), rtol=1e-6)
    np.testing.assert_allclose(aus_of(tmp_path / "l.txt", "c.png"), aus_like(2), rtol=1e-6)


def test_a_list_whose_first_line_names_another_order(tmp_path: Path) -> None:
    numbers = [*NUMBERS[::-1]]
    lines = ["photo " + " ".join(f"AU{n}" for n in numbers), "a " + " ".join(map(str, aus_like(1)))]
    (tmp_path / "l.txt").write_text("\n".join(lines))
    np.testing.assert_allclose(aus_of(tmp_path / "l.txt"), aus_like(1)[::-1], rtol=1e-6)
    (tmp_path / "l.txt").write_text("\n".join([lines[0].replace("AU45", "AU46"), lines[1]]))
    with pytest.raises(WrongUse, match="names 16 of the 17 AUs"):
        aus_of(tmp_path / "l.txt")


def test_a_csv_without_a_header(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "l.csv", ["a.jpg", *aus_like(1)], ["b.jpg", *aus_like(2)])
    np.testing.assert_allclose(aus_of(path, "b.jpg"), aus_like(2), rtol=1e-6)


# OpenFace 2.2.0 and py-feat


def test_csvs_of_openface_22(tmp_path: Path) -> None:
    """No spaces after commas, gaze and eye landmarks before the others, dynamic presences after."""
    gaze = [f"gaze_{axis}" for axis in ("0_x", "0_y", "angle_x")]
    eyes = [f"eye_lmk_x_{point}" for point in range(56)]
    header = ["face", "confidence", *gaze, *eyes, "pose_Tx", *LANDMARKS, *COLUMNS, "AU28_c"]
    row = [0, 0.975, *[0.1] * 3, *[300] * 56, 5, *landmarks_at(50, 50), *aus_like(1), 1]
    write_rows(tmp_path / "processed" / "a.csv", header, row)
    labels, [aus] = read(tmp_path / "processed", "a.jpg")
    np.testing.assert_allclose(aus, aus_like(1), rtol=1e-6)
    assert labels.name.endswith(", OpenFace, 0-5")


PYFEAT_AUS = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43)


def pyfeat(path: Path, *rows: tuple[str, int, list, float]) -> Path:
    """A table as py-feat writes it: rows of input, frame, rectangle and value of all AUs."""
    header = ["", "FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore"]
    header += [*LANDMARKS, "Pitch", "Roll", "Yaw", *(f"AU{n:02d}" for n in PYFEAT_AUS)]
    header += ["anger", "happiness", "neutral", "input", "frame"]
    lines = []
    for index, (name, frame, rectangle, value) in enumerate(rows):
        x, y, wide, high = rectangle or [""] * 4
        points = landmarks_at(x + wide / 2, y + high / 2) if rectangle else [""] * 136
        score = 0.99 if rectangle else ""
        aus = [value if rectangle else ""] * 20
        lines += [[index, x, y, wide, high, score, *points, 0, 0, 0, *aus, 0, 1, 0, name, frame]]
    return write_rows(path, header, *lines)


def test_tables_of_pyfeat(tmp_path: Path) -> None:
    path = pyfeat(
        tmp_path / "fex.csv",
        ("/data/two.jpg", 0, [300, 0, 100, 100], 0.2),
        ("/data/two.jpg", 0, [5, 5, 90, 90], 0.6),
        ("/data/one.jpg", 1, [0, 0, 100, 100], 1.0),
        ("/data/none.jpg", 2, [], 0),
    )
    boxes = {"two.jpg": [(300, 0, 400, 100), BOX], "one.jpg": [BOX], "none.jpg": [BOX]}
    labels = Labels.load(path, Photographs(list(boxes), boxes=boxes))
    assert labels.name.endswith(", py-feat, 0-1")
    crops = [("two.jpg", (300, 0, 400, 100)), ("two.jpg", BOX), ("one.jpg", BOX), ("none.jpg", BOX)]
    assert first_aus(labels, *crops) == [1, 3, 5, "no label for this photograph"]
    assert labels.summary(1.0) == "the labels have no AU45"
    with pytest.raises(WrongUse, match="has no AU above 1"):
        many = [(f"{i}.jpg", i, [0, 0, 100, 100], 0.01 * i) for i in range(40)]
        table = pd.read_csv(pyfeat(tmp_path / "m.csv", *many)).drop(columns="FaceScore")
        table.to_csv(tmp_path / "cut.csv", index=False)
        read(tmp_path / "cut.csv", "1.jpg")
