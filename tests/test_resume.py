"""prepare is run again: after kills, with new files, with other settings, with --overwrite."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import write_clip
from PIL import Image
from shard_rows import rows_by_key

from ganim.pipeline import shards
from ganim.pipeline.errors import NothingUsable, WrongUse
from ganim.pipeline.prepare import prepare
from ganim.pipeline.prepare.output import NEW_SET
from ganim.pipeline.prepare.prepare import PrepareSettings

SETTINGS = PrepareSettings(shard_rows=4, test_fraction=0.3, every=0.2)
STATUSES = {"ok": 31, "unreadable": 4, "duplicate": 5, "no_face": 1}


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    """26 photographs that all differ, 4 broken ones, 4 copies, a clip, its copy, and no face."""
    folder = tmp_path_factory.mktemp("album")
    parts = [astronaut[n : n + 330, 60 + n : 390 + n] for n in range(30)]
    for index, part in enumerate(parts):
        path = folder / f"{index:02d}.jpg"
        if index % 8 == 3:
            path.write_bytes(b"broken")
        else:
            Image.fromarray(part).save(path, quality=90)
    for index in (0, 5, 10, 15):
        copy = folder / "copies" / f"of {index:02d}.jpg"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((folder / f"{index:02d}.jpg").read_bytes())
    Image.new("RGB", (200, 200)).save(folder / "flat.png")
    write_clip(folder / "clip.mp4", parts[:10], rate=10)
    (folder / "the same clip.mp4").write_bytes((folder / "clip.mp4").read_bytes())
    return folder


@pytest.fixture(scope="module")
def undisturbed(album: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that one run leaves."""
    out = tmp_path_factory.mktemp("undisturbed")
    prepare.prepare(album, out, SETTINGS, workers=2)
    assert shards.count_statuses(out) == dict(sorted(STATUSES.items()))
    return files(out)


@pytest.fixture
def finished(undisturbed: dict[str, bytes], tmp_path: Path) -> Path:
    """A complete set that a test may change."""
    out = tmp_path / "finished"
    out.mkdir()
    for name, content in undisturbed.items():
        (out / name).write_bytes(content)
    return out


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != ".lock"}


# ---- kills

RUN = """
import sys
from pathlib import Path
from ganim.pipeline.prepare import prepare

if __name__ == "__main__":
    source, out, workers, overwrite = sys.argv[1:]
    settings = prepare.PrepareSettings(shard_rows=4, test_fraction=0.3, every=0.2)
    prepare.prepare(
        Path(source), Path(out), settings, int(workers), overwrite=overwrite == "overwrite",
        on_start=lambda *counts: print(flush=True), on_file=lambda statuses: print(flush=True),
    )
"""


@pytest.fixture
def start(album: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """A process that prepares the album and prints a line for the start and for each file."""
    (tmp_path / "run.py").write_text(RUN)

    def start(out: Path, workers: int = 1, overwrite: str = "") -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, tmp_path / "run.py", album, out, str(workers), overwrite],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    return start


def wait_for_lines(process: subprocess.Popen[bytes], count: int) -> None:
    assert process.stdout is not None
    for _ in range(count):
        process.stdout.readline()


