"""The estimator: the shipped weights, its losses and its training data."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from ganim.cli import main
from ganim.model.data import Faces
from ganim.model.estimator.annotator import load_reader, read_table
from ganim.model.estimator.data import Examples, human_codes, load_examples
from ganim.model.estimator.losses import censored_loss, doubt_loss, presumed_codes
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.faces import detect
from ganim.pipeline.faces.crop import crop_box, cut_crop
from ganim.pipeline.images import decode
from ganim.pipeline.prepare.prepare import prepare

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
    # The person in astronaut.png smiles, the one in grace_hopper.jpg does not.
    smile = rows.set_index("source")["AU12_r"]
    assert smile["astronaut.png"] > 1.5 > smile["grace_hopper.jpg"]


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recorded OpenFace labels")
def test_agrees_with_openface_on_photographs(tmp_path):
    source = tmp_path / "photos"
    for path in sorted((SHARED / "faces" / "photos" / "meb").iterdir())[:120]:
        (source / "meb").mkdir(parents=True, exist_ok=True)
        (source / "meb" / path.name).write_bytes(path.read_bytes())
    prepare(source, tmp_path / "shards", workers=1)
    run("annotate", tmp_path / "shards", "--annotator", "estimator")
    ours = pd.concat(pd.read_parquet(path) for path in shards.shard_paths(tmp_path / "shards"))
    ours = ours[ours["status"] == shards.OK]  # two of the photographs are duplicates
    labels = pd.read_parquet(SHARED / "openface" / "labels.parquet").set_index("photo")
    ours, theirs = ours.set_index("source"), labels.loc[ours["source"]]
    assert np.corrcoef(ours["AU12_r"], theirs["AU12_r"])[0, 1] > 0.85
    assert np.corrcoef(ours["AU25_r"], theirs["AU25_r"])[0, 1] > 0.75


def test_the_loss_is_censored_at_zero():
    deviation = torch.ones(2)
    below = censored_loss(torch.tensor([[-0.5, 0.5]]), torch.tensor([[0.0, 0.5]]), deviation)
    above = censored_loss(torch.tensor([[0.5, 0.0]]), torch.tensor([[0.0, 0.5]]), deviation)
    assert below.item() == 0.0
    assert above.item() == pytest.approx(0.25)


def test_unknown_targets_have_no_loss():
    target = torch.tensor([[torch.nan, 0.5], [torch.nan, 0.0]])
    loss = censored_loss(torch.tensor([[9.0, 0.7], [9.0, -1.0]]), target, torch.tensor([1.0, 0.1]))
    assert loss.item() == pytest.approx((2.0**2 + 0) / 2)
    assert censored_loss(torch.ones(1, 2), torch.full((1, 2), torch.nan), torch.ones(2)) == 0


def test_the_loss_on_doubt_is_lowest_at_the_true_error():
    expected, error = torch.full((1, 17), 0.1), torch.full((1, 17), 0.2)
    costs = [doubt_loss(torch.tensor([d]), error, expected).item() for d in np.log([1.5, 2.0, 3.0])]
    assert min(costs) == costs[1]
    assert costs[1] == pytest.approx(1 + np.log(0.2))


def test_facs_codes_are_parsed():
    assert human_codes("1C 12D 25E") == {1: 3.0, 12: 4.0, 25: 5.0}
    assert human_codes("15LB 1LDRC") == {15: 1.0, 1: 3.5}
    assert np.isnan(human_codes("4X")[4])
    assert human_codes("") == {}
    with pytest.raises(WrongUse, match="12D"):
        human_codes("smile")


def test_presumed_codes_are_a_line_fitted_to_the_coders_scores():
    aus = torch.rand(40, 17)
    facs = torch.full((40, 17), torch.nan)
    facs[:20, 3] = aus[:20, 3] * 0.5 + 0.1
    faces = Faces(torch.zeros(40, 3, 1, 1), aus, ["k"] * 40, ["s"] * 40)
    presumed = presumed_codes(Examples(faces, facs, torch.zeros(40, 68, 2)))
    assert torch.allclose(presumed[:, 3], aus[:, 3] * 0.5 + 0.1, atol=1e-5)
    assert torch.equal(presumed[:, 4], aus[:, 4]), "AUs that nobody scored keep OpenFace's value"


@pytest.mark.slow
def test_no_person_is_in_both_splits(tmp_path):
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
    table["aus"] = "12C"
    table.to_csv(tmp_path / "human.csv", index=False)
    sides = load_examples(tmp_path / "shards", tmp_path / "human.csv", 128, held_out=0.4)
    train, test = (side.faces for side in sides)

    def persons(faces):
        numbers = (Path(source) for source in faces.sources if source.startswith("known"))
        return {int(path.stem) // 2 for path in numbers}

    assert persons(train) and persons(test) and not persons(train) & persons(test)
    everything = train.sources + test.sources
    unnamed = {f"known/{n}.jpg" for n in range(50, 60)} & set(everything)
    assert not unnamed, "all crops are equal, so each may show a held-out person"
    assert sum(source.startswith("free") for source in everything) == 60
    for side in sides:
        coded = side.facs[torch.from_numpy(side.coded)]
        assert len(coded) == sum(source.startswith("known") for source in side.faces.sources)
        assert torch.allclose(coded[:, 8], torch.tensor(0.6)), "12C is AU12 at 3 of 5"
        assert coded[:, :8].isnan().all(), "AUs that the table never names are unknown"


def test_confidence_is_low_for_crops_that_cannot_be_read():
    photograph = decode.read_image(ROOT / "examples" / "astronaut.png")
    crop = cut_crop(photograph, crop_box(detect.detect_faces(photograph)[0].box))
    blurred = cv2.resize(cv2.resize(crop, (8, 8), interpolation=cv2.INTER_AREA), (128, 128))
    covered = crop.copy()
    covered[20:] = 128
    noise = np.random.default_rng(0).integers(0, 256, crop.shape, np.uint8)
    corrupted = read_table(np.stack([blurred, covered, crop[::-1].copy(), noise]))["au_confidence"]
    clear = read_table(crop[None])["au_confidence"].item()
    assert clear > 0.9
    assert (corrupted < clear).all()
    assert (corrupted[:2] < 0.5).all()


def test_wrong_onnx_files_are_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(WrongUse, match=r"ganim\.model\.estimator\.export"):
        load_reader(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(WrongUse, match="not an estimator of ganim"):
        load_reader(tmp_path / "text.onnx")


def _jpeg():
    from ganim.pipeline.faces.crop import encode_jpeg

    return encode_jpeg(np.zeros((16, 16, 3), np.uint8))
