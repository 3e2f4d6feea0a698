"""prepare on a folder of damaged and odd files: nothing crashes, and each file has a row."""

import os
import subprocess
import sys
from pathlib import Path

import hostile
import pyarrow.parquet as pq
import pytest

GANIM = Path(sys.executable).with_name("ganim")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> hostile.Folder:
    made = hostile.make(tmp_path_factory.mktemp("hostile") / "raw")
    assert len(made.entries) >= 200 and len(made.good) > 50 and len(made.bombs) > 10
    return made


@pytest.mark.slow
def test_prepare_accounts_for_every_file(folder: hostile.Folder, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    command = [GANIM, "prepare", "--src", folder.path, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr

    rows = [
        row
        for shard in out.glob("*.parquet")
        for row in pq.read_table(shard, columns=["source", "status", "error"]).to_pylist()
    ]
    status = {row["source"]: row["status"] for row in rows}
    assert len(status) == len(rows), "a photograph with two rows"
    known = {_source_name(name): name for name in folder.entries}
    assert set(status) <= set(known)
    assert all(row["error"] for row in rows if row["status"] != "ok")

    # What has no row is no picture by its name, or no regular file.
    others = {name for name in set(known) - set(status) if not name.startswith("special/")}
    assert others == {f"lying/{name}" for name in hostile.NO_PICTURES}
    lost = {
        name: status.get(name)
        for name in map(_source_name, folder.good)
        if status.get(name) not in ("ok", "duplicate")
    }
    assert not lost
    assert {status[name.decode()] for name in folder.bombs} == {"too_large"}


def _source_name(name: bytes) -> str:
    """As the shards write it."""
    return name.decode("utf-8", "backslashreplace")


def test_bombs_are_refused_before_memory_is_taken(folder: hostile.Folder) -> None:
    """In a process of its own, whose peak shows what each of them took."""
    script = """
import resource, sys
from pathlib import Path
from ganim.pipeline.faces.extract import extract_faces
from ganim.pipeline.images.decode import TooLarge
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
extract_faces(Path(sys.argv[1]))
for path in sys.argv[2:]:
    before = peak()
    try:
        extract_faces(Path(path))
    except TooLarge:
        print(round(peak() - before), path)
"""
    paths = [folder.path / os.fsdecode(name) for name in sorted(folder.bombs)]
    good = folder.path / "good/plain.jpg"
    done = subprocess.run(
        [sys.executable, "-c", script, good, *paths], capture_output=True, text=True, check=True
    )
    grown = dict(line.split(" ", 1)[::-1] for line in done.stdout.splitlines())
    assert set(grown) == {str(path) for path in paths}
    assert all(int(megabytes) < 200 for megabytes in grown.values()), grown
