"""How commands end: again and again, each in a process of its own.

A command that was refused once ended by SIGABRT in half of its runs, as threads of Arrow were alive
when Python ended. `GANIM_ENDS=50 pytest tests/test_ends.py` runs each command fifty times.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clips import write_clip
from PIL import Image
from shard_rows import face_row

from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS

ROOT = Path(__file__).parents[1]
RUNS = int(os.environ.get("GANIM_ENDS", "1"))
ENDS = {
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
    # After worker processes, or in the middle of a set.
    "prepare --src grey --out grey-set": 1,
    "prepare --src grey --out third --series names.parquet": 2,
    "prepare --src grey --out set": 2,
    "annotate damaged --annotator estimator": 2,
    "inspect damaged": 2,
    "train damaged --device cpu": 2,
    "evaluate damaged": 2,
    # After shards, a table, and pandas were read.
    "annotate set --annotator labels --labels names.parquet": 2,
    "annotate set --annotator labels --labels labels.parquet": 2,
    "annotate set --annotator labels --labels set/train-00000.parquet --scale 0-1": 2,
    "train mixed --device cpu": 2,
    "train set --run text.png --device cpu": 2,
    "evaluate set --weights text.png": 2,
    "annotate own --check": 2,
    # After torch and the detector have worked.
    "annotate grey.png --annotator estimator": 1,
    "annotate grey.mp4 --annotator estimator": 1,
    "animate grey.png --au 12=1": 1,
    "animate face.png --au 12=1 -o text.png/face.png": 1,
    "animate face.png --au 12=1 --face 2": 2,
    "export text.png": 2,
    # Commands that end well, with the same threads.
    "inspect set": 0,
    "annotate set --check": 0,
    "animate face.png --au 12=1 -o smile.png": 0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, crop_jpeg: bytes) -> Path:
    """Where the commands run."""
    from ganim.model.estimator.annotator import EstimatorAnnotator

    folder = tmp_path_factory.mktemp("ends")
    for name in ("empty", "grey", "damaged"):
        (folder / name).mkdir()
    for name in ("text.mp4", "text.png", "damaged/train-00000.parquet"):
        (folder / name).write_text("no picture")
    (folder / "face.png").write_bytes((ROOT / "examples" / "astronaut.png").read_bytes())
    grey = np.full((200, 200, 3), 128, np.uint8)
    for name in ("grey.png", "grey/a.png"):
        Image.fromarray(grey).save(folder / name)
    write_clip(folder / "grey.mp4", [grey] * 3, 10)
    aus = dict.fromkeys(COLUMNS, 1.5)
    for name, annotators in {
        "set": ("another", "another"),
        "mixed": ("another", "a third"),
        "own": (EstimatorAnnotator().name,) * 2,
    }.items():
        rows = [face_row(n, crop_jpeg, annotator=one, **aus) for n, one in enumerate(annotators)]
        shards.write_shard(folder / name / "train-00000.parquet", shards.rows_to_table(rows))
    pd.DataFrame({"photo": ["b.jpg"], "name": ["b"]}).to_parquet(folder / "names.parquet")
    pd.DataFrame([{"photo": "0.jpg"} | aus]).to_parquet(folder / "labels.parquet")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("words", ENDS)
def test_a_command_ends_by_its_status(folder: Path, words: str) -> None:
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
    assert statuses == [ENDS[words]] * RUNS, done.stdout + done.stderr


_THREADS = """
import os, sys
from pathlib import Path
import pandas
from ganim.pipeline import shards
from ganim.pipeline.labels.tables import read_table
from ganim.pipeline.prepare.tables import read_parquet

def read_set(shard):
    return shards.annotated_faces(shard.parent, "train")

def read_as_labels(shard):
    return read_table(shard)

def read_as_series(shard):
    return read_parquet(shard, ["source", "series"])

before = set(os.listdir("/proc/self/task"))
globals()[sys.argv[1]](Path(sys.argv[2]))
print(len(set(os.listdir("/proc/self/task")) - before))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
@pytest.mark.parametrize("reader", ["read_set", "read_as_labels", "read_as_series"])
def test_reading_parquet_leaves_no_thread_behind(folder: Path, reader: str) -> None:
    """Such threads may hold what they read while Python ends, which aborts the process."""
    shard = folder / "set" / "train-00000.parquet"
    done = subprocess.run(
        [sys.executable, "-c", _THREADS, reader, str(shard)], capture_output=True, text=True
    )
    assert done.stdout == "0\n", done.stderr
