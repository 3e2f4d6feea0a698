"""Photographs and clips to shards, in one run: good, bad and odd files."""

import io
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import write_clip
from PIL import Image
from shard_rows import rows_by_key

from ganim.pipeline import shards
from ganim.pipeline.errors import NothingUsable, WrongUse
from ganim.pipeline.execution import pool
from ganim.pipeline.faces.crop import crop_box, cut_crop
from ganim.pipeline.faces.detect import detect_faces
from ganim.pipeline.images.decode import read_image
from ganim.pipeline.prepare import prepare
from ganim.pipeline.prepare.prepare import PrepareSettings, Summary

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
    "clip.mp4": shards.UNREADABLE,
    "flat.png": shards.NO_FACE,
    "nested/one pixel.png": shards.NO_FACE,
}
OTHERS = ("notes.txt", "no suffix", "nested/a.jpg.part")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, small_jpeg: bytes) -> Path:
    """A folder of good, bad and odd files."""
    folder = tmp_path_factory.mktemp("mixed") / "my photographs"
    for name in (*GOOD, *BAD, *OTHERS, ".hidden.jpg", ".hidden/a.jpg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(small_jpeg + os.fsencode(name))  # each of its own, for Pillow the same
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


def name_of(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


# ---- one run


def test_every_photograph_is_one_row(prepared: tuple[Path, Summary]) -> None:
    out, summary = prepared
    rows = rows_by_key(out).values()
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
    for row in rows_by_key(prepared[0]).values():
        if row["status"] == shards.OK:
            assert row["error"] is None
        else:
            assert row["error"] and row["image"] is None and row["crop"] is None
            # The size is known if the file could be decoded.
            assert (row["source_width"] is None) == (row["status"] != shards.NO_FACE)


def test_a_row_with_a_face_says_where_it_was(mixed: Path, prepared: tuple[Path, Summary]) -> None:
    row = rows_by_key(prepared[0])["a.jpg#0"]
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
    paths = shards.shard_paths(prepared[0])
    for path in paths:
        split = path.name.partition("-")[0]
        for source in shards.read_shard(path).column("source").to_pylist():
            assert shards.split_of(source, 0.1) == split


def test_progress_tells_of_every_photograph(mixed: Path, tmp_path: Path, serial_pool: None) -> None:
    starts: list[tuple[int, int]] = []
    seen: list[str] = []
    summary = prepare.prepare(
        mixed, tmp_path, on_start=lambda *counts: starts.append(counts), on_file=seen.extend
    )
    assert starts == [(summary.found, 0)]
    assert Counter(seen) == summary.counts


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
        {"faces": "both"},
        {"min_face": -1},
        {"every": 0.0},
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


def test_no_face_at_all_is_told_apart_from_success(tmp_path: Path, serial_pool: None) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "notes.txt").touch()
    with pytest.raises(NothingUsable, match="0 pictures, 0 clips, 1 other"):
        prepare.prepare(source, out)

    Image.new("RGB", (200, 200)).save(source / "flat.png")
    (source / "empty.jpg").touch()
    with pytest.raises(NothingUsable, match="2 pictures"):
        prepare.prepare(source, out)
    assert {row["status"] for row in rows_by_key(out).values()} == {
        shards.NO_FACE,
        shards.UNREADABLE,
    }


def test_a_photograph_that_crashes_its_process_is_a_row(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """test_pool.py crashes real processes; here a `Crashed` becomes a row."""

    def crash_on_a(function: Any, tasks: Any, *where: Any) -> Iterator[tuple[Any, Any]]:
        for task in tasks:
            crashed = task.path == "a.jpg"
            yield task, pool.Crashed("it crashed") if crashed else function(task)

    monkeypatch.setattr(pool, "run", crash_on_a)
    prepare.prepare(mixed, tmp_path)
    row = rows_by_key(tmp_path)["a.jpg#"]
    assert (row["status"], row["error"]) == (shards.UNREADABLE, "it crashed")


# ---- which faces


@pytest.fixture
def pair(tmp_path: Path, astronaut: np.ndarray) -> Path:
    """A folder with one photograph of two faces, the right one larger than the left one."""
    part = astronaut[:280, 80:360]
    canvas = np.zeros((448, 728, 3), np.uint8)
    canvas[:280, :280] = part
    canvas[:, 280:] = np.asarray(Image.fromarray(part).resize((448, 448)))
    folder = tmp_path / "pair"
    folder.mkdir()
    Image.fromarray(canvas).save(folder / "pair.png")
    return folder


def prepared_rows(source: Path, out: Path, **settings: Any) -> dict[str, dict[str, Any]]:
    prepare.prepare(source, out, PrepareSettings(**settings))
    return rows_by_key(out)


def test_all_faces_or_the_largest(pair: Path, tmp_path: Path, serial_pool: None) -> None:
    largest = prepared_rows(pair, tmp_path / "largest")
    assert list(largest) == ["pair.png#0"]
    both = prepared_rows(pair, tmp_path / "all", faces="all")
    assert list(both) == ["pair.png#0", "pair.png#1"]
    assert both["pair.png#0"] == largest["pair.png#0"]
    small = both["pair.png#1"]
    assert (small["status"], small["face_index"], small["source"]) == ("ok", 1, "pair.png")
    assert small["box"][2] < 280 < largest["pair.png#0"]["box"][0]


def test_small_faces_are_left_out(pair: Path, tmp_path: Path, serial_pool: None) -> None:
    large = prepared_rows(pair, tmp_path / "large", faces="all", min_face=110)
    assert list(large) == ["pair.png#0"]
    Image.open(pair / "pair.png").crop((0, 0, 280, 280)).save(pair / "small.png")
    rows = prepared_rows(pair, tmp_path / "some", min_face=110)
    row = rows["small.png#"]
    assert (row["status"], row["image"]) == (shards.TOO_SMALL, None)
    assert "px wide" in row["error"] and "110" in row["error"] and row["source_width"] == 280


def test_size_and_margin_are_those_asked_for(pair: Path, tmp_path: Path, serial_pool: None) -> None:
    row = prepared_rows(pair, tmp_path / "out", size=96, margin=0.5)["pair.png#0"]
    left, top, right, bottom = row["box"]
    assert row["crop"][2] - row["crop"][0] == max(right - left, bottom - top) * 2
    with Image.open(io.BytesIO(row["image"]["bytes"])) as crop:
        assert crop.size == (96, 96)


# ---- once each


def test_of_identical_files_the_first_by_its_path_counts(
    tmp_path: Path, small_jpeg: bytes, serial_pool: None
) -> None:
    source = tmp_path / "source"
    for name in ("b/2.jpg", "b/1.jpg", "a/9.jpg", "c.jpg"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(small_jpeg)
    (source / "d.jpg").touch()
    (source / "e.jpg").touch()  # nothing in it is no photograph, so no duplicate either
    rows = prepared_rows(source, tmp_path / "out")
    assert {key: row["status"] for key, row in rows.items()} == {
        "a/9.jpg#0": shards.OK,
        "b/1.jpg#": shards.DUPLICATE,
        "b/2.jpg#": shards.DUPLICATE,
        "c.jpg#": shards.DUPLICATE,
        "d.jpg#": shards.UNREADABLE,
        "e.jpg#": shards.UNREADABLE,
    }
    assert {row["error"] for row in rows.values() if row["status"] == shards.DUPLICATE} == {
        "the same bytes as a/9.jpg"
    }
    hashes = {row["source_hash"] for row in rows.values() if row["status"] != shards.UNREADABLE}
    assert len(hashes) == 1


# ---- clips


def test_the_frames_of_a_clip_stand_on_one_side_and_in_one_shard(
    tmp_path: Path, astronaut: np.ndarray, serial_pool: None
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(4):
        left = 60 + number
        images = [astronaut[top : top + 320, left : left + 320] for top in range(8)]
        write_clip(source / f"{number}.mp4", images, rate=4)
    out = tmp_path / "out"
    rows = prepared_rows(source, out, every=0.5, shard_rows=2, test_fraction=0.5)
    assert {row["source"] for row in rows.values()} == {
        f"{number}.mp4@{seconds:.2f}s" for number in range(4) for seconds in (0, 0.5, 1, 1.5)
    }
    shards_of: dict[str, set[str]] = {}
    for path in shards.shard_paths(out):
        for name in shards.read_shard(path, ["source"])["source"].to_pylist():
            shards_of.setdefault(name.partition("@")[0], set()).add(path.name)
    assert [len(names) for names in shards_of.values()] == [1, 1, 1, 1]
    assert {name[:4] for names in shards_of.values() for name in names} == {"test", "trai"}


def test_of_a_clip_cut_off_the_frames_before_are_kept(
    tmp_path: Path, astronaut: np.ndarray, serial_pool: None
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    images = [astronaut[top : top + 320, 60:380] for top in range(40)]
    write_clip(source / "cut.mp4", images, rate=4)
    whole = (source / "cut.mp4").read_bytes()
    (source / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    rows = prepared_rows(source, tmp_path / "out", every=1.0)
    last = rows.pop("cut.mp4#")
    assert last["status"] == shards.UNREADABLE and "s" in last["error"]
    assert list(rows)[:2] == ["cut.mp4@0.00s#0", "cut.mp4@1.00s#0"]
    assert len(rows) < 10
