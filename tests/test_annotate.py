"""Annotation of shards and clips, by an annotator that derives the AUs from a face's key."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openface_helpers import SAMPLES, face_row, rows_of, write_clip

from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS, COUNT
from ganim.pipeline.annotate.annotate import Summary, annotate
from ganim.pipeline.annotate.batches import batch_size
from ganim.pipeline.annotate.clip import annotate_clip
from ganim.pipeline.annotator import Annotator, Crop, Reading
from ganim.pipeline.errors import NothingUsable, WrongUse
from ganim.pipeline.openface.output import read_csv

BOX = [10, 20, 30, 40]


def aus_of(key: str) -> np.ndarray:
    """17 intensities (0-5), different for each key."""
    rng = np.random.default_rng(list(key.encode()))
    return rng.uniform(0, 5, COUNT).astype(np.float32)


@dataclass
class Fake(Annotator):
    """An annotator that derives AUs from the key, and reads none if the key contains `bad`."""

    name: str = "fake 1.0"
    batch: int = 2
    kill_at_batch: int | None = None
    """The batch, counted from 1, in which it kills its process."""
    asked: list[str] = field(default_factory=list)
    """The keys that it was asked to read."""
    batches: int = 0

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        assert 0 < len(crops) <= self.batch
        for crop in crops:
            assert crop.image == picture(crop.key) and crop.box == tuple(BOX)
            assert crop.key == f"{crop.source}#0"
        self.asked += [crop.key for crop in crops]
        self.batches += 1
        if self.batches == self.kill_at_batch:
            os.kill(os.getpid(), signal.SIGKILL)
        return [
            Reading(None, error="no AUs") if "bad" in crop.key else Reading(aus_of(crop.key), 0.75)
            for crop in crops
        ]


def picture(key: str) -> bytes:
    """Any bytes: `annotate` does not decode crops."""
    return b"picture of " + key.encode()


def face(name: str) -> dict[str, Any]:
    return face_row(name, picture(f"{name}#0"), BOX)


def no_face(name: str) -> dict[str, Any]:
    reason = "the HOG detector found no face"
    return {"key": f"{name}#", "source": name, "status": shards.NO_FACE, "error": reason}


FACES = {
    "train-00000": ["a.jpg", "b.jpg", "bad c.jpg", "d.jpg", "e.jpg"],
    "train-00001": ["f.jpg", "g.jpg", "h.jpg"],
    "train-00002": [],
    "test-00000": ["x.jpg", "bad y.jpg", "z.jpg"],
}
KEYS = [f"{name}#0" for names in FACES.values() for name in names]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four shards as written by prepare, each also with a photograph without a face."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for stem, names in FACES.items():
        rows = [no_face(f"none in {stem}.jpg"), *(face(name) for name in names)]
        shards.write_shard(folder / f"{stem}.parquet", shards.rows_to_table(rows))
    shards.write_manifest(folder, {"size": 128})
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_face_gets_its_own_action_units(folder: Path) -> None:
    before = rows_of(folder)
    summary = annotate(folder, Fake())
    assert summary == Summary(annotated=9, failed=2, skipped=0, read=11)

    changed = {*COLUMNS, "au_confidence", "annotator", "status", "error"}
    after = rows_of(folder)
    assert len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        if old["status"] == shards.NO_FACE:
            assert new == old
            continue
        assert {k: v for k, v in new.items() if k not in changed} == {
            k: v for k, v in old.items() if k not in changed
        }
        assert new["annotator"] == "fake 1.0"
        aus = [new[column] for column in COLUMNS]
        if "bad" in new["key"]:
            assert aus == [None] * COUNT and new["au_confidence"] is None
            assert (new["status"], new["error"]) == (shards.NO_AUS, "no AUs")
        else:
            np.testing.assert_array_equal(aus, aus_of(new["key"]))
            assert (new["status"], new["error"]) == (shards.OK, None)
            assert new["au_confidence"] == 0.75

    manifest = shards.read_manifest(folder)
    assert manifest is not None
    assert manifest["counts"] == {"no_aus": 2, "no_face": 4, "ok": 9}
    assert manifest["settings"] == {"size": 128}, "prepare must be able to continue"


def test_progress_is_reported_for_every_face(folder: Path) -> None:
    starts: list[tuple[int, int]] = []
    statuses: list[str] = []
    annotate(folder, Fake(), on_start=lambda *n: starts.append(n), on_face=statuses.append)
    assert starts == [(11, 0)]
    assert (statuses.count(shards.OK), statuses.count(shards.NO_AUS)) == (9, 2)


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_batches_are_as_large_as_the_annotator_wants(folder: Path, batch: int) -> None:
    fake = Fake(batch=batch)
    annotate(folder, fake)
    assert sorted(fake.asked) == sorted(KEYS)


# ---- a second call


def test_a_second_call_reads_no_face_not_even_failed_ones(folder: Path) -> None:
    annotate(folder, Fake())
    before = files_of(folder)
    fake = Fake()
    starts: list[tuple[int, int]] = []
    summary = annotate(folder, fake, on_start=lambda *n: starts.append(n))
    assert fake.asked == []
    assert summary == Summary(annotated=9, failed=2, skipped=11)
    assert starts == [(11, 11)]
    assert files_of(folder) == before


def test_faces_prepared_later_are_filled_in(folder: Path) -> None:
    annotate(folder, Fake())
    later = shards.rows_to_table([face("later.jpg")])
    shards.write_shard(shards.next_shard_path(folder, "train"), later)
    fake = Fake()
    assert annotate(folder, fake) == Summary(annotated=10, failed=2, skipped=11, read=1)
    assert fake.asked == ["later.jpg#0"]


def test_another_annotator_is_refused(folder: Path) -> None:
    annotate(folder, Fake())
    before = files_of(folder)
    other = Fake(name="other 2.0")
    with pytest.raises(WrongUse) as refusal:
        annotate(folder, other)
    message = str(refusal.value)
    assert "fake 1.0" in message and "other 2.0" in message and "--overwrite" in message
    assert other.asked == [] and files_of(folder) == before


def test_another_annotator_is_refused_before_it_reads_a_face(folder: Path) -> None:
    """Also if only the last shard has AUs by the first annotator."""
    path = folder / "test-00000.parquet"
    rows = shards.read_shard(path).to_pylist()
    labels = {"annotator": "fake 1.0"} | dict.fromkeys(COLUMNS, 1.0)
    shards.write_shard(path, shards.rows_to_table([rows[0], *(row | labels for row in rows[1:])]))
    other = Fake(name="other 2.0")
    with pytest.raises(WrongUse, match=r"fake 1\.0"):
        annotate(folder, other)
    assert other.asked == []


def test_overwrite_annotates_every_face_again(folder: Path) -> None:
    annotate(folder, Fake())
    other = Fake(name="other 2.0")
    assert annotate(folder, other, overwrite=True) == Summary(
        annotated=9, failed=2, skipped=0, read=11
    )
    assert sorted(other.asked) == sorted(KEYS)
    faces = [row for row in rows_of(folder) if row["status"] != shards.NO_FACE]
    assert {row["annotator"] for row in faces} == {"other 2.0"}


def test_overwrite_removes_aus_that_the_new_annotator_cannot_read(folder: Path) -> None:
    class ReadsLittle(Fake):
        def read(self, crops: Sequence[Crop]) -> list[Reading]:
            return [
                Reading(aus_of(crop.key)) if "z" in crop.key else Reading(None, error="no AUs")
                for crop in crops
            ]

    annotate(folder, Fake())
    assert annotate(folder, ReadsLittle(name="little"), overwrite=True).annotated == 1
    without_aus = [row for row in rows_of(folder) if row["status"] == shards.NO_AUS]
    assert len(without_aus) == len(KEYS) - 1
    for row in without_aus:
        assert row["AU12_r"] is None and row["au_confidence"] is None


# ---- annotating faces again


@dataclass
class LessConfident(Fake):
    """Reads some faces with a lower confidence."""

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        return [
            Reading(reading.aus, 0.4 if crop.key[0] in "adz" else reading.confidence, reading.error)
            for crop, reading in zip(crops, super().read(crops), strict=True)
        ]


def test_faces_of_low_confidence_are_annotated_again_and_no_others(folder: Path) -> None:
    annotate(folder, LessConfident())
    fake = Fake()
    summary = annotate(folder, fake, redo_below=0.6)
    low = ["a.jpg#0", "bad c.jpg#0", "bad y.jpg#0", "d.jpg#0", "z.jpg#0"]
    assert sorted(fake.asked) == low
    assert summary == Summary(annotated=9, failed=2, skipped=6, read=5)
    assert {row["au_confidence"] for row in rows_of(folder)} == {None, 0.75}
    with pytest.raises(WrongUse, match=r"fake 1\.0"):
        annotate(folder, Fake(name="other 2.0"), redo_below=0.6)


class Interruption(Exception):
    pass


@dataclass
class Interrupted(Fake):
    """Is interrupted, as by Ctrl-C, after it has read a number of faces."""

    after: int = 0

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        if len(self.asked) >= self.after:
            raise Interruption
        return super().read(crops)


def test_an_interruption_within_a_shard_keeps_its_annotated_faces(folder: Path) -> None:
    with pytest.raises(Interruption):
        annotate(folder, Interrupted(after=3, batch=1))
    fake = Fake()
    assert annotate(folder, fake) == Summary(annotated=9, failed=2, skipped=3, read=8)
    assert fake.asked == KEYS[3:]


@pytest.mark.parametrize("name", ["fake 1.0", "other 2.0"])
def test_an_interrupted_overwrite_continues(folder: Path, name: str) -> None:
    annotate(folder, Fake())
    with pytest.raises(Interruption):
        annotate(folder, Interrupted(name=name, after=6), overwrite=True)
    if name != "fake 1.0":
        with pytest.raises(WrongUse, match="--overwrite"):
            annotate(folder, Fake(name=name))
    rest = Fake(name=name)
    summary = annotate(folder, rest, overwrite=True)
    # The first shard, of five faces, was finished; the sixth face is in a shard that was not.
    assert summary == Summary(annotated=9, failed=2, skipped=5, read=6)
    assert rest.asked == KEYS[5:]
    assert {row["annotator"] for row in rows_of(folder)} == {None, name}
    again = Fake(name=name)
    annotate(folder, again, overwrite=True)
    assert len(again.asked) == len(KEYS), "the pass was complete, so this is a new one"


def test_an_overwrite_by_another_annotator_starts_from_the_first_shard(folder: Path) -> None:
    annotate(folder, Fake())
    with pytest.raises(Interruption):
        annotate(folder, Interrupted(name="other 2.0", after=6), overwrite=True)
    third = Fake(name="third 3.0")
    annotate(folder, third, overwrite=True)
    assert sorted(third.asked) == sorted(KEYS)
    assert not list(folder.glob("annotating*"))


# ---- batches


@pytest.mark.parametrize(
    ("faces", "max_size", "workers", "size"),
    [
        (5000, 1000, 1, 1000),
        (5000, 1000, 2, 834),  # six batches: three per worker, not three and two
        (1500, 1000, 8, 333),  # at least a third of the largest size
        (100, 1000, 2, 333),
        (2049, 1000, 2, 513),
        (11, 2, 1, 2),
        (0, 1000, 4, 333),
    ],
)
def test_batches_keep_the_workers_equally_busy(
    faces: int, max_size: int, workers: int, size: int
) -> None:
    assert batch_size(faces, max_size, workers) == size


# ---- clips


class Reader(Fake):
    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        return [Reading(np.full(COUNT, 1.25, np.float32), 0.9) for _ in crops]


def test_a_clip_is_written_as_a_csv_like_openfaces(tmp_path: Path, astronaut: np.ndarray) -> None:
    face = np.ascontiguousarray(astronaut[:256, :320])
    clip, out = tmp_path / "clip.mp4", tmp_path / "aus" / "clip.csv"
    write_clip(clip, [face, face, np.zeros_like(face), face])
    statuses: list[str] = []
    summary = annotate_clip(clip, out, Reader(), on_frame=statuses.append)
    assert (summary.frames, summary.with_aus) == (4, 3)
    assert statuses == ["ok", "ok", "no_aus", "ok"]
    rows = read_csv(out)
    assert [row.frame for row in rows] == [1, 2, 3, 4]
    assert [row.seconds for row in rows] == pytest.approx([0.0, 0.04, 0.08, 0.12])
    assert [row.success for row in rows] == [True, True, False, True]
    assert [row.confidence for row in rows] == pytest.approx([0.9, 0.9, 0.0, 0.9])
    assert [row.aus.tolist() for row in rows] == [[x] * COUNT for x in (1.25, 1.25, 0.0, 1.25)]
    if SAMPLES.is_dir():
        recorded = (SAMPLES / "videos" / "expressive.csv").read_text().split("\n")[0].split(", ")
        ours = out.read_text().split("\n")[0].split(", ")
        assert ours == [*recorded[:22], "left", "top", "right", "bottom"]


def test_a_clip_without_a_face_is_an_error(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", [np.zeros((128, 128, 3), np.uint8)] * 3)
    with pytest.raises(NothingUsable, match="No face was read in the 3 frames"):
        annotate_clip(tmp_path / "clip.mp4", tmp_path / "clip.csv", Fake())
    assert [row.success for row in read_csv(tmp_path / "clip.csv")] == [False] * 3


def test_a_truncated_clip_is_annotated_up_to_its_end(tmp_path: Path, astronaut: np.ndarray) -> None:
    clip = tmp_path / "clip.mp4"
    write_clip(clip, [np.ascontiguousarray(astronaut[:256, :320])] * 30)
    whole = annotate_clip(clip, tmp_path / "clip.csv", Reader())
    assert (whole.frames, whole.problem) == (30, None)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    summary = annotate_clip(clip, tmp_path / "clip.csv", Reader())
    assert 5 < summary.frames == summary.with_aus < 30 and summary.problem
    assert len(read_csv(tmp_path / "clip.csv")) == summary.frames


def test_a_photograph_without_an_ending_is_not_called_a_clip_alone(tmp_path: Path) -> None:
    (tmp_path / "IMG_1").write_bytes(b"a picture")
    with pytest.raises(NothingUsable, match=r"If it is a photograph, .* ending like \.jpg"):
        annotate_clip(tmp_path / "IMG_1", tmp_path / "clip.csv", Fake())


def test_a_file_that_is_not_a_clip_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("no clip")
    with pytest.raises(NothingUsable, match=r"clip\.mp4 cannot be read"):
        annotate_clip(tmp_path / "clip.mp4", tmp_path / "clip.csv", Fake())
    assert not (tmp_path / "clip.csv").exists()


# ---- kills

KILLED = """
import runpy, sys
from pathlib import Path
from ganim.pipeline.annotate.annotate import annotate

