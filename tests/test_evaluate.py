"""`ganim evaluate`: figures one knows beforehand, the command as users run it, and its page."""

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
from ganim.model.animation.animator import Animator, FoundFace
from ganim.model.animation.crop_animator import Animated, CropAnimator
from ganim.model.checkpoint import save_weights
from ganim.model.config import GeneratorSettings
from ganim.model.evaluation.evaluate import AT_REST, evaluate, measure
from ganim.model.evaluation.inception import inception_score
from ganim.model.evaluation.metrics import PSNR_MOST
from ganim.model.evaluation.sample import Instruments, load_sample
from ganim.model.landmarks.dlib_models import hog_box
from ganim.model.networks.generator import Generator, for_aus, load_generator
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
    """Write the AUs along the upper edge, as 17 grey blocks."""
    painted = crop.copy()
    painted[:BLOCK, : 17 * BLOCK] = (np.repeat(aus, BLOCK) * 255).round().astype(np.uint8)[:, None]
    return painted


class BlockReader:
    """An annotator that reads what `paint` wrote."""

    name, batch = "blocks", 8

    def read(self, crops):
        return [self.read_one(decode_crop(crop.image, 128)) for crop in crops]

    def read_one(self, pixels):
        centres = np.arange(17) * BLOCK + BLOCK // 2
        return Reading(to_intensity(pixels[BLOCK // 2, centres].mean(1) / 255))


class Painter:
    """In a generator's place: one that obeys to the letter, but for `spoil`."""

    def __init__(self, spoil=lambda aus: aus):
        self.spoil = spoil

    def animate(self, crops, aus, own):
        painted = [paint(crop, self.spoil(one.copy())) for crop, one in zip(crops, aus)]  # noqa: B905
        return Animated(np.stack(painted), np.full((len(crops), 128, 128), 0.995, np.float32))


@pytest.fixture(scope="module")
def crops():
    """Ten crops of the two portraits: shifted, mirrored, brighter or darker."""
    cut, draw = [], np.random.default_rng(0)
    for path in (EXAMPLES / "astronaut.png", EXAMPLES / "grace_hopper.jpg"):
        picture = decode.read_image(path)
        box = crop_box(detect.detect_faces(picture)[0].box)
        for number in range(COUNT // 2):
            x, y = (int(shift) for shift in draw.integers(-4, 5, 2))
            moved = Box(box.left + x, box.top + y, box.right + x, box.bottom + y)
            crop = cut_crop(picture, moved)
            light = np.clip(crop * (0.8 + 0.1 * number), 0, 255).astype(np.uint8)
            cut.append(light[:, ::-1] if number % 2 else light)
    return cut


def write_shards(folder, split, pictures, aus):
    rows = [
        {
            "key": f"{number}.png#0",
            "source": f"{number}.png",
            "image": {"bytes": encode_jpeg(picture), "path": None},
            "status": shards.OK,
        }
        | dict(zip(COLUMNS, to_intensity(values).tolist(), strict=True))
        for number, (picture, values) in enumerate(zip(pictures, aus, strict=True))
    ]
    folder.mkdir(exist_ok=True)
    shards.write_shard(folder / f"{split}-00000.parquet", shards.rows_to_table(rows))


@pytest.fixture(scope="module")
def folder(crops, tmp_path_factory):
    """Shards whose AUs also stand on the crops."""
    aus = np.random.default_rng(1).uniform(0, 0.6, (COUNT, 17)).astype(np.float32)
    folder = tmp_path_factory.mktemp("evaluate") / "shards"
    write_shards(folder, "test", [paint(*both) for both in zip(crops, aus, strict=True)], aus)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Generators of 64 px: `copying` (a residual one at its start) and `changing`."""
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


def draw_sample(folder, annotator, most=100):
    instruments = Instruments(annotator, hog_box(folder, 128))
    return load_sample(folder, most, 0, instruments, *([lambda count: None] * 2)), instruments


@pytest.fixture(scope="module")
def sample(folder):
    return draw_sample(folder, BlockReader())[0]


def measured(sample, spoil=lambda aus: aus):
    return measure(Painter(spoil), sample, Instruments(BlockReader(), [15, 15, 113, 113]))


# ---- the figures


def test_a_copy_is_as_far_from_what_was_asked_as_the_input(folder, weights):
    result = evaluate(folder, [weights["copying"]], BlockReader(), device=CPU).results[0]
    figures = result.figures
    assert figures["expression_distance"] > 0.5
    assert figures["expression_distance_ratio"] == pytest.approx(1)
    assert figures["own_psnr"] == figures["cycle_psnr"] == pytest.approx(PSNR_MOST)
    assert figures["own_ssim"] == pytest.approx(1)
    assert figures["identity"] == 0 and figures["same_person"] == 1
    assert figures["attention"] == pytest.approx(0.5)
    assert figures["spectrum_ratio"] == 1
    assert (result.units["rise"].dropna().abs() < 0.02).all(), "JPEG against PNG, no more"


def test_obedience_is_seen(sample):
    result = measured(sample)
    figures, units = result.figures, result.units
    assert figures["expression_distance"] < 0.02
    assert figures["expression_distance_ratio"] > 50
    assert figures["correlation"] > 0.999
    assert figures["attention_keeps"] == 1 and figures["attention_replaces"] == 0
    assert len(units) == 17
    for index, number in enumerate(NUMBERS):
        unit, resting = units.loc[f"AU{number:02d}"], sample.own[:, index] < AT_REST
        assert unit["at_rest"] == resting.sum()
        if resting.any():
            assert unit["rise"] == pytest.approx(0.8 - sample.own[resting, index].mean(), abs=0.01)
            assert unit["leakage"] < 0.01 and unit["elsewhere"] < 0.01
        else:
            assert math.isnan(unit["rise"])


def test_targets_are_the_labels_of_another_face(sample):
    assert np.abs(sample.asked - sample.own_of_asked).max() < 0.04, "read from that photograph"
    assert (np.abs(sample.asked - sample.own).max(1) > 0.1).all(), "not its own"
    assert len({tuple(row) for row in sample.asked.tolist()}) == len(sample) == COUNT


def test_leaks_are_told_by_region(sample):
    smile, brow, lips = (NUMBERS.index(number) for number in (12, 4, 25))

    def leak(to):
        def spoil(aus):
            aus[to] = np.clip(aus[to] + 0.5 * (aus[smile] == np.float32(0.8)), 0, 1)
            return aus

        return measured(sample, spoil).units.loc["AU12"]

    within, across = leak(lips), leak(brow)
    assert within["leakage"] == pytest.approx(0.5 / 16, abs=0.01) and within["elsewhere"] < 0.01
    assert across["elsewhere"] == pytest.approx(0.5 / 8, abs=0.01)


def test_faces_the_annotator_cannot_read_are_counted_and_left_out(folder, crops):
    class Blinking(BlockReader):
        def __init__(self, refused):
            self.refused, self.seen = refused, 0

        def read_one(self, pixels):
            self.seen += 1
            if self.refused(self.seen):
                return Reading(None, error="no face")
            return super().read_one(pixels)

    blinking = Blinking(lambda seen: seen in (3, COUNT + 2))
    known, instruments = draw_sample(folder, blinking)
    assert len(known) == COUNT - 1 and known.unreadable == 1
    assert len({len(rows) for rows in known.looks.values()}) == 1
    result = measure(Painter(), known, instruments)
    assert result.figures["unread"] == pytest.approx(1 / (COUNT - 1))
    assert result.figures["correlation"] > 0.999
    with pytest.raises(NothingUsable, match="can read 1 of 10"):
        draw_sample(folder, Blinking(lambda seen: seen > 1))


def test_crops_are_animated_as_animate_does(crops, weights):
    """Up to rounding: the generator's pictures differ in the batch's size alone."""
    crop, asked = crops[0], np.linspace(0, 1, 17, dtype=np.float32)
    box = Box(0, 0, 128, 128)
    face = FoundFace(box, cut_crop(crop, box, 64), np.zeros(17, np.float32))
    by_animate = Animator(weights["changing"]).render(crop, face, asked)
    ours = CropAnimator(weights["changing"], CPU).animate(
        np.stack(crops[:3]), np.stack([asked, 1 - asked, asked]), np.zeros((3, 17))
    )
    assert np.abs(ours.pictures[0].astype(int) - by_animate).max() <= 1
    assert np.abs(by_animate.astype(int) - crop).max() > 5
    assert ours.attention.shape == (3, 64, 64)


def test_inception_score():
    assert inception_score(np.full((6, 10), 0.1)) == pytest.approx(1)
    assert inception_score(np.eye(8)) == pytest.approx(8)


# ---- the command


def test_the_command_compares_and_writes_a_page_and_json(folder, weights, tmp_path):
    out = tmp_path / "pages" / "here.html"
    done = ganim("evaluate", folder, "--weights", weights["changing"], "--out", out,
                 "--compare", weights["copying"], "--faces", 6, "--device", "cpu")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "6 faces of the test split" in done.output and "ganim estimator" in done.output
    assert re.search(
        r"ED of copying ÷ ED +[\d.]+ +falls short +1\.000 +falls short +≥ 2", done.output
    )
    record = json.loads(out.with_suffix(".json").read_text())
    changing, copying = record["generators"]
    assert (record["faces"], record["seed"]) == (6, 0)
    assert copying["figures"]["identity"] == 0 < changing["figures"]["identity"]
    assert len(changing["faces"]) == 6 and len(changing["action_units"]) == 17
    page = out.read_text()
    words_on_it = re.sub('base64,[^"]*', "", page)  # a picture may spell anything
    assert len(page) < 3_000_000 and "FID" not in words_on_it and "Inception" not in words_on_it
    assert not re.search(r'(src|href)="(?!data:)', page), "nothing from outside"
    words = ("--faces", 6, "--device", "cpu", "--out", tmp_path / "b.html")
    again = ganim("evaluate", folder, "--weights", weights["changing"], *words)
    assert again.exit_code == 0
    second = json.loads((tmp_path / "b.json").read_text())["generators"][0]
    assert second == changing, "the same seed draws the same faces and targets"


def knowing(aus, path, weights):
    """Weights of the generator in `weights`, for some AUs alone."""
    generator = for_aus(load_generator(weights)[0], aus)
    stored = {"generator": asdict(generator.settings), "size": 64}
    save_weights(path, generator.state_dict(), "generator", stored, torch.float32)
    return path


def test_generators_are_measured_over_the_aus_that_all_know(folder, weights, tmp_path):
    out = tmp_path / "page.html"
    few = knowing((1, 2, 12), tmp_path / "few.safetensors", weights["changing"])
    other = knowing((2, 4, 12), tmp_path / "other.safetensors", weights["changing"])
    done = ganim("evaluate", folder, "--weights", few, "--compare", other, "--faces", 4,
                 "--out", out, "--device", "cpu")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Asked and measured: AU2 and AU12" in done.output
    assert "AU12 alone to 0.8" in done.output and "AU04" not in done.output
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["aus"] == [2, 12]
    assert [list(one["action_units"]) for one in record["generators"]] == [["AU02", "AU12"]] * 2
    page = out.read_text()
    assert "of another face: AU2 and AU12, the others as they are" in page and "AU45" not in page

    apart = knowing((4, 45), tmp_path / "apart.safetensors", weights["changing"])
    done = ganim("evaluate", folder, "--weights", few, "--compare", apart, "--out", out)
    assert done.exit_code == 2 and "Traceback" not in done.output
    said = " ".join(done.output.split())
    assert "one knows AU1, AU2 and AU12, the other AU4 and AU45" in said


def test_aus_that_are_not_measured_are_asked_to_stay(folder, sample):
    instruments = Instruments(BlockReader(), hog_box(folder, 128))
    few = load_sample(folder, 100, 0, instruments, *([lambda count: None] * 2), (4, 12))
    assert few.aus == (4, 12)
    for column, number in enumerate(NUMBERS):
        expected = sample.asked if number in few.aus else sample.own
        assert np.array_equal(few.asked[:, column], expected[:, column])
    figures = measure(Painter(), few, instruments).figures
    assert figures["expression_distance"] == pytest.approx(0, abs=0.05)
    copied = np.abs(few.asked - few.own)[:, [NUMBERS.index(4), NUMBERS.index(12)]]
    assert figures["expression_distance_of_copying"] == pytest.approx(5 * copied.mean(), abs=1e-3)


@needs_browser
def test_the_page_opens_in_a_browser(folder, weights, tmp_path):
    out = tmp_path / "page.html"
    ganim("evaluate", folder, "--weights", weights["changing"], "--out", out, "--faces", 3)
    seen = open_page(out)
    assert seen.count("<img") > 4 * 14 and seen.count("<polyline") == 2
    for words in ("Identity distance (ACD)", "falls short", "AU45", "Least like the person"):
        assert words in seen


def test_openface_judges_where_it_is_asked_to(crops, weights, tmp_path):
    """The stand-in reads AU12 in a grey middle."""
    greys = np.linspace(0.3, 0.7, 4)
    pictures = [crop.copy() for crop in crops[:4]]
    for picture, grey in zip(pictures, greys, strict=True):
        picture[32:96, 32:96] = round(grey * 255)
    aus = np.zeros((4, 17))
    aus[:, NUMBERS.index(12)] = greys
    write_shards(tmp_path / "grey", "test", pictures, aus)
    out, program = tmp_path / "page.html", tmp_path / "FaceLandmarkImg"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n')
    program.chmod(0o755)
    done = ganim("evaluate", tmp_path / "grey", "--annotator", "openface", "--program", program,
                 "--weights", weights["copying"], "--out", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["annotator"].startswith("openface")
    units = record["generators"][0]["action_units"]
    assert units["AU12"]["r_photograph"] > 0.99
    assert record["generators"][0]["figures"]["expression_distance_ratio"] == pytest.approx(1, 0.05)


def test_fid_and_score_need_inceptions_weights(folder, weights, tmp_path):
    from torchvision.models import inception_v3

    path = tmp_path / "inception.pth"
    torch.save(inception_v3(weights=None, init_weights=False).state_dict(), path)
    figures = evaluate(folder, [weights["copying"]], BlockReader(), 2, inception=path).results[0]
    assert figures.figures["fid"] == pytest.approx(figures.figures["fid_of_photographs"], rel=0.01)
    assert figures.figures["inception_score"] >= 1
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
        (["--annotator", "openface", "--program", "absent"], "is not a program"),
        (["--device", "cuda:77"], "torch cannot use it"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(folder, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    done = ganim("evaluate", folder, *words)
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert sentence in " ".join(done.output.split())


def test_a_set_without_test_faces_is_refused(crops, weights, tmp_path):
    write_shards(tmp_path / "shards", "train", crops[:3], np.zeros((3, 17)))
    done = ganim("evaluate", tmp_path / "shards", "--weights", weights["copying"])
    assert done.exit_code == 2 and "--test-fraction" in done.output
    assert ganim("evaluate", tmp_path / "nothing").exit_code == 2
