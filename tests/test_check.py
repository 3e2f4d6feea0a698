"""The second reading: labels that were swapped between photographs are among the first."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from shard_rows import face_row

from ganim.cli import main
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.annotate.check import check, disagreement
from ganim.pipeline.annotator import Annotator, Reading
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.report.check import write_check
from ganim.pipeline.report.html import render
from ganim.pipeline.report.statistics import read_statistics


def labelled(folder: Path, crop_jpeg: bytes, labels: np.ndarray, by: str = "a table") -> Path:
    rows = [
        face_row(index, crop_jpeg, annotator=by)
        | {name: None if np.isnan(au) else float(au) for name, au in zip(COLUMNS, aus, strict=True)}
        for index, aus in enumerate(labels)
    ]
    folder.mkdir()
    shards.write_shard(folder / "train-00000.parquet", shards.rows_to_table(rows))
    return folder


class Known(Annotator):
    """Reads what it was told of each photograph; nothing of those with NaN."""

    name, batch = "known", 7

    def __init__(self, aus: np.ndarray) -> None:
        self.aus = aus

    def read(self, crops):
        found = [self.aus[int(crop.source.removesuffix(".jpg"))] for crop in crops]
        return [Reading(None if np.isnan(aus).any() else aus, error="dark") for aus in found]


def true_and_read(count: int) -> tuple[np.ndarray, np.ndarray]:
    """AUs that differ from face to face, and a reading that sees them weaker, with noise."""
    draw = np.random.default_rng(0)
    true = np.clip(draw.normal(1, 1.5, (count, 17)), 0, 5)
    return true, np.clip(0.6 * true + draw.normal(0, 0.3, true.shape), 0, 5)


@pytest.mark.parametrize(("known", "least"), [(range(17), 20), ((4, 7, 8), 10), ((8,), 5)])
def test_swapped_labels_come_first(known, least: int) -> None:
    true, read = true_and_read(1000)
    swapped = np.arange(0, 1000, 50)
    labels = true.copy()
    labels[swapped] = true[np.roll(swapped, 1)]
    first = np.argsort(-disagreement(labels[:, list(known)], read[:, list(known)]))[:50]
    assert len(set(first) & set(swapped)) >= (
        20 if len(known) == 17 else 10 if len(known) > 1 else 5
    )


def test_a_small_set_goes_by_the_plain_difference() -> None:
    labels, read = np.zeros((5, 17)), np.zeros((5, 17))
    labels[3] = 2
    assert disagreement(labels, read).tolist() == [0, 0, 0, 2, 0]


def test_check_lists_faces_and_changes_nothing(tmp_path: Path, crop_jpeg: bytes) -> None:
    true, read = true_and_read(30)
    true[5], read[5] = 0, 0
    true[5, 8] = 5
    read[7] = np.nan
    true[:, 16] = np.nan
    folder = labelled(tmp_path / "set", crop_jpeg, true)
    rows = shards.read_shard(folder / "train-00000.parquet").to_pylist()
    rows.append(face_row(30, crop_jpeg, annotator="a table") | dict.fromkeys(COLUMNS))
    shards.write_shard(folder / "train-00000.parquet", shards.rows_to_table(rows))
    before = (folder / "train-00000.parquet").read_bytes()
    progress: list[int] = []
    found = check(folder, Known(read), progress.append, lambda: progress.append(-1))
    assert sum(progress) == 0, "as many faces are read as were announced"
    assert len(found) == 29 and "7.jpg" not in {one.source for one in found}
    one = next(one for one in found if one.source == "5.jpg")
    assert (one.number, one.label, one.reading) == (12, 5, 0)
    write_check(folder, found, "known")
    lines = (folder / "check.csv").read_text().splitlines()
    assert len(lines) == 30 and lines[1].startswith(found[0].source)
    page = (folder / "check.html").read_text()
    assert page.count("data:image/jpeg") == 29 and "AU12: label 5.0, read 0.0" in page
    assert (folder / "train-00000.parquet").read_bytes() == before


def test_the_command(tmp_path: Path, crop_jpeg: bytes) -> None:
    labels = np.zeros((3, 17))
    labels[1] = 5

    def ganim(*words: str):
        return CliRunner().invoke(main, ["annotate", *words, "--check"])

    result = ganim(str(labelled(tmp_path / "set", crop_jpeg, labels)))
    assert result.exit_code == 0, result.output
    assert "3 faces were read again" in result.output and "  1.jpg: AU" in result.output
    assert (tmp_path / "set" / "check.html").exists()
    assert "<h2>Second reading</h2>" in (tmp_path / "set" / "report.html").read_text()
    assert ganim(str(tmp_path / "set"), "--coding", "facs").exit_code == 0
    result = ganim(str(tmp_path / "set"), "--overwrite")
    assert result.exit_code == 2 and "leave out --overwrite" in result.output


def test_what_cannot_be_checked(tmp_path: Path, crop_jpeg: bytes) -> None:
    true, read = true_and_read(3)
    with pytest.raises(WrongUse, match="by known itself"):
        check(labelled(tmp_path / "own", crop_jpeg, true, by="known"), Known(read))
    with pytest.raises(WrongUse, match=r"No face in .* has AUs"):
        check(labelled(tmp_path / "none", crop_jpeg, true * np.nan), Known(read))


def labels_with_two_wrong(folder: Path, crop_jpeg: bytes) -> Path:
    """Four faces, of which 1.jpg and then 2.jpg disagree most with readings of 0."""
    labels = np.zeros((4, 17))
    labels[1], labels[2, 8] = 4, 3
    return labelled(folder, crop_jpeg, labels)


def second_reading(page: str) -> list[str]:
    """The captions of the faces in the section of a report."""
    section = page.partition("<h2>Second reading</h2>")[2].partition("</section>")[0]
    return re.findall(r"<bdi>(.*?)</bdi><br>(.*?)</figcaption>", section)


def test_the_report_shows_what_a_check_found(tmp_path: Path, crop_jpeg: bytes) -> None:
    folder = labels_with_two_wrong(tmp_path / "set", crop_jpeg)
    write_check(folder, check(folder, Known(np.zeros((4, 17)))), "known")
    statistics = read_statistics(folder)
    page = render(statistics)
    assert second_reading(page)[:2] == [
        ("1.jpg", "AU01: label 4.0, read 0.0"),
        ("2.jpg", "AU12: label 3.0, read 0.0"),
    ]
    assert 'href="check.html"' in page and page == render(statistics)
    done = CliRunner().invoke(main, ["inspect", str(folder)])
    assert re.search(r"AU01 +4.0 +0.0 +1.jpg", done.output), done.output


def test_the_report_leaves_out_what_holds_no_more(tmp_path: Path, crop_jpeg: bytes) -> None:
    """Labels that were mended, shards that were made anew, a table that somebody edited."""
    folder = labels_with_two_wrong(tmp_path / "set", crop_jpeg)
    write_check(folder, check(folder, Known(np.zeros((4, 17)))), "known")
    shard = folder / "train-00000.parquet"
    rows = shards.read_shard(shard).to_pylist()
    rows[1]["AU01_r"] = 0.5
    shards.write_shard(shard, shards.rows_to_table(rows))
    assert next(name for name, _ in second_reading(render(read_statistics(folder)))) == "2.jpg"
    other = [row | {"annotator": "another"} for row in rows]
    shards.write_shard(shard, shards.rows_to_table(other))
    assert "Second reading" not in render(read_statistics(folder))
    shards.write_shard(shard, shards.rows_to_table(rows[:1]))
    assert [name for name, _ in second_reading(render(read_statistics(folder)))] == ["0.jpg"]
    for text in ("", "source,au\n", (folder / "check.csv").read_text().replace("AU", "A")):
        (folder / "check.csv").write_text(text)
        assert "Second reading" not in render(read_statistics(folder))
    (folder / "check.csv").write_bytes(b"\xff\0")
    assert read_statistics(folder).checked == []
