"""Pairs of photographs of one person: how they are drawn, compared, and told to a generator."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from ganim.bench import pair_bounds
from ganim.model.animation.animator import Animator
from ganim.model.animation.networks import Networks
from ganim.model.config import GeneratorSettings
from ganim.model.estimator.network import load_estimator
from ganim.model.evaluation.features import encode_png
from ganim.model.evaluation.fresh_critic_metrics import (
    FreshCritic,
    SingleAuEdits,
    criticise,
    why_not,
)
from ganim.model.evaluation.pair_readings import read_rises
from ganim.model.evaluation.pairs import (
    Pairs,
    compare,
    draw_pairs,
    evaluate_pairs,
    make_pairs,
    series_of,
)
from ganim.model.landmarks.nuisance import MESH_POINTS, MIRRORED_SIGN, difference, nuisance
from ganim.model.landmarks.points import MIRRORED
from ganim.model.networks.flow_generator import FlowGenerator
from ganim.model.networks.generator import Generator
from ganim.model.networks.torch_renderer import TorchRenderer
from ganim.pipeline.action_units import COLUMNS, NUMBERS
from ganim.pipeline.faces import detect
from ganim.pipeline.faces.crop import crop_box, cut_crop
from ganim.pipeline.images import decode

PORTRAIT = Path(__file__).parents[1] / "examples" / "astronaut.png"
LIGHTER = 20
BOTH = np.array([[0, 1]])


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    """The crop of a portrait without very dark or bright pixels."""
    picture = decode.read_image(PORTRAIT)
    pixels = cut_crop(picture, crop_box(detect.detect_faces(picture, most=1)[0].box))
    return (30 + pixels.astype(np.float32) * 0.7).astype(np.uint8)


def faces_of(crops: list[np.ndarray], landmarks: list[np.ndarray] | None = None) -> pd.DataFrame:
    """Faces of one series as `shards.annotated_faces` returns them, with rising AUs."""
    aus = np.linspace(0, 4, len(crops))[:, None] * np.ones(17)
    faces = pd.DataFrame(aus, columns=list(COLUMNS))
    return faces.assign(
        image=encode_png(crops),
        series="one",
        landmarks=[None] * len(crops) if landmarks is None else landmarks,
    )


def known_landmarks() -> np.ndarray:
    """68 different points, x0, y0, x1, y1, …, of a plausible size."""
    return np.random.default_rng(0).uniform(-0.6, 0.6, 136).astype(np.float32)


@pytest.fixture(scope="module")
def lighter(crop: np.ndarray) -> Pairs:
    """A pair whose target is the source, 20 grey levels lighter, with the same landmarks."""
    faces = faces_of([crop, crop + np.uint8(LIGHTER)], [known_landmarks()] * 2)
    pairs = make_pairs(faces, BOTH, NUMBERS)
    assert pairs is not None
    return pairs


def animator_of(generator: Generator | FlowGenerator) -> Animator:
    return Animator.of(Networks(TorchRenderer(generator, 64), load_estimator()))


def flow_generator() -> FlowGenerator:
    """A generator that does nothing yet."""
    torch.manual_seed(0)
    generator = FlowGenerator(GeneratorSettings(8, architecture="flow"))
    points = torch.rand(68, 2) - 0.5
    generator.reference.copy_(points)
    return generator


def test_pairs_are_drawn_within_series_by_the_seed() -> None:
    series = ["a"] * 6 + ["b"] * 2 + ["alone"] + [None] * 5
    pairs = draw_pairs(series, 0)
    assert len(pairs) == 12 + 2
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
    for source, target in pairs:
        assert source != target and series[source] == series[target] in ("a", "b")
    assert np.array_equal(pairs, draw_pairs(series, 0))
    assert not np.array_equal(pairs, draw_pairs(series, 1))
    many = draw_pairs([f"{number // 4}" for number in range(400)], 0, most=200)
    assert len(many) == 200 and len({source // 4 for source, _ in many}) == 100, "two of each"


def test_without_series_there_are_no_pairs(crop: np.ndarray) -> None:
    faces = faces_of([crop, crop]).assign(series=[None, float("nan")])
    assert series_of(faces) == [None, None]
    assert make_pairs(faces, draw_pairs(series_of(faces), 0), NUMBERS) is None


def test_copying_has_the_known_difference_and_the_target_none(
    lighter: Pairs, crop: np.ndarray
) -> None:
    which = np.array([0])
    copied = compare(lighter, which, lighter.sources)
    assert copied["l1"][0] == pytest.approx(LIGHTER / 127.5, abs=1e-3)
    assert 0 < copied["ssim_error"][0] < 0.2
    reached = compare(lighter, which, [crop + np.uint8(LIGHTER)])
    for error in reached.values():
        assert error[0] == pytest.approx(0, abs=1e-4)
    turned = compare(lighter, which, [crop[::-1]])
    assert turned["landmark_error"][0] > 5 and turned["ssim_error"][0] > 0.3


def test_known_landmarks_bring_both_into_one_frame(crop: np.ndarray) -> None:
    landmarks = known_landmarks()
    moved = (landmarks.reshape(-1, 2) + np.array([8, -4]) * 2 / 128).ravel()
    crops = [crop, np.roll(crop, (-4, 8), (0, 1))]
    errors = []
    for of_target in (moved, landmarks):
        pairs = make_pairs(faces_of(crops, [landmarks, of_target]), BOTH, NUMBERS)
        assert pairs is not None
        errors.append(compare(pairs, np.array([0]), pairs.sources)["l1"][0])
    assert errors[0] < 0.01 < 0.1 < errors[1]


def test_bounds_by_landmarks_need_those_of_all(
    crop: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, unknown = known_landmarks(), known_landmarks()
    unknown[5] = np.nan
    for other, is_told in ((known, True), (unknown, False), (known[:100], False)):
        faces = faces_of([crop, crop + np.uint8(LIGHTER)], [known, other])
        monkeypatch.setattr(
            pair_bounds.shard_sets, "annotated_faces", lambda *_, faces=faces: faces
        )
        done = CliRunner().invoke(pair_bounds.main, ["--shards", "s"], catch_exceptions=False)
        assert done.exit_code == 0 and "by flow" in done.output
        assert ("by landmarks" in done.output) == is_told


def test_a_generator_is_judged_when_told_and_when_not_told(lighter: Pairs) -> None:
    """Its fields move a face if the light differs, and for nothing else."""
    generator = flow_generator()
    red = len(NUMBERS) + 4
    with torch.no_grad():
        generator.to_fields[-1].bias[2 * red] = 1.0
        generator.gain.fill_(2.0)
    values = evaluate_pairs(animator_of(generator), lighter)
    assert values["pairs"] == 1
    for error in ("l1", "ssim_error", "landmark_error"):
        unedited = values[f"pairs_{error}_unedited"]
        assert values[f"pairs_{error}"] == values[f"pairs_{error}_used"] == unedited
        assert values[f"pairs_{error}_ratio"] == 1
        assert abs(values[f"pairs_{error}_told"] - unedited) > 1e-5, "it has moved"
        assert values[f"pairs_{error}_told"] == values[f"pairs_{error}_moved"]


def test_a_generator_that_cannot_be_told_has_the_other_errors_only(lighter: Pairs) -> None:
    settings = GeneratorSettings(8, 1, "nearest", "adain", "residual")
    values = evaluate_pairs(animator_of(Generator(settings)), lighter)
    assert values["pairs_l1_ratio"] == 1, "an untrained residual generator copies"
    assert not [name for name in values if "told" in name or "moved" in name or "used" in name]


def test_what_is_read_of_edits_is_divided_by_what_is_read_of_photographs() -> None:
    column = NUMBERS.index(12)
    change, source = (np.zeros((8, len(NUMBERS))) for _ in range(2))
    change[:6, column] = 0.5
    source += 0.1
    target, half, more = source.copy(), source.copy(), source.copy()
    target[:6, column] += 0.4
    half[:6, column] += 0.2
    half[6:] += 0.5  # where nothing rises, nothing counts
    more[:6, column] += 0.6
    values = read_rises(change, source, target, {"": half, "_used": more})
    expected = {"pairs_read_": (0.5, 1.5), "pairs_read_AU12_": (0.5, 1.5)}
    for name, ratios in expected.items():
        assert (values[f"{name}ratio"], values[f"{name}ratio_used"]) == pytest.approx(ratios)
    assert len(values) == 4, "no other AU rises"
    assert not read_rises(change[:4], source[:4], target[:4], {"": half[:4]}), "too few"
    assert not read_rises(change, source, source, {"": half}), "photographs tell nothing"


def test_nuisance_of_a_mirrored_face_changes_the_signs_of_what_is_sideways() -> None:
    draw = torch.Generator().manual_seed(0)
    faces, landmarks = (
        torch.rand(shape, generator=draw) * 2 - 1 for shape in ((2, 3, 64, 64), (2, 68, 2))
    )
    mirrored = landmarks[:, list(MIRRORED)] * torch.tensor([-1.0, 1.0])
    numbers, of_mirrored = nuisance(faces, landmarks), nuisance(faces.flip(3), mirrored)
    assert torch.isnan(numbers[:, 2:4]).all(), "68 points have no irises"
    expected = numbers * torch.tensor(MIRRORED_SIGN)
    assert torch.allclose(of_mirrored, expected, atol=1e-4, equal_nan=True)
    told = difference(numbers[0], numbers[1])
    assert (told[2:4] == 0).all() and (told[[0, 1, 4, 5, 6, 7]] != 0).all()


def test_gaze_is_read_from_the_irises_of_the_mesh() -> None:
    landmarks = torch.zeros(1, MESH_POINTS, 2)
    for corner, x in ((33, -0.5), (133, -0.25), (362, 0.25), (263, 0.5)):
        landmarks[0, corner, 0] = x
    landmarks[0, [468, 473], 0] = torch.tensor([-0.35, 0.4])
    assert nuisance(torch.zeros(1, 3, 64, 64), landmarks)[0, 2] == pytest.approx(5 * 0.1)


class Photographs:
    """As much of a sample as the fresh critic needs."""

    def __init__(self, count: int, people: int) -> None:
        coarse = np.random.default_rng(0).integers(60, 200, (count, 4, 4, 3))
        self.pictures = coarse.repeat(8, 1).repeat(8, 2).astype(np.uint8)
        self.people = [f"{number % people}" for number in range(count)]

    def __len__(self) -> int:
        return len(self.people)

    def crops(self, indices: np.ndarray) -> np.ndarray:
        return self.pictures[indices]


def test_the_fresh_critic_names_the_au_that_looks_edited() -> None:
    sample = Photographs(36, 36)
    pictures = np.concatenate([sample.pictures, sample.pictures[:5], sample.pictures])
    pictures[41:, 10:22, 10:22] = [90, 30, 30]
    edits = SingleAuEdits(np.r_[0:36, 0:5, 0:36], np.repeat([1, 2, 15], [36, 5, 36]), pictures)
    critic = FreshCritic(0, 30, {"convolutional": 0.5, "statistics": 0.51})
    verdict = criticise(critic, sample, edits)  # type: ignore[arg-type]
    for name in ("fresh_critic", "fresh_critic_statistics"):
        aucs = verdict.per_au[name]
        assert list(aucs.index) == ["AU01", "AU15"], "AU02 was edited on five faces only"
        assert aucs["AU15"] > 0.9 and aucs["AU01"] < 0.7
        assert verdict.metrics[f"{name}_worst"] == aucs["AU15"]
        worst = verdict.worst[verdict.worst["critic"] == name]
        assert len(worst) == 12 and (worst["AU"] == "AU15").mean() > 0.8
        assert worst["score"].is_monotonic_decreasing
    assert verdict.metrics["fresh_critic_statistics_reference"] == 0.51


@pytest.mark.parametrize(("count", "people", "enough"), [(29, 29, False), (40, 3, False),
                                                         (30, 6, True)])  # fmt: skip
def test_the_fresh_critic_needs_enough_faces_and_people(
    count: int, people: int, enough: bool
) -> None:
    reason = why_not(Photographs(count, people))  # type: ignore[arg-type]
    assert (reason is None) == enough
    if reason:
        assert f"has {count} of {people}" in reason
