"""The shipped estimator: as an annotator, and against OpenFace where its answers are at hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from ganim.cli import main
from ganim.model.train_estimator import censored_loss, split_faces
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.prepare import prepare

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


def run(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_annotates_shards_by_name(tmp_path):
    folder = tmp_path / "shards"
    run("prepare", "--src", ROOT / "examples", "--out", folder, "--workers", 1)
    run("annotate", folder, "--annotator", "estimator")
    rows = pd.concat(pd.read_parquet(path) for path in shards.shard_paths(folder))
    assert len(rows) == 2
    assert rows["annotator"].str.startswith("ganim estimator").all()
    aus = rows[list(COLUMNS)].to_numpy()
    assert ((aus >= 0) & (aus <= 5)).all()
    # Eileen Collins laughs with teeth, Grace Hopper does not.
    smile = rows.set_index("source")["AU12_r"]
    assert smile["astronaut.png"] > 1.5 > smile["grace_hopper.jpg"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recorded OpenFace labels")
def test_agrees_with_openface_on_photographs(tmp_path):
    source = tmp_path / "photos"
    for path in sorted((SHARED / "faces" / "photos" / "meb").iterdir())[:120]:
        (source / "meb").mkdir(parents=True, exist_ok=True)
        (source / "meb" / path.name).write_bytes(path.read_bytes())
    prepare(source, tmp_path / "shards", workers=1)
    run("annotate", tmp_path / "shards", "--annotator", "estimator")
    ours = pd.concat(pd.read_parquet(path) for path in shards.shard_paths(tmp_path / "shards"))
    ours = ours[ours["status"] == shards.OK]  # two of the photographs stand there twice
    labels = pd.read_parquet(SHARED / "openface" / "labels.parquet").set_index("photo")
    ours, theirs = ours.set_index("source"), labels.loc[ours["source"]]
    assert np.corrcoef(ours["AU12_r"], theirs["AU12_r"])[0, 1] > 0.85
    assert np.corrcoef(ours["AU25_r"], theirs["AU25_r"])[0, 1] > 0.75


def test_loss_is_one_sided_at_zero():
    deviation = torch.ones(2)
    below = censored_loss(torch.tensor([[-0.5, 0.5]]), torch.tensor([[0.0, 0.5]]), deviation)
    above = censored_loss(torch.tensor([[0.5, 0.0]]), torch.tensor([[0.0, 0.5]]), deviation)
    assert below.item() == 0.0
    assert above.item() == pytest.approx(0.25)


def test_persons_never_stand_on_both_sides(tmp_path):
    rows = [
        {
            "key": f"{folder}/{number}.jpg#0",
            "source": f"{folder}/{number}.jpg",
            "image": {"bytes": _jpeg(), "path": None},
            "status": shards.OK,
        }
        | dict.fromkeys(COLUMNS, 1.0)
        for folder in ("known", "free")
        for number in range(60)
    ]
    (tmp_path / "shards").mkdir()
    for split, part in (("train", rows[::2]), ("test", rows[1::2])):
        path = tmp_path / "shards" / f"{split}-00000.parquet"
        shards.write_shard(path, shards.rows_to_table(part))
    table = pd.DataFrame({"photo": [f"known/{n}.jpg" for n in range(50)], "person": range(50)})
    table["person"] //= 2
    table.to_csv(tmp_path / "persons.csv", index=False)
    train, test = split_faces(tmp_path / "shards", tmp_path / "persons.csv", held_out=0.4)

    def persons(faces):
        numbers = (Path(source) for source in faces.sources if source.startswith("known"))
        return {int(path.stem) // 2 for path in numbers}

    assert persons(train) and persons(test) and not persons(train) & persons(test)
    everything = train.sources + test.sources
    assert not {f"known/{n}.jpg" for n in range(50, 60)} & set(everything), "nobody knows whom"
    assert sum(source.startswith("free") for source in everything) == 60


def _jpeg():
    from ganim.pipeline.cutting import encode_jpeg

    return encode_jpeg(np.zeros((16, 16, 3), np.uint8))