Fake = runpy.run_path(sys.argv[1])["Fake"]
annotate(Path(sys.argv[2]), Fake(kill_at_batch=int(sys.argv[3])))
"""


def annotate_killed(folder: Path, batch: int) -> None:
    command = [sys.executable, "-c", KILLED, __file__, str(folder), str(batch)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL


def test_after_two_kills_the_result_is_the_same(folder: Path) -> None:
    # Batches of two faces, in shards of five, three and three: the kill comes in the second shard,
    # then in the third.
    for batch, left in ((4, 6), (3, 3)):
        annotate_killed(folder, batch)
        rows = [row for row in rows_of(folder) if row["status"] != shards.NO_FACE]
        assert len(rows) == len(KEYS), "no face is lost"
        assert sum(row["annotator"] is None for row in rows) == left
    fake = Fake()
    assert annotate(folder, fake) == Summary(9, 2, len(KEYS) - 3, 3)
    assert sorted(fake.asked) == sorted(f"{name}#0" for name in FACES["test-00000"])
    for row in rows_of(folder):
        if row["status"] == shards.OK:
            np.testing.assert_array_equal([row[c] for c in COLUMNS], aus_of(row["key"]))
    assert not list(folder.glob("*.tmp"))


def test_what_killed_writers_left_is_removed_and_nothing_else(folder: Path) -> None:
    for name in (".train-00000.parquet.7.tmp", ".annotating.json.7.tmp", ".notes.tmp"):
        (folder / name).touch()
    annotate(folder, Fake())
    assert [path.name for path in folder.glob(".*.tmp")] == [".notes.tmp"]


# ---- no faces, no shards


def test_a_set_without_any_aus_is_an_error(folder: Path) -> None:
    class ReadsNothing(Fake):
        def read(self, crops: Sequence[Crop]) -> list[Reading]:
            return [Reading(None, error="no AUs") for _ in crops]

    with pytest.raises(NothingUsable, match=r"fake 1\.0"):
        annotate(folder, ReadsNothing())
    reasons = [row["error"] for row in rows_of(folder) if row["status"] == shards.NO_AUS]
    assert reasons == ["no AUs"] * len(KEYS)
    with pytest.raises(NothingUsable):
        annotate(folder, Fake())


def test_shards_without_a_face_are_an_error(tmp_path: Path) -> None:
    table = shards.rows_to_table([no_face("a.jpg")])
    shards.write_shard(tmp_path / "train-00000.parquet", table)
    with pytest.raises(NothingUsable):
        annotate(tmp_path, Fake())


def test_without_shards_the_error_names_the_command_that_makes_them(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(WrongUse, match="ganim prepare"):
            annotate(folder, Fake())


@pytest.mark.parametrize("name", ["test-00000.parquet", "manifest.json"])
def test_a_damaged_folder_is_refused_before_a_face_is_read(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:20])
    fake = Fake()
    with pytest.raises(WrongUse, match=name):
        annotate(folder, fake)
    assert fake.asked == []
