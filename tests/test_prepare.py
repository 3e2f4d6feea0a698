"""Photographs to shards: a folder as people have them, and runs that are killed."""

import io
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganim.pipeline import engine, prepare, shards
from ganim.pipeline.errors import NothingUsable, WrongUse
from ganim.pipeline.faces import crop_box, cut_crop, detect_faces
from ganim.pipeline.images import read_image
from ganim.pipeline.prepare import PrepareSettings, Summary, find_photographs

GOOD = (
    "a.jpg",
    "upper case.JPG",
    "nested/deeper/still deeper/c d.jpeg",
    "ünï/ß 写真.jpg",
    "new\nline.jpg",
    "quote'\"$(x);.jpg",
    "a png.jpg",
    os.fsdecode(b"bytes \xff\xfe.jpg"),
)
BAD = {
    "empty.jpg": shards.UNREADABLE,
    "text.png": shards.UNREADABLE,
    "truncated.jpg": shards.UNREADABLE,
    "nested/link to nothing.jpg": shards.UNREADABLE,
    "huge.pgm": shards.TOO_LARGE,
    "flat.png": shards.NO_FACE,
    "nested/one pixel.png": shards.NO_FACE,
}
OTHERS = ("notes.txt", "clip.mp4", "no suffix", "nested/a.jpg.part")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, small_jpeg: bytes) -> Path:
    """A folder of good, bad and odd files."""
    folder = tmp_path_factory.mktemp("mixed") / "my photographs"
    for name in (*GOOD, *BAD, *OTHERS, ".hidden.jpg", ".hidden/a.jpg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(small_jpeg)
    with Image.open(io.BytesIO(small_jpeg)) as picture:
        picture.save(folder / "a png.jpg", "PNG")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_text("I am no picture")
    (folder / "truncated.jpg").write_bytes(small_jpeg[: len(small_jpeg) // 2])
    (folder / "nested/link to nothing.jpg").unlink()
    (folder / "nested/link to nothing.jpg").symlink_to("nothing.jpg")
    (folder / "huge.pgm").write_bytes(b"P5 60000 60000 255\n")
    Image.new("RGB", (300, 200), "grey").save(folder / "flat.png")
    Image.new("RGB", (1, 1)).save(folder / "nested/one pixel.png")
    return folder


@pytest.fixture(scope="module")
def prepared(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """What one run makes of the mixed folder."""
    out = tmp_path_factory.mktemp("prepared") / "shards"
    return out, prepare.prepare(mixed, out, workers=2)


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    """The rows by key; no key may stand twice."""
    rows = [row for path in shards.shard_paths(out) for row in shards.read_shard(path).to_pylist()]
    by_key = {row["key"]: row for row in rows}
    assert len(by_key) == len(rows)
    return by_key


def name_of(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def in_process(function: Any, tasks: Any, workers: int) -> Iterator[tuple[Any, Any]]:
    """Stands in for engine.run where the processes are not the point."""
    return ((task, function(task)) for task in tasks)


# ---- one run


def test_every_photograph_is_one_row(prepared: tuple[Path, Summary]) -> None:
    out, summary = prepared
    rows = rows_of(out).values()
    expected = {name: shards.OK for name in GOOD} | BAD
    assert {row["source"]: row["status"] for row in rows} == {
        name_of(name): status for name, status in expected.items()
    }
    assert len(rows) == len(expected)
    assert summary == Summary(
        found=len(expected),
        skipped=0,
        counts=dict(Counter(expected.values())),
        other_files=len(OTHERS),
    )
    manifest = shards.read_manifest(out)
    assert manifest is not None and manifest["counts"] == summary.counts


def test_a_row_without_a_face_has_a_reason_and_no_picture(prepared: tuple[Path, Summary]) -> None:
    for row in rows_of(prepared[0]).values():
        if row["status"] == shards.OK:
            assert row["error"] is None
        else:
            assert row["error"] and row["image"] is None and row["crop"] is None
            # Known as soon as it could be decoded.
            assert (row["source_width"] is None) == (row["status"] != shards.NO_FACE)


def test_a_row_with_a_face_says_where_it_was(mixed: Path, prepared: tuple[Path, Summary]) -> None:
    row = rows_of(prepared[0])["a.jpg#0"]
    photograph = read_image(mixed / "a.jpg")
    (face,) = detect_faces(photograph)
    crop = crop_box(face.box)
    assert (row["source_width"], row["source_height"], row["face_index"]) == (256, 256, 0)
    assert row["box"] == face.box.as_list() and row["crop"] == crop.as_list()
    assert row["detection_score"] == pytest.approx(face.score)
    assert row["AU12_r"] is None and row["annotator"] is None

    with Image.open(io.BytesIO(row["image"]["bytes"])) as picture:
        stored = np.asarray(picture)
    cut = cut_crop(photograph, crop, 128)
    assert stored.shape == (128, 128, 3)
    assert np.abs(stored.astype(int) - cut).mean() < 4


def test_rows_stand_on_the_side_their_name_says(prepared: tuple[Path, Summary]) -> None:
    for split in shards.SPLITS:
        for path in shards.split_paths(prepared[0], split):
            for source in shards.read_shard(path).column("source").to_pylist():
                assert shards.split_of(source, 0.1) == split


def test_progress_tells_of_every_photograph(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "run", in_process)
    starts: list[tuple[int, int]] = []
    seen: list[str] = []
    summary = prepare.prepare(
        mixed, tmp_path, on_start=lambda *told: starts.append(told), on_photograph=seen.append
    )
    assert starts == [(summary.found, 0)]
    assert Counter(seen) == summary.counts


# ---- what is walked


def test_out_inside_the_source_is_not_walked(mixed: Path, small_jpeg: bytes) -> None:
    photographs, others = find_photographs(mixed, mixed / "shards")
    out = mixed / "shards"
    out.mkdir()
    (out / "grid.png").write_bytes(small_jpeg)
    (out / "train-00000.parquet").touch()
    try:
        assert find_photographs(mixed, out) == (photographs, others)
        # As the person may type it.
        assert find_photographs(mixed, mixed / "nested" / ".." / "shards") == (photographs, others)
        assert len(find_photographs(mixed, mixed.parent / "elsewhere")[0]) == len(photographs) + 1
    finally:
        for path in out.iterdir():
            path.unlink()
        out.rmdir()


def test_links_to_folders_are_not_followed_in_circles(tmp_path: Path, small_jpeg: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(small_jpeg)
    (tmp_path / "b.jpg").symlink_to("a.jpg")
    (tmp_path / "round").symlink_to(".", target_is_directory=True)
    (tmp_path / "folder.jpg").mkdir()
    found, others = find_photographs(tmp_path, tmp_path / "out")
    assert (found, others) == ([Path("a.jpg"), Path("b.jpg")], 0)


# ---- a second run


def test_a_second_run_finds_nothing_to_do(
    mixed: Path, prepared: tuple[Path, Summary], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, first = prepared
    before = {path: path.read_bytes() for path in out.iterdir()}
    tasks: list[Any] = []
    monkeypatch.setattr(engine, "run", lambda _, todo, workers: iter(tasks.extend(todo) or []))
    starts: list[tuple[int, int]] = []
    second = prepare.prepare(mixed, out, on_start=lambda *told: starts.append(told))
    assert tasks == []
    assert second == replace(first, skipped=first.found)
    assert starts == [(first.found, first.found)]
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_a_new_photograph_is_added(
    tmp_path: Path, small_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "run", in_process)
    source, out = tmp_path / "source", tmp_path / "out"
    (source / "a").mkdir(parents=True)
    (source / "a/1.jpg").write_bytes(small_jpeg)
    prepare.prepare(source, out)
    first = shards.shard_paths(out)
    before = [path.read_bytes() for path in first]

    (source / "a/2.jpg").write_bytes(small_jpeg)
    (source / "a/3.jpg").touch()
    summary = prepare.prepare(source, out)
    assert (summary.found, summary.skipped) == (3, 1)
    assert summary.counts == {shards.OK: 2, shards.UNREADABLE: 1}
    assert [path.read_bytes() for path in first] == before, "finished shards are not touched"
    assert set(rows_of(out)) == {"a/1.jpg#0", "a/2.jpg#0", "a/3.jpg#"}


@pytest.mark.parametrize(
    ("name", "earlier", "now"),
    [("size", 128, 96), ("margin", 0.15, 0.3), ("test_fraction", 0.1, 0.2)],
)
def test_other_settings_are_refused_and_named(
    mixed: Path, prepared: tuple[Path, Summary], name: str, earlier: float, now: float
) -> None:
    settings = replace(PrepareSettings(), **{name: now})
    with pytest.raises(WrongUse) as refusal:
        prepare.prepare(mixed, prepared[0], settings)
    assert f"{name}={earlier}" in str(refusal.value) and f"{name}={now}" in str(refusal.value)


def test_another_source_is_refused_and_named(
    mixed: Path, prepared: tuple[Path, Summary], tmp_path: Path
) -> None:
    with pytest.raises(WrongUse) as refusal:
        prepare.prepare(tmp_path, prepared[0])
    assert str(mixed) in str(refusal.value) and str(tmp_path) in str(refusal.value)


def test_the_same_source_written_otherwise_is_the_same(
    mixed: Path, prepared: tuple[Path, Summary], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mixed.parent)
    again = prepare.prepare(Path(mixed.name), prepared[0])
    assert again.skipped == again.found


def test_a_source_whose_own_name_is_not_utf_8(
    tmp_path: Path, small_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "run", in_process)
    source = tmp_path / os.fsdecode(b"album \xff")
    source.mkdir()
    (source / "a.jpg").write_bytes(small_jpeg)
    assert prepare.prepare(source, tmp_path / "out").skipped == 0
    assert prepare.prepare(source, tmp_path / "out").skipped == 1


def test_shards_of_unknown_settings_are_refused(
    mixed: Path, prepared: tuple[Path, Summary], tmp_path: Path
) -> None:
    (shard, *_) = shards.shard_paths(prepared[0])
    (tmp_path / shard.name).write_bytes(shard.read_bytes())
    with pytest.raises(WrongUse, match="manifest"):
        prepare.prepare(mixed, tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(WrongUse, match=r"manifest\.json"):
        prepare.prepare(mixed, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"size": 63},
        {"margin": -0.1},
        {"margin": 1.1},
        {"margin": float("nan")},
        {"test_fraction": 1.0},
        {"test_fraction": -0.1},
        {"shard_rows": 0},
    ],
)
def test_settings_out_of_range_stop_at_once(
    mixed: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    with pytest.raises(WrongUse):
        prepare.prepare(mixed, tmp_path / "out", PrepareSettings(**settings))
    assert not (tmp_path / "out").exists()


# ---- nothing to work with


def test_a_missing_source_is_wrong_use(tmp_path: Path) -> None:
    for source in (tmp_path / "absent", Path(__file__)):
        with pytest.raises(WrongUse, match="--src"):
            prepare.prepare(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_face_at_all_is_told_apart_from_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "run", in_process)
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "notes.txt").touch()
    with pytest.raises(NothingUsable, match="0 pictures, 1 other"):
        prepare.prepare(source, out)

    Image.new("RGB", (200, 200)).save(source / "flat.png")
    (source / "empty.jpg").touch()
    with pytest.raises(NothingUsable, match="2 pictures"):
        prepare.prepare(source, out)
    assert {row["status"] for row in rows_of(out).values()} == {shards.NO_FACE, shards.UNREADABLE}


def test_a_photograph_that_crashes_its_process_is_a_row(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's own tests crash real processes; here, what becomes of the answer."""

    def crash_on_a(function: Any, tasks: Any, workers: int) -> Iterator[tuple[Any, Any]]:
        for task in tasks:
            crashed = task[1] == "a.jpg"
            yield task, engine.Crashed("it crashed") if crashed else function(task)

    monkeypatch.setattr(engine, "run", crash_on_a)
    prepare.prepare(mixed, tmp_path)
    row = rows_of(tmp_path)["a.jpg#"]
    assert (row["status"], row["error"]) == (shards.UNREADABLE, "it crashed")


# ---- kills

COUNT = 30
SETTINGS = PrepareSettings(shard_rows=4, test_fraction=0.3)

KILLED = """
import os, signal, sys
from pathlib import Path
from ganim.pipeline import prepare

source, out, moment, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
seen = written = 0

def kill():
    # The whole process group, workers included, at one blow.
    os.killpg(0, signal.SIGKILL)

def on_photograph(status):
    global seen
    seen += 1
    if moment == "between photographs" and seen == count:
        kill()

write = os.fsync

def fsync(file):
    # Called between writing a shard and renaming it, and again for the folder.
    global written
    written += os.readlink(f"/proc/self/fd/{file}").endswith(".parquet.%d.tmp" % os.getpid())
    if moment == "while writing a shard" and written == count:
        kill()
    write(file)

os.fsync = fsync

if __name__ == "__main__":
    settings = prepare.PrepareSettings(shard_rows=4, test_fraction=0.3)
    prepare.prepare(source, out, settings, 2, on_photograph=on_photograph)
"""


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    """Photographs that all differ, one in ten of them broken."""
    folder = tmp_path_factory.mktemp("album")
    for index in range(COUNT):
        part = astronaut[index : index + 330, 60 + index : 390 + index]
        path = folder / f"{index:02d}.jpg"
        if index % 10 == 3:
            path.write_bytes(b"broken")
        else:
            Image.fromarray(part).save(path, quality=90)
    return folder


@pytest.fixture(scope="module")
def undisturbed(album: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    out = tmp_path_factory.mktemp("undisturbed")
    prepare.prepare(album, out, SETTINGS, workers=2)
    rows = rows_of(out)
    assert Counter(row["status"] for row in rows.values()) == {"ok": 27, "unreadable": 3}
    return rows


def test_killed_again_and_again_it_ends_with_the_rows_of_an_undisturbed_run(
    album: Path, undisturbed: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "killed.py").write_text(KILLED)
    out = tmp_path / "shards"

    def run(moment: str, count: int) -> int:
        command = [sys.executable, tmp_path / "killed.py", album, out, moment, str(count)]
        return subprocess.run(command, start_new_session=True, check=False).returncode

    finished = 0
    for moment, count in (("between photographs", 13), ("while writing a shard", 2)):
        assert run(moment, count) == -signal.SIGKILL
        so_far = rows_of(out)
        assert finished < len(so_far) < COUNT, "some shards were there, and some were missing"
        assert so_far.items() <= undisturbed.items()
        finished = len(so_far)
    assert list(out.glob(".*.tmp")), "the second kill came between writing and renaming"

    starts: list[tuple[int, int]] = []
    summary = prepare.prepare(
        album, out, SETTINGS, workers=2, on_start=lambda *told: starts.append(told)
    )
    assert starts == [(COUNT, finished)] and summary.skipped == finished
    assert rows_of(out) == undisturbed, "the pictures included, byte by byte"
    assert summary.counts == {"ok": 27, "unreadable": 3}
    manifest = shards.read_manifest(out)
    assert manifest is not None
    assert manifest["settings"] == asdict(SETTINGS) | {"source": str(album.resolve())}
    assert manifest["counts"] == summary.counts
