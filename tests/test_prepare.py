"""Photographs to shards: a folder as people have them, and runs that are killed."""

import io
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganim.pipeline import engine, prepare, shards
from ganim.pipeline.errors import NothingUsable, WrongUse
from ganim.pipeline.faces import crop_box, cut_crop, detect_faces
from ganim.pipeline.images import read_image
from ganim.pipeline.prepare import PrepareSettings, Summary

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


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    """The rows by key; no key may stand twice."""
    rows = [row for path in shards.shard_paths(out) for row in shards.read_shard(path).to_pylist()]
    by_key = {row["key"]: row for row in rows}
    assert len(by_key) == len(rows)
    return by_key


def name_of(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def in_process(function: Any, tasks: Any, *where: Any) -> Iterator[tuple[Any, Any]]:
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
        mixed, tmp_path, on_start=lambda *told: starts.append(told), on_file=seen.extend
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


def test_no_face_at_all_is_told_apart_from_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "run", in_process)
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "notes.txt").touch()
    with pytest.raises(NothingUsable, match="0 pictures, 0 clips, 1 other"):
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

    def crash_on_a(function: Any, tasks: Any, *where: Any) -> Iterator[tuple[Any, Any]]:
        for task in tasks:
            crashed = task.path == "a.jpg"
            yield task, engine.Crashed("it crashed") if crashed else function(task)

    monkeypatch.setattr(engine, "run", crash_on_a)
    prepare.prepare(mixed, tmp_path)
    row = rows_of(tmp_path)["a.jpg#"]
    assert (row["status"], row["error"]) == (shards.UNREADABLE, "it crashed")