@pytest.mark.slow
def test_killed_at_20_random_moments_it_ends_with_the_files_of_an_undisturbed_run(
    undisturbed: dict[str, bytes],
    start: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    out, moments = tmp_path / "out", random.Random(20)
    written = set()
    for number in range(20):
        with start(out, workers=1 + (number % 5 == 0)) as process:
            # Anywhere from its start to some files and milliseconds on.
            wait_for_lines(process, moments.choice([0, 1, 2, 3, 5, 8]))
            time.sleep(moments.uniform(0, 0.05))
            if number % 3:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()  # the main process alone: its workers have to see to themselves
        for name, content in files(out).items() if out.is_dir() else ():
            if name.endswith(".parquet"):
                assert content == undisturbed[name]
                written.add(name)
    with start(out, workers=2) as process:
        process.communicate()
    assert process.returncode == 0
    assert len(written) > 2, "the kills came while there was work"
    assert files(out) == undisturbed


def test_a_kill_between_writing_and_renaming_leaves_nothing_behind(
    album: Path,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    serial_pool: None,
) -> None:
    out = tmp_path / "out"
    killed = RUN.replace(
        "import sys",
        "import os, sys\n"
        "def fsync(file):\n"
        "    if '.train-00001.' in os.readlink(f'/proc/self/fd/{file}'):\n"
        "        os.killpg(0, 9)\n"
        "os.fsync = fsync\n",
        1,
    )
    (tmp_path / "killed.py").write_text(killed)
    command = [sys.executable, tmp_path / "killed.py", album, out, "1", ""]
    done = subprocess.run(command, start_new_session=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(out.glob(".*.tmp")), "the kill came between writing and renaming"
    (out / ".notes.tmp").touch()  # a file of another program
    prepare.prepare(album, out, SETTINGS)
    (out / ".notes.tmp").unlink()
    assert files(out) == undisturbed


def test_two_runs_into_one_folder_the_second_is_refused(
    album: Path,
    undisturbed: dict[str, bytes],
    start: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
    serial_pool: None,
) -> None:
    out = tmp_path / "out"
    with start(out) as process:
        wait_for_lines(process, 2)
        with pytest.raises(WrongUse, match="Another ganim is writing"):
            prepare.prepare(album, out, SETTINGS)
        process.kill()
    # The kernel has released the lock.
    prepare.prepare(album, out, SETTINGS)
    assert files(out) == undisturbed


# ---- a second run


def test_a_second_run_finds_nothing_to_do(album: Path, finished: Path) -> None:
    before = files(finished)
    starts: list[tuple[int, int]] = []
    seen: list[str] = []
    summary = prepare.prepare(
        album,
        finished,
        SETTINGS,
        on_start=lambda *counts: starts.append(counts),
        on_file=seen.extend,
    )
    assert (summary.found, summary.skipped, summary.new) == (37, 37, 0)
    assert summary.counts == dict(sorted(STATUSES.items()))
    assert (starts, seen) == ([(37, 37)], [])
    assert files(finished) == before


def test_new_files_are_counted_and_added_with_update(
    tmp_path: Path, small_jpeg: bytes, serial_pool: None
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    (source / "b").mkdir(parents=True)
    (source / "b/1.jpg").write_bytes(small_jpeg)
    prepare.prepare(source, out)
    before = files(out)

    (source / "a.jpg").write_bytes(small_jpeg)  # comes before it in order, but came later
    (source / "b/2.jpg").write_bytes(small_jpeg + b"another")
    (source / "b/3.jpg").touch()
    summary = prepare.prepare(source, out)
    assert (summary.found, summary.skipped, summary.new) == (4, 1, 3)
    assert files(out) == before, "a complete set is not touched unasked"

    summary = prepare.prepare(source, out, update=True)
    assert (summary.found, summary.skipped, summary.new) == (4, 1, 0)
    assert summary.counts == {shards.DUPLICATE: 1, shards.OK: 2, shards.UNREADABLE: 1}
    assert before.items() - files(out).items() == {("manifest.json", before["manifest.json"])}
    rows = rows_by_key(out)
    assert set(rows) == {"b/1.jpg#0", "a.jpg#", "b/2.jpg#0", "b/3.jpg#"}
    assert rows["a.jpg#"]["error"] == "the same bytes as b/1.jpg"


def test_an_update_that_was_stopped_goes_on_without_being_named(
    tmp_path: Path, small_jpeg: bytes, serial_pool: None
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "1.jpg").write_bytes(small_jpeg)
    prepare.prepare(source, out)
    (source / "2.jpg").write_bytes(small_jpeg + b"another")

    def stop(statuses: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(source, out, update=True, on_file=stop)
    assert prepare.prepare(source, out).counts == {shards.OK: 2}


@pytest.mark.parametrize(
    ("name", "earlier", "now"),
    [
        ("size", 128, 96),
        ("margin", 0.15, 0.3),
        ("test_fraction", 0.3, 0.2),
        ("faces", "largest", "all"),
        ("min_face", 0, 60),
        ("every", 0.2, 0.1),
    ],
)
def test_other_settings_are_refused_and_named(
    album: Path, finished: Path, name: str, earlier: Any, now: Any
) -> None:
    before = files(finished)
    with pytest.raises(WrongUse, match="--overwrite") as refusal:
        prepare.prepare(album, finished, replace(SETTINGS, **{name: now}))
    assert f"{name}={earlier}" in str(refusal.value) and f"{name}={now}" in str(refusal.value)
    assert files(finished) == before


def test_another_source_is_refused_and_named(album: Path, finished: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongUse) as refusal:
        prepare.prepare(tmp_path, finished, SETTINGS)
    assert str(album) in str(refusal.value) and str(tmp_path) in str(refusal.value)


def test_the_same_source_written_otherwise_is_the_same(
    album: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(album.parent)
    again = prepare.prepare(Path(album.name), finished, SETTINGS)
    assert again.skipped == again.found


def test_a_source_whose_own_name_is_not_utf_8(
    tmp_path: Path, small_jpeg: bytes, serial_pool: None
) -> None:
    source = tmp_path / os.fsdecode(b"album \xff")
    source.mkdir()
    (source / "a.jpg").write_bytes(small_jpeg)
    assert prepare.prepare(source, tmp_path / "out").skipped == 0
    assert prepare.prepare(source, tmp_path / "out").skipped == 1


def test_shards_of_unknown_settings_are_refused(
    album: Path, finished: Path, tmp_path: Path
) -> None:
    (finished / "manifest.json").unlink()
    before = files(finished)
    for overwrite in (False, True):
        with pytest.raises(WrongUse, match="manifest"):
            prepare.prepare(album, finished, SETTINGS, overwrite=overwrite)
    (finished / "manifest.json").write_text("{}")
    for overwrite in (False, True):
        with pytest.raises(WrongUse, match=r"manifest\.json"):
            prepare.prepare(album, finished, SETTINGS, overwrite=overwrite)
    assert files(finished) == before | {"manifest.json": b"{}"}


# ---- a new set


def test_overwrite_replaces_the_set_and_nothing_else(
    album: Path,
    finished: Path,
    undisturbed: dict[str, bytes],
    serial_pool: None,
) -> None:
    other = replace(SETTINGS, size=64, shard_rows=512)
    (finished / "notes.txt").write_text("mine")
    (finished / "train-00000 (copy).parquet").write_text("mine too")
    (finished / ".overwrite").mkdir()
    (finished / ".overwrite" / ".DS_Store").touch()  # as the Finder of macOS leaves it
    prepare.prepare(album, finished, other, overwrite=True)
    (finished / ".overwrite" / ".DS_Store").unlink()
    (finished / ".overwrite").rmdir()
    assert sorted(files(finished)) == [
        "manifest.json",
        "notes.txt",
        "test-00000.parquet",
        "train-00000 (copy).parquet",
        "train-00000.parquet",
    ]
    manifest = shards.read_manifest(finished)
    assert manifest is not None
    assert manifest["settings"] == asdict(other) | {"source": str(album.resolve())}
    assert manifest["counts"] == dict(sorted(STATUSES.items()))

    (finished / "notes.txt").unlink()
    (finished / "train-00000 (copy).parquet").unlink()
    prepare.prepare(album, finished, SETTINGS, overwrite=True)
    assert files(finished) == undisturbed


def test_the_old_set_stands_until_the_new_one_is_complete(
    album: Path,
    undisturbed: dict[str, bytes],
    start: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
    serial_pool: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    prepare.prepare(album, out, replace(SETTINGS, size=64))
    old = files(out)
    new = out / NEW_SET
    with start(out, overwrite="overwrite") as process:
        wait_for_lines(process, 16)
        os.killpg(process.pid, signal.SIGKILL)
    assert {path.name: path.read_bytes() for path in shards.shard_paths(out)}.items() <= old.items()
    begun = {path.name: path.stat().st_mtime_ns for path in shards.shard_paths(new)}
    assert begun, "some of the new set was there"

    # Stopped again, while the new set takes the place of the old.
    replace_file = Path.replace

    def replace_one(self: Path, target: Path) -> Path:
        if self.parent == new and target == out / "train-00001.parquet":
            raise KeyboardInterrupt
        return replace_file(self, target)

    monkeypatch.setattr(Path, "replace", replace_one)
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(album, out, SETTINGS, overwrite=True)
    monkeypatch.setattr(Path, "replace", replace_file)
    assert shards.read_manifest(new) and (out / "train-00000.parquet").stat().st_mtime_ns in (
        begun.values()
    ), "what the first run had written was not written again"

    # The next run finishes the replacement first.
    prepare.prepare(album, out, SETTINGS)
    assert files(out) == undisturbed


def test_a_new_set_without_a_face_does_not_take_the_place_of_a_good_one(
    tmp_path: Path, small_jpeg: bytes, serial_pool: None
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "1.jpg").write_bytes(small_jpeg)
    prepare.prepare(source, out)
    for _ in range(2):
        with pytest.raises(NothingUsable):
            prepare.prepare(source, out, PrepareSettings(min_face=1000), overwrite=True)
    assert Counter(row["status"] for row in rows_by_key(out).values()) == {"ok": 1}
