"""Shards: what other programs read, what a kill leaves behind, what is refused."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from shard_rows import face_row, failed_row

from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.errors import WrongUse


@pytest.fixture(scope="module")
def rows(crop_jpeg: bytes) -> list[dict[str, Any]]:
    """Two annotated faces, one without AUs, and one photograph without a face."""
    aus = dict(zip(COLUMNS, np.linspace(0, 5, 17, dtype=np.float32).tolist(), strict=True))
    more = {"annotator": "fake 1", "au_confidence": 0.5}
    return [
        face_row(0, crop_jpeg, crop=[-5, 70, 109, 184], **aus, **more),
        face_row(1, crop_jpeg, **dict.fromkeys(COLUMNS, 0.0), **more),
        face_row(2, crop_jpeg),
        failed_row("ü\n3.jpg", shards.NO_FACE, "none"),
    ]


@pytest.fixture
def folder(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    """A folder with one shard of `rows` and its manifest."""
    shards.write_shard(tmp_path / "train-00000.parquet", shards.rows_to_table(rows))
    shards.write_manifest(tmp_path, {"size": 128})
    return tmp_path


# ---- what is written


def test_rows_come_back_as_they_were(folder: Path, rows: list[dict[str, Any]]) -> None:
    table = shards.read_shard(folder / "train-00000.parquet")
    assert table.schema.equals(shards.SCHEMA)
    empty = dict.fromkeys(shards.SCHEMA.names)
    assert table.to_pylist() == [empty | row for row in rows]
    assert list(folder.glob(".*")) == []


def test_pandas_reads_a_shard_and_its_pictures(folder: Path) -> None:
    faces = pd.read_parquet(folder / "train-00000.parquet")
    assert list(faces.columns) == list(shards.SCHEMA.names)
    with Image.open(io.BytesIO(faces["image"][0]["bytes"])) as picture:
        assert picture.size == (128, 128) and picture.mode == "RGB"
    assert faces["image"][3] is None
    assert faces["AU45_r"].isna().tolist() == [False, False, True, True]


def test_hugging_face_metadata_names_every_column(folder: Path) -> None:
    metadata = pq.read_schema(folder / "train-00000.parquet").metadata
    features = json.loads(metadata[b"huggingface"])["info"]["features"]
    assert list(features) == list(shards.SCHEMA.names)
    assert features["image"] == {"_type": "Image"}
    assert features["AU12_r"] == {"dtype": "float32", "_type": "Value"}


def test_datasets_shows_pictures(folder: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    files = {"train": str(folder / "train-00000.parquet")}
    faces = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert isinstance(faces[0]["image"], Image.Image) and faces[0]["image"].size == (128, 128)
    assert faces[0]["crop"] == [-5, 70, 109, 184]


def test_images_are_stored_as_they_are_and_the_rest_is_zstd(
    tmp_path: Path, crop_jpeg: bytes
) -> None:
    many = [face_row(index, crop_jpeg) for index in range(600)]
    shards.write_shard(tmp_path / "train-00000.parquet", shards.rows_to_table(many))
    metadata = pq.ParquetFile(tmp_path / "train-00000.parquet").metadata
    assert metadata.num_rows == 600
    assert metadata.num_row_groups > 1
    for group in range(metadata.num_row_groups):
        assert metadata.row_group(group).num_rows <= 512, "a few hundred"
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            expected = "UNCOMPRESSED" if column.path_in_schema == "image.bytes" else "ZSTD"
            assert column.compression == expected, column.path_in_schema
            assert column.has_offset_index, column.path_in_schema


def test_a_shard_of_an_earlier_version_lacks_some_columns(folder: Path) -> None:
    path = folder / "train-00000.parquet"
    now = shards.read_shard(path)
    with path.open("rb") as file:
        earlier = pq.ParquetFile(file).read().drop_columns(["source_hash", "series", "landmarks"])
    pq.write_table(earlier, path)
    assert shards.read_shard(path).equals(now)
    for columns in (["source_hash", "key"], ["series"], ["landmarks", "status", "series"]):
        assert shards.read_shard(path, columns).equals(now.select(columns))


# ---- the split


def test_split_is_about_the_fraction_and_never_changes() -> None:
    names = [f"person {index}/photograph.jpg" for index in range(5000)]
    test = [name for name in names if shards.split_of(name, 0.1) == "test"]
    assert 0.08 < len(test) / len(names) < 0.12
    # A larger fraction takes more photographs to the test side, and none back.
    assert all(shards.split_of(name, 0.3) == "test" for name in test)
    assert not [name for name in names if shards.split_of(name, 0.0) == "test"]


def test_split_is_the_same_on_every_machine() -> None:
    """Were the hash to change, photographs would wander from training to testing."""
    sides = {name: shards.split_of(name, 0.5) for name in ("a.jpg", "ü\n.jpg", "b/0.jpg", "1.jpg")}
    assert sides == {"a.jpg": "test", "ü\n.jpg": "test", "b/0.jpg": "test", "1.jpg": "train"}


# ---- kills


WRITE_FOREVER = """
import sys
from pathlib import Path
from ganim.pipeline import shards
folder = Path(sys.argv[1])
versions = [
    shards.rows_to_table(
        [{"key": f"{i}#0", "source": version, "image": {"bytes": bytes(4000)}} for i in range(700)]
    )
    for version in ("a", "b")
]
print("ready", flush=True)
while True:
    for version in versions:
        shards.write_shard(folder / "train-00000.parquet", version)
