"""`ganim evaluate`: metrics with known values, the command, its JSON file and its page."""

import json
import math
import re
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import needs_browser, open_page
from click.testing import CliRunner

from ganim.cli import main
from ganim.model.animation.animator import Animator, Face, Rendered, faces_of_crops
from ganim.model.checkpoint import save_weights
from ganim.model.config import GeneratorSettings
from ganim.model.evaluation import metrics, report, table
from ganim.model.evaluation.evaluate import INACTIVE_BELOW, evaluate, evaluate_generator
from ganim.model.evaluation.features import FeatureExtractor
from ganim.model.evaluation.metrics import MAX_PSNR
from ganim.model.evaluation.sample import load_sample
from ganim.model.landmarks.dlib_models import hog_box
from ganim.model.networks.generator import Generator
from ganim.model.networks.load import load_generator
from ganim.model.training.resume import for_aus
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS, NUMBERS, to_intensity
from ganim.pipeline.annotator import Reading
from ganim.pipeline.errors import NothingUsable, WrongUse
from ganim.pipeline.faces import detect
from ganim.pipeline.faces.crop import Box, crop_box, cut_crop, decode_crop, encode_jpeg
from ganim.pipeline.images import decode

EXAMPLES = Path(__file__).parents[1] / "examples"
STAND_IN = Path(__file__).with_name("openface_stand_in.py")
COUNT = 10
CPU = torch.device("cpu")
BLOCK = 7


def paint(crop, aus):
    """Encode AUs as 17 grey blocks along the upper edge of a crop."""
    painted = crop.copy()
    painted[:BLOCK, : 17 * BLOCK] = (np.repeat(aus, BLOCK) * 255).round().astype(np.uint8)[:, None]
    return painted


