"""Sets whose labels have some of the 17 AUs: what they train, and what reports say."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from label_files import write_rows
from shard_rows import face_row

from ganim.cli import main
from ganim.model.data import aus_to_train, load_faces
from ganim.model.networks.load import load_generator
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS, NUMBERS
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.report.findings import list_findings
from ganim.pipeline.report.html import render
from ganim.pipeline.report.statistics import read_statistics

BP4D = (6, 10, 12, 14, 17)


@pytest.fixture
def folder(tmp_path: Path, crop_jpeg: bytes) -> Path:
    """Twelve faces to train on and four held out, with labels like BP4D's for all but one."""
    draw = np.random.default_rng(0)
    rows = []
    for split, start, count in (("train", 0, 12), ("test", 12, 4)):
        faces = [face_row(start + index, crop_jpeg) for index in range(count)]
        path = tmp_path / "set" / f"{split}-00000.parquet"
        path.parent.mkdir(exist_ok=True)
        shards.write_shard(path, shards.rows_to_table(faces))
        rows += [[row["source"], *draw.uniform(0, 5, 5).round(2)] for row in faces]
    rows[3][2] = 9  # BP4D's code for an AU that was not seen
    write_rows(tmp_path / "bp4d.csv", ["file", *(f"AU{n:02d}" for n in BP4D)], *rows)
    result = ganim(
        "annotate", tmp_path / "set", "--annotator", "labels", "--labels", tmp_path / "bp4d.csv"
    )
    assert result.exit_code == 0, result.output
    assert "15 faces have AUs, 1 have a reason" in result.output
    assert "the labels have no AU1, AU2" in result.output
    return tmp_path / "set"


def ganim(*words: object):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def test_what_there_is_is_trained(folder: Path, tmp_path: Path) -> None:
    assert shards.known_aus(folder) == BP4D
    faces = load_faces(folder, "train", 64)
    assert len(faces) == 11 and not faces.aus.isnan().any()
    present = [number in BP4D for number in NUMBERS]
    assert ((faces.aus.numpy() != 0).any(0) == present).all()
    tiny = "--size 64 --batch 4 --epochs 1 --decay-epochs 0 --width 8 --blocks 1 --critic-width 8"
    small = [*tiny.split(), "--critic-layers", "4", "--device", "cpu", "--run", tmp_path / "run"]
    result = ganim("train", folder, *small)
    assert result.exit_code == 0, result.output
    assert "The faces have AU6, AU10, AU12, AU14 and AU17 only" in result.output
    generator, _ = load_generator(tmp_path / "run" / "generator.safetensors")
    assert generator.settings.aus == BP4D


def test_what_is_not_there_cannot_be_asked_for(folder: Path) -> None:
    assert aus_to_train(folder, (12, 17), True) == (12, 17)
    for asked, chosen in (((1, 12), True), ((1, 2), False), (NUMBERS, True)):
        with pytest.raises(WrongUse, match=r"No face in .* has AU1.*It has AU6, AU10"):
            aus_to_train(folder, asked, chosen)
    result = ganim("train", folder, "--aus", "1,12", "--dry-run")
    assert result.exit_code == 2 and "No face in" in result.output


def test_reports_say_which(folder: Path) -> None:
    statistics = read_statistics(folder)
    assert [au.column for au in statistics.au_statistics()] == [f"AU{n:02d}" for n in BP4D]
    assert statistics.correlations().shape == (5, 5) and len(statistics.annotated) == 15
    texts = [finding.text for finding in list_findings(statistics)]
    assert any("no AU01, AU02, AU04" in text and "other 5 AUs" in text for text in texts)
    page = render(statistics)
    assert "cheek raiser" in page and "lid tightener" not in page
    assert "AU10" in ganim("inspect", folder).output
    rows = shards.read_shard(folder / "train-00000.parquet").to_pylist()
    assert [name for name in COLUMNS if rows[0][name] is not None] == [
        f"AU{number:02d}_r" for number in BP4D
    ]
    assert rows[3]["error"] == "AU10_r is 9, not a number in 0-5"
