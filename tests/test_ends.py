"""How commands end: their failures, again and again, each in a process of its own.

A command that was refused once ended by SIGABRT in half of its runs. `GANIM_ENDS=50 pytest
tests/test_ends.py` runs each failure fifty times.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from shard_rows import face_row

from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS

RUNS = int(os.environ.get("GANIM_ENDS", "1"))
FAILURES = {
    "prepare --src absent --out new": 2,
    "prepare --src empty --out new": 1,
    "annotate absent": 2,
    "annotate set --annotator estimator --coding facs": 2,
    "annotate set --annotator labels --labels absent.csv": 2,
    "annotate text.mp4 --annotator estimator": 1,
    "train absent --device cpu": 2,
    "train set --aus 99 --device cpu": 2,
    "evaluate absent": 2,
    "animate absent.jpg --au 12=1": 2,
    "animate text.png --au 12=1": 1,
    "inspect absent": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, crop_jpeg: bytes) -> Path:
    folder = tmp_path_factory.mktemp("ends")
    for name in ("empty", "set"):
        (folder / name).mkdir()
    for name in ("text.mp4", "text.png"):
        (folder / name).write_text("no picture")
    row = face_row(0, crop_jpeg, annotator="another", **dict.fromkeys(COLUMNS, 1.0))
    shards.write_shard(folder / "set" / "train-00000.parquet", shards.rows_to_table([row]))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("words", FAILURES)
def test_a_failure_ends_by_its_status(folder: Path, words: str) -> None:
    statuses = []
    for _ in range(RUNS):
        done = subprocess.run(
            [sys.executable, "-m", "ganim.cli", *words.split()],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in done.stderr
        statuses.append(done.returncode)
    assert statuses == [FAILURES[words]] * RUNS, done.stdout + done.stderr