class BlockReader:
    """An annotator that decodes the blocks of `paint`."""

    name, batch = "blocks", 8

    def read(self, crops):
        return [self.read_one(decode_crop(crop.image, 128)) for crop in crops]

    def read_one(self, pixels):
        centres = np.arange(17) * BLOCK + BLOCK // 2
        return Reading(to_intensity(pixels[BLOCK // 2, centres].mean(1) / 255))


class PaintingAnimator:
    """An animator whose output shows exactly the target AUs, after `corrupt` changed them."""

    def __init__(self, corrupt=lambda aus: aus):
        self.corrupt = corrupt

    def render_batch(self, crops, faces, target_aus):
        pairs = zip(crops, target_aus, strict=True)
        painted = [paint(crop, self.corrupt(aus.copy())) for crop, aus in pairs]
        return Rendered(painted, np.full((len(crops), 128, 128), 0.995, np.float32))


@pytest.fixture(scope="module")
def crops():
    """Ten variations of the crops of two portraits: shifted, mirrored, brighter or darker."""
    cut, rng = [], np.random.default_rng(0)
    for path in (EXAMPLES / "astronaut.png", EXAMPLES / "grace_hopper.jpg"):
        picture = decode.read_image(path)
        box = crop_box(detect.detect_faces(picture)[0].box)
        for number in range(COUNT // 2):
            x, y = (int(shift) for shift in rng.integers(-4, 5, 2))
            moved = Box(box.left + x, box.top + y, box.right + x, box.bottom + y)
            crop = cut_crop(picture, moved)
            light = np.clip(crop * (0.8 + 0.1 * number), 0, 255).astype(np.uint8)
            cut.append(light[:, ::-1] if number % 2 else light)
    return cut


def write_shards(folder, split, pictures, aus, series=None):
    rows = [
        {
            "key": f"{number}.png#0",
            "source": f"{number}.png",
            "image": {"bytes": encode_jpeg(picture), "path": None},
            "status": shards.OK,
            "series": None if series is None else series[number],
        }
        | dict(zip(COLUMNS, to_intensity(values).tolist(), strict=True))
        for number, (picture, values) in enumerate(zip(pictures, aus, strict=True))
    ]
    folder.mkdir(exist_ok=True)
    shards.write_shard(folder / f"{split}-00000.parquet", shards.rows_to_table(rows))


@pytest.fixture(scope="module")
def folder(crops, tmp_path_factory):
    """Shards whose AUs are also painted on the crops."""
    aus = np.random.default_rng(1).uniform(0, 0.6, (COUNT, 17)).astype(np.float32)
    folder = tmp_path_factory.mktemp("evaluate") / "shards"
    write_shards(folder, "test", [paint(*both) for both in zip(crops, aus, strict=True)], aus)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Generators of 64 px: `copying` (residual, untrained) and `changing` (random weights)."""
    made, base = {}, tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    for name in ("copying", "changing"):
        settings = GeneratorSettings(8, 1, "nearest", "adain", "residual")
        generator = Generator(settings)
        if name == "changing":
            torch.nn.init.normal_(generator.to_masks.weight, 0, 0.03)
        made[name] = base / f"{name}.safetensors"
        stored = {"generator": asdict(settings), "size": 64}
        save_weights(made[name], generator.state_dict(), "generator", stored, torch.float32)
    return made


def ganim(*words):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def extractor_for(folder, annotator):
    return FeatureExtractor(annotator, hog_box(folder, 128))


@pytest.fixture(scope="module")
def sample(folder):
    return load_sample(folder, 100, 0, extractor_for(folder, BlockReader()))


def painted_result(sample, corrupt=lambda aus: aus):
    extractor = FeatureExtractor(BlockReader(), [15, 15, 113, 113])
    return evaluate_generator(PaintingAnimator(corrupt), sample, extractor)


# ---- metrics


def test_metrics_of_a_generator_that_copies_its_input(folder, weights):
    result = evaluate(folder, [weights["copying"]], BlockReader(), device=CPU).results[0]
    values = result.metrics
    assert values["expression_distance"] > 0.5
    assert values["expression_distance_ratio"] == pytest.approx(1)
    assert values["reconstruction_psnr"] == values["cycle_psnr"] == pytest.approx(MAX_PSNR)
    assert values["reconstruction_ssim"] == pytest.approx(1)
    assert values["identity_distance"] == 0 and values["same_person"] == 1
    assert values["attention"] == pytest.approx(0.5)
    assert values["spectral_distance_ratio"] == 1
    increase = result.per_au["increase"].dropna()
    assert len(increase) > 10 and (increase.abs() < 0.02).all(), "JPEG against PNG only"


def test_metrics_of_a_generator_that_shows_the_targets(sample):
    result = painted_result(sample)
    values, per_au = result.metrics, result.per_au
    assert values["expression_distance"] < 0.02
    assert values["expression_distance_ratio"] > 50
    assert values["correlation"] > 0.999
    assert values["attention_kept"] == 1 and values["attention_replaced"] == 0
    assert len(per_au) == 17
    for index, number in enumerate(NUMBERS):
        row, inactive = per_au.loc[f"AU{number:02d}"], sample.own_aus[:, index] < INACTIVE_BELOW
        assert row["inactive_faces"] == inactive.sum()
        if inactive.any():
            increase = 0.8 - sample.own_aus[inactive, index].mean()
            assert row["increase"] == pytest.approx(increase, abs=0.01)
            assert row["leakage"] < 0.01 and row["leakage_other_regions"] < 0.01
        else:
            assert math.isnan(row["increase"])
    assert per_au["increase"].notna().any()


def test_targets_are_the_labels_of_another_face(sample):
    assert np.abs(sample.target_aus - sample.reference_aus).max() < 0.04, "painted on that crop"
    assert (np.abs(sample.target_aus - sample.own_aus).max(1) > 0.1).all(), "not its own"
    assert len({tuple(row) for row in sample.target_aus.tolist()}) == len(sample) == COUNT


def test_leakage_is_measured_by_region(sample):
    smile, brow, lips = (NUMBERS.index(number) for number in (12, 4, 25))

    def leak(to):
        def corrupt(aus):
            aus[to] = np.clip(aus[to] + 0.5 * (aus[smile] == np.float32(0.8)), 0, 1)
            return aus

        return painted_result(sample, corrupt).per_au.loc["AU12"]

    same_region, other_region = leak(lips), leak(brow)
    assert same_region["leakage"] == pytest.approx(0.5 / 16, abs=0.01)
    assert same_region["leakage_other_regions"] < 0.01
    assert other_region["leakage_other_regions"] == pytest.approx(0.5 / 8, abs=0.01)


@pytest.mark.slow
def test_faces_that_the_annotator_cannot_read_are_counted_and_left_out(folder):
    class Refusing(BlockReader):
        def __init__(self, refused):
            self.refused, self.count = refused, 0

        def read_one(self, pixels):
            self.count += 1
            if self.refused(self.count):
                return Reading(None, error="no face")
            return super().read_one(pixels)

    extractor = extractor_for(folder, Refusing(lambda count: count in (3, COUNT + 2)))
    sample = load_sample(folder, 100, 0, extractor)
    assert len(sample) == COUNT - 1 and sample.unreadable == 1
    assert {len(rows) for rows in sample.features.values()} == {COUNT - 1}
    result = evaluate_generator(PaintingAnimator(), sample, extractor)
    assert result.metrics["unreadable"] == pytest.approx(1 / (COUNT - 1))
    assert result.metrics["correlation"] > 0.999
    read = result.per_face["expression_distance"].notna().to_numpy()
    unedited = metrics.expression_distance(sample.target_aus, sample.own_aus)[read].mean()
    assert result.metrics["expression_distance_unedited"] == pytest.approx(unedited)
    with pytest.raises(NothingUsable, match="can read 1 of 10"):
        load_sample(folder, 100, 0, extractor_for(folder, Refusing(lambda count: count > 1)))


def test_a_batch_of_crops_is_rendered_like_a_single_photograph(crops, weights):
    """Equal up to rounding, because the network computes batches of other sizes differently."""
    animator = Animator(weights["changing"], CPU)
    target, own = np.linspace(0, 1, 17, dtype=np.float32), np.zeros(17, np.float32)
    batch = animator.render_batch(
        crops[:3], faces_of_crops(np.stack([own] * 3)), np.stack([target, 1 - target, target])
    )
    # The same crop inside a larger photograph.
    photograph = np.zeros((200, 300, 3), np.uint8)
    photograph[40:168, 60:188] = crops[0]
    face = Face(Box(60, 40, 188, 168), own)
    single = animator.render(photograph, face, target)[40:168, 60:188]
    assert np.abs(batch.pictures[0].astype(int) - single).max() <= 1
    assert np.abs(single.astype(int) - crops[0]).max() > 5
    assert batch.attention.shape == (3, 64, 64)


# ---- the command


@pytest.mark.slow
def test_the_command_compares_and_writes_a_page_and_json(folder, weights, tmp_path):
    out = tmp_path / "pages" / "here.html"
    done = ganim("evaluate", folder, "--weights", weights["changing"], "--out", out,
                 "--compare", weights["copying"], "--faces", 6, "--device", "cpu")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "6 faces of the test split" in done.output and "ganim estimator" in done.output
    assert re.search(
        r"ED of the unedited input ÷ ED +[\d.]+ +not met +1\.000 +not met +≥ 2", done.output
    )
    record = json.loads(out.with_suffix(".json").read_text())
    changing, copying = record["generators"]
    assert (record["faces"], record["seed"]) == (6, 0)
    assert len(record["left_out"]) == 2, "no series, and too few faces for a fresh critic"
    for sentence in record["left_out"]:
        assert sentence in done.output and sentence in out.read_text()
    assert copying["metrics"]["reconstruction_identical"] == 1
    assert not [name for name in copying["metrics"] if "pairs" in name or "critic" in name]
    distances = [one["metrics"]["identity_distance"] for one in (changing, copying)]
    assert distances[1] == 0 < distances[0]
    assert changing["weights"] == "changing.safetensors" and changing["size"] == 64
    assert len(changing["faces"]) == 6 and len(changing["action_units"]) == 17
    page = out.read_text()
    text = re.sub('base64,[^"]*', "", page)  # the encoding of a picture may contain any word
    assert len(page) < 3_000_000 and "FID" not in text and "Inception" not in text
    assert not re.search(r'(src|href)="(?!data:|#)', page), "no external files"
    curves = re.findall(r'id="spectrum-(\d)">\s*<path d="([^"]+)"', page)
    assert [number for number, _ in curves] == ["0", "1", "2"], "photographs and both generators"
    assert all(path.count("L") > 60 for _, path in curves), "a point for nearly each frequency"
    words = ("--faces", 6, "--device", "cpu", "--out", tmp_path / "b.html")
    again = ganim("evaluate", folder, "--weights", weights["changing"], *words)
    assert again.exit_code == 0
    second = json.loads((tmp_path / "b.json").read_text())["generators"][0]
    assert second == changing, "equal for the same seed"


@pytest.mark.slow
def test_pairs_and_the_fresh_critic_in_the_table_the_page_and_json(crops, weights, tmp_path):
    aus = np.random.default_rng(1).uniform(0, 0.3, (30, 17)).astype(np.float32)
    pictures = [paint(crop, one) for crop, one in zip(crops * 3, aus, strict=True)]
    folder = tmp_path / "shards"
    write_shards(folder, "test", pictures, aus, [f"{number // 2}" for number in range(30)])
    evaluation = evaluate(folder, [weights["changing"]], BlockReader(), device=CPU,
                          fresh_critic_steps=2)  # fmt: skip
    assert evaluation.left_out == []
    table.print_evaluation(evaluation)
    report.write_page(tmp_path / "page.html", evaluation)
    evaluation.write_json(tmp_path / "page.json")
    page = (tmp_path / "page.html").read_text()
    assert "<h2>Pairs</h2>" in page and page.count(" sd</figcaption>") == 24
    (generator,) = json.loads((tmp_path / "page.json").read_text())["generators"]
    values = generator["metrics"]
    assert values["pairs"] == 15 * 2 and values["pairs_l1_unedited"] > 0
    for name in ("fresh_critic", "fresh_critic_statistics"):
        assert 0 <= values[f"{name}_reference"] <= 1
        assert values[name] <= values[f"{name}_worst"] <= 1
        assert name in generator["action_units"]["AU12"]
    assert len(generator["worst_edits"]) == 24
    assert set(generator["worst_edits"][0]) == {"key", "AU", "critic", "score"}
    without = evaluate(folder, [weights["changing"]], BlockReader(), 2, fresh_critic=False)
    assert without.left_out == [] and "fresh_critic" not in without.results[0].metrics


def weights_for_aus(aus, path, weights):
    """Write the generator in `weights`, reduced to some AUs."""
    generator = for_aus(load_generator(weights)[0], aus)
    stored = {"generator": asdict(generator.settings), "size": 64}
    save_weights(path, generator.state_dict(), "generator", stored, torch.float32)
    return path


def test_generators_are_evaluated_on_the_aus_that_all_know(folder, weights, tmp_path):
    out = tmp_path / "page.html"
    few = weights_for_aus((1, 2, 12), tmp_path / "few.safetensors", weights["changing"])
    other = weights_for_aus((2, 4, 12), tmp_path / "other.safetensors", weights["changing"])
    done = ganim("evaluate", folder, "--weights", few, "--compare", other, "--faces", 4,
                 "--out", out, "--device", "cpu")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Edited and measured: AU2 and AU12" in done.output
    assert re.search(r"One AU to 0.8: AUs that rise alone +\d", done.output)
    assert "≥ 2 " in done.output and "AU04" not in done.output
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["aus"] == [2, 12]
    assert [list(one["action_units"]) for one in record["generators"]] == [["AU02", "AU12"]] * 2
    page = out.read_text()
    assert "of another face: AU2 and AU12; the other AUs keep" in page and "AU45" not in page

    apart = weights_for_aus((4, 45), tmp_path / "apart.safetensors", weights["changing"])
    done = ganim("evaluate", folder, "--weights", few, "--compare", apart, "--out", out)
    assert done.exit_code == 2 and "Traceback" not in done.output
    message = " ".join(done.output.split())
    assert "one knows AU1, AU2 and AU12, the other AU4 and AU45" in message


def test_targets_of_aus_that_are_not_measured_are_the_own_values(folder, sample):
    extractor = extractor_for(folder, BlockReader())
    few = load_sample(folder, 100, 0, extractor, aus=(4, 12))
    assert few.aus == (4, 12)
    for column, number in enumerate(NUMBERS):
        expected = sample.target_aus if number in few.aus else sample.own_aus
        assert np.array_equal(few.target_aus[:, column], expected[:, column])
    values = evaluate_generator(PaintingAnimator(), few, extractor).metrics
    assert values["expression_distance"] == pytest.approx(0, abs=0.05)
    error = np.abs(few.target_aus - few.own_aus)[:, [NUMBERS.index(4), NUMBERS.index(12)]]
    unedited = values["expression_distance_unedited"]
    assert unedited == pytest.approx(5 * error.mean(), abs=1e-3)


@needs_browser
def test_the_page_opens_in_a_browser(folder, weights, tmp_path):
    out = tmp_path / "page.html"
    ganim("evaluate", folder, "--weights", weights["changing"], "--out", out, "--faces", 3)
    dom = open_page(out)
    assert dom.count("<img") > 4 * 14 and dom.count("<svg") == 1
    assert "cycles per picture" in dom
    for text in ("Identity distance (ACD)", "not met", "AU45", "Highest identity distance"):
        assert text in dom


@pytest.mark.slow
def test_openface_as_the_annotator(crops, weights, tmp_path):
    """The stand-in for OpenFace reads AU12 from the grey level of the centre."""
    greys = np.linspace(0.3, 0.7, 4)
    pictures = [crop.copy() for crop in crops[:4]]
    for picture, grey in zip(pictures, greys, strict=True):
        picture[32:96, 32:96] = round(grey * 255)
    aus = np.zeros((4, 17))
    aus[:, NUMBERS.index(12)] = greys
    write_shards(tmp_path / "grey", "test", pictures, aus)
    # Two AUs, because the program is started again for each.
    two = weights_for_aus((4, 12), tmp_path / "two.safetensors", weights["copying"])
    out, program = tmp_path / "page.html", tmp_path / "FaceLandmarkImg"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n')
    program.chmod(0o755)
    done = ganim("evaluate", tmp_path / "grey", "--annotator", "openface", "--program", program,
                 "--weights", two, "--out", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["annotator"].startswith("openface")
    (generator,) = record["generators"]
    assert generator["action_units"]["AU12"]["r_reference"] > 0.99
    assert generator["metrics"]["expression_distance_ratio"] == pytest.approx(1, 0.05)


@pytest.mark.slow
def test_fid_and_inception_score_need_the_weights_of_inception(folder, weights, tmp_path):
    from torchvision.models import inception_v3

    path = tmp_path / "inception.pth"
    torch.save(inception_v3(weights=None, init_weights=False).state_dict(), path)
    results = evaluate(folder, [weights["copying"]], BlockReader(), 4, inception=path).results
    values = results[0].metrics
    assert 0 < values["fid"] == pytest.approx(values["fid_reference"], rel=0.01), "a copy"
    assert values["inception_score"] == pytest.approx(values["inception_score_reference"])
    assert 1 - 1e-9 <= values["inception_score"] <= 4
    with pytest.raises(WrongUse, match="inception_v3_google"):
        evaluate(folder, [weights["copying"]], BlockReader(), inception=weights["copying"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--out", "page.pdf"], "name the page with the ending .html"),
        (["--weights", "absent.safetensors"], "There are no weights at absent.safetensors"),
        (["--faces", "1"], "--faces"),
        (["--inception", "absent.pth"], "does not exist"),
        (["--out", "/proc/nothing/page.html"], "cannot be written"),
        (["--annotator", "openface", "--program", "absent"], "is not an executable program"),
        (["--device", "cuda:77"], "torch cannot use it"),
    ],
)
def test_wrong_use_is_explained_in_a_sentence(folder, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    done = ganim("evaluate", folder, *words)
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert sentence in " ".join(done.output.split())


def test_a_set_without_test_faces_is_refused(crops, weights, tmp_path):
    write_shards(tmp_path / "shards", "train", crops[:3], np.zeros((3, 17)))
    done = ganim("evaluate", tmp_path / "shards", "--weights", weights["copying"])
    assert done.exit_code == 2 and "--test-fraction" in done.output
    assert ganim("evaluate", tmp_path / "nothing").exit_code == 2
