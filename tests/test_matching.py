"""Which name in a table belongs to which photograph."""

import unicodedata
from pathlib import Path

import pytest
from label_files import names_matched

from ganim.pipeline.matching import Ambiguous, PhotographMatcher

NFC, NFD = (unicodedata.normalize(form, "Zoë Müller") for form in ("NFC", "NFD"))


def matched(entries: list[str], *photographs: str, folder: str | None = None) -> list[str | None]:
    """The entry of each photograph; `?` if it is ambiguous."""
    matcher = PhotographMatcher(photographs, entries, folder)
    found: list[str | None] = []
    for photograph in photographs:
        try:
            found.append(matcher.find(photograph))
        except Ambiguous:
            found.append("?")
    return found


@pytest.mark.parametrize(
    ("entry", "photograph", "folder"),
    [
        ("/home/a/raw/x/1.jpg", "x/1.jpg", "/home/a/raw"),
        ("raw/x/1.jpg", "x/1.jpg", "/home/a/raw"),
        ("./x/1.jpg", "x/1.jpg", None),
        (r"x\1.jpg", "x/1.jpg", None),
        (r"C:\Users\a\raw\x\1.JPG", "x/1.jpg", "/mnt/raw"),
        (r"\\server\share\x\1.jpg", "x/1.jpg", None),
        ("../raw/./x//1.jpg", "x/1.jpg", "/home/a/raw"),
        ("x/y/../1.jpg", "x/1.jpg", None),
        ("s3://bucket/raw/x/1.jpg", "x/1.jpg", "s3://bucket/raw"),
        (f"{NFD}.jpg", f"{NFC}.jpg", None),
        (f"{NFC}/1.jpg", f"{NFD}/1.jpg", None),
        ("X/1.jpg", "x/1.JPG", None),
        ("STRASSE.jpg", "straße.jpg", None),
        ("1.png", "x/1.jpg", None),
        ("x/1", "x/1.jpeg", None),
        (" 1.jpg ", "1.jpg", None),
        ("/other/machine/v1.2/1.jpg", "1.jpg", "/home/a/v1.2"),
        ("a.b.c", "a.b.c.jpg", None),
        ("clip.csv", "clip.mts", None),
    ],
)
def test_one_name_in_many_forms(entry: str, photograph: str, folder: str | None) -> None:
    assert matched([entry, "other.jpg"], photograph, folder=folder) == [entry]


def test_the_longest_common_end_decides() -> None:
    photographs = "p1/1.jpg", "p2/1.jpg"
    assert matched(["/d/p2/1.jpg", "/d/p1/1.jpg"], *photographs) == ["/d/p1/1.jpg", "/d/p2/1.jpg"]
    assert matched(["1.jpg"], *photographs) == ["?", "?"]
    assert matched(["p2/1.jpg"], *photographs) == [None, "p2/1.jpg"]
    assert matched(["/d/p1/1.jpg", "/d/p2/1.jpg"], "1.jpg", folder="/x/p2") == ["/d/p2/1.jpg"]


def test_ending_and_letter_case_decide_between_equals() -> None:
    assert matched(["a.png", "a.jpg"], "a.jpg", "a.png") == ["a.jpg", "a.png"]
    assert matched(["a.jpg", "A.jpg"], "A.jpg", "a.jpg") == ["A.jpg", "a.jpg"]
    assert matched(["a"], "a.jpg", "a.png") == ["?", "?"]
    assert matched(["a.webp", "a.tif"], "a.jpg") == ["?"]
    assert matched(["A"], "a.jpg", "a.JPG") == ["?", "?"]


def test_folders_that_tell_names_apart_are_not_left_out() -> None:
    """Person 2's fourth photograph is not that of person 1, who has no fourth in the table."""
    entries = ["p1/1.jpg", "p2/1.jpg", "p2/4.jpg"]
    assert matched(entries, "1.jpg", "4.jpg", folder="/x/p1") == ["p1/1.jpg", "?"]
    assert matched(entries, "1.jpg", "4.jpg", folder="/x/faces") == ["?", "?"]
    # These folders divide the photographs, whose names are their own.
    divided = ["train/1.jpg", "val/4.jpg"]
    assert matched(divided, "1.jpg", "4.jpg", folder="/x/faces") == divided


def test_another_folder_is_another_photograph() -> None:
    assert matched(["a/1.jpg"], "b/1.jpg") == [None]
    assert matched(["/d/ba/1.jpg"], "a/1.jpg") == [None]
    assert matched(["11.jpg"], "1.jpg") == [None]


def test_reasons_in_rows_and_one_name_of_each_side(tmp_path: Path) -> None:
    from ganim.pipeline.errors import WrongUse

    found = names_matched(tmp_path / "t.csv", ["x/1.jpg", "2.jpg"], "1.jpg", "a/2.jpg", "b/2.jpg")
    assert found[0] == 0
    assert found[1] == found[2] == "the label 2.jpg may belong to another photograph of that name"
    with pytest.raises(WrongUse, match=r"none of the 1 photographs .* is a\.jpg, .* labels b\.jpg"):
        names_matched(tmp_path / "t.csv", ["b.jpg"], "a.jpg")