"""


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2])
def test_a_kill_leaves_a_whole_shard(tmp_path: Path, seconds: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_FOREVER, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        while not shards.split_paths(tmp_path, "train"):
            assert process.poll() is None
        time.sleep(seconds)
        process.kill()
    (path,) = shards.shard_paths(tmp_path)
    sources = shards.read_shard(path).column("source").to_pylist()
    assert len(sources) == 700 and len(set(sources)) == 1


def test_a_kill_in_the_middle_of_writing_leaves_the_shard_that_was_there(folder: Path) -> None:
    before = (folder / "train-00000.parquet").read_bytes()
    # All is written but the disk has not said so yet: the moment before the rename.
    script = "import os, signal\nos.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run([sys.executable, "-c", script + WRITE_FOREVER, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(folder.glob(".*")), "the test must have stopped it between writing and renaming"
    assert (folder / "train-00000.parquet").read_bytes() == before
    assert shards.shard_paths(folder) == [folder / "train-00000.parquet"]
    assert len(list(shards.read_column(folder, "key"))) == 4


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    wrong = pa.table({"key": ["a"]})
    with pytest.raises((ValueError, pa.ArrowException)):
        shards.write_shard(tmp_path / "train-00000.parquet", wrong)
    assert list(tmp_path.iterdir()) == []


# ---- names


def test_new_shards_get_the_next_free_name(folder: Path) -> None:
    assert shards.next_shard_path(folder, "train").name == "train-00001.parquet"
    assert shards.next_shard_path(folder, "test").name == "test-00000.parquet"
    shutil.copy(folder / "train-00000.parquet", folder / "train-00007.parquet")
    assert shards.next_shard_path(folder, "train").name == "train-00008.parquet"


def test_copies_a_file_manager_makes_are_no_shards(folder: Path) -> None:
    for name in ("train-00000 (1).parquet", "train-00000-copy.parquet", "train-.parquet"):
        shutil.copy(folder / "train-00000.parquet", folder / name)
    assert shards.shard_paths(folder) == [folder / "train-00000.parquet"]
    assert shards.next_shard_path(folder, "train").name == "train-00001.parquet"
    assert len(list(shards.read_column(folder, "key"))) == 4


def test_a_folder_without_shards_says_which_command_makes_them(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(WrongUse, match="ganim prepare"):
            shards.shard_paths(folder)


# ---- what is not ours


@pytest.mark.parametrize("kept", [0, 3, 1000, -9])
def test_a_damaged_shard_is_named(folder: Path, kept: int) -> None:
    path = folder / "train-00000.parquet"
    path.write_bytes(path.read_bytes()[:kept])
    for columns in (None, ["status"]):
        with pytest.raises(WrongUse, match=str(path)):
            shards.read_shard(path, columns)


def test_a_foreign_parquet_is_named(folder: Path) -> None:
    path = folder / "train-00001.parquet"
    pd.DataFrame({"name": ["x"], "value": [1]}).to_parquet(path)
    with pytest.raises(WrongUse, match=str(path)):
        list(shards.read_column(folder, "status"))
    with pytest.raises(WrongUse, match=str(path)):
        shards.annotated_faces(folder, "train")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b"{}",
        b'{"name": "x"}',
        b"\xff\xfe",
        b'{"schema_version": 99}',
    ],
)
def test_a_damaged_or_foreign_manifest_is_named(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(WrongUse, match=r"manifest\.json"):
        shards.read_manifest(folder)


def test_the_manifest_holds_settings_and_counts(folder: Path) -> None:
    manifest = shards.read_manifest(folder)
    assert manifest is not None
    assert manifest["settings"] == {"size": 128}
    assert manifest["counts"] == {"no_face": 1, "ok": 3}
    assert manifest["fingerprint"] == shards.fingerprint({"size": 128})
    assert manifest["fingerprint"] != shards.fingerprint({"size": 96})
    assert shards.fingerprint({"a": 1, "b": 2}) == shards.fingerprint({"b": 2, "a": 1})
    assert not list(folder.glob(".*"))
    assert shards.read_manifest(folder / "absent") is None


# ---- what training gets


def test_annotated_faces_are_those_with_all_action_units(folder: Path, crop_jpeg: bytes) -> None:
    faces = shards.annotated_faces(folder, "train")
    assert faces["key"].tolist() == ["0.jpg#0", "1.jpg#0"]
    assert faces["image"].tolist() == [crop_jpeg, crop_jpeg]
    np.testing.assert_allclose(faces.loc[0, list(COLUMNS)].to_numpy(float), np.linspace(0, 5, 17))
    assert shards.annotated_faces(folder, "test").empty


def test_faces_without_action_units_say_which_command_fills_them(
    tmp_path: Path, crop_jpeg: bytes
) -> None:
    table = shards.rows_to_table([face_row(0, crop_jpeg)])
    shards.write_shard(tmp_path / "train-00000.parquet", table)
    with pytest.raises(WrongUse, match="ganim annotate"):
        shards.annotated_faces(tmp_path, "train")
    with pytest.raises(WrongUse, match="ganim prepare"):
        shards.annotated_faces(tmp_path / "absent", "train")


@pytest.mark.slow
def test_a_process_that_has_read_shards_ends_well(tmp_path: Path) -> None:
    """Arrow's threads once aborted every other process that ended soon after reading."""
    table = shards.rows_to_table([{"key": f"{n}#0", "status": shards.OK} for n in range(600)])
    for number in range(40):
        shards.write_shard(tmp_path / f"train-{number:05d}.parquet", table)
    script = (
        "import sys; from pathlib import Path; from ganim.pipeline import shards; "
        "from ganim.model.estimator.network import load_estimator; load_estimator(); "
        "list(shards.read_column(Path(sys.argv[1]), 'status'))"
    )
    for _ in range(4):
        done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True)
        assert done.returncode == 0, done.stderr
