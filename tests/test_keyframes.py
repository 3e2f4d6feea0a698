"""AUs over time: between expressions, at keyframes, and those of a driver."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ganim.model.animation.drive import Driver, read_driver
from ganim.model.animation.keyframes import EASES, between, key_timing, keyed, parse_keys
from ganim.model.animation.smoothing import faded, smoothed, without_short
from ganim.model.animation.timing import Timing
from ganim.model.estimator.network import load_estimator
from ganim.pipeline.action_units import COLUMNS, NUMBERS, Edit, positions
from ganim.pipeline.errors import NothingUsable, WrongUse
from ganim.pipeline.expressions import Request

AU6, AU12, AU25 = (NUMBERS.index(number) for number in (6, 12, 25))
LINEAR = EASES["linear"]


def own_aus() -> np.ndarray:
    own = np.zeros(17, np.float32)
    own[AU6], own[AU12] = 0.3, 0.1
    return own


# ---- between two expressions


@pytest.mark.parametrize("ease", EASES)
def test_a_movement_starts_at_the_face_and_ends_as_requested(ease: str) -> None:
    own = own_aus()
    aus = between(own, Request([Edit(12, 0.9)]), 10, EASES[ease], False)
    assert np.array_equal(aus[0], own)
    assert np.allclose(aus[-1, AU12], 0.9)
    assert np.all(np.diff(aus[:, AU12]) > 0)
    assert np.array_equal(np.delete(aus, AU12, 1), np.tile(np.delete(own, AU12), (10, 1)))


def test_easing_in_and_out_starts_slowly_and_ends_slowly() -> None:
    steps = np.diff(
        between(own_aus(), Request([Edit(12, 0.9)]), 11, EASES["in-out"], False)[:, AU12]
    )
    assert steps[0] < steps[4] / 3 and steps[-1] < steps[5] / 3


def test_ping_pong_goes_back_the_same_way() -> None:
    aus = between(own_aus(), Request([Edit(12, 0.9)]), 6, LINEAR, True)
    assert len(aus) == 11
    assert np.array_equal(aus, aus[::-1])


# ---- keyframes


def test_each_au_moves_between_the_keyframes_that_name_it() -> None:
    keys = parse_keys(["0:12=0", "1.0:12=1,6=+0.5", "2:12=0.5"])
    times = np.array([0, 0.5, 1.0, 1.5, 2.0, 9.0])
    aus = keyed(np.tile(own_aus(), (6, 1)), times, keys, LINEAR)
    assert np.allclose(aus[:, AU12], [0, 0.5, 1, 0.75, 0.5, 0.5])
    assert np.allclose(aus[:, AU6], [0.3, 0.55, 0.8, 0.8, 0.8, 0.8])
    assert np.all(aus[:, AU25] == 0)


def test_keyframes_without_one_at_the_start_begin_at_the_face() -> None:
    aus = keyed(own_aus()[None], np.array([0.0]), parse_keys(["1:12=1"]), LINEAR)
    assert np.array_equal(aus[0], own_aus())


def test_the_last_keyframe_is_the_last_picture() -> None:
    timing = key_timing(parse_keys(["1.0:12=1"]), Fraction(25))
    assert len(timing.times) == 26 and timing.times[-1] == 1


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["12=1"], "no colon"),
        (["soon:12=1"], "'soon' is not a time"),
        (["-1:12=1"], "from 0"),
        (["nan:12=1"], "not a time"),
        (["1e9:12=1"], "from 0 to 3600"),
        (["1/0:12=1"], "not a time"),
        (["1:"], "empty"),
        (["1:99=1"], "AU99"),
        (["1:12=1", "1.0:6=1"], "twice for 1 s"),
        (["0:12=1"], "after 0"),
        (["1:12=1,12=0"], "given twice"),
    ],
)
def test_a_wrong_keyframe_says_what_is_wrong(texts: list[str], words: str) -> None:
    with pytest.raises(WrongUse, match=words):
        parse_keys(texts)


# ---- smoothing


def test_smoothing_does_not_delay() -> None:
    times = np.arange(60) / 30
    pulse = np.exp(-0.5 * ((times - 1.0) / 0.1) ** 2)[:, None]
    smooth = smoothed(pulse, times, np.zeros(60), 0.06)[:, 0]
    assert smooth.argmax() == pulse[:, 0].argmax()
    assert np.allclose(smooth[31:50], smooth[29:10:-1], atol=1e-6)


def test_smoothing_leaves_gaps_and_does_not_cross_cuts() -> None:
    times = np.arange(20) / 20
    values = np.where(np.arange(20) < 10, 0.0, 1.0)[:, None]
    values[15] = np.nan
    runs = (np.arange(20) >= 10).astype(int)
    smooth = smoothed(values, times, runs, 0.2)[:, 0]
    assert np.isnan(smooth[15])
    assert np.allclose(smooth[:10], 0) and np.allclose(np.delete(smooth[10:], 5), 1)


def test_a_change_fades_out_before_a_face_is_lost() -> None:
    times = np.arange(40) / 20
    present = np.ones(40, bool)
    present[18:22] = False
    weights = faded(present, times, 0.25)
    assert weights[:13].min() == 1 and weights[27:].min() == 1
    assert np.all(weights[18:22] == 0)
    assert np.all(np.abs(np.diff(weights)) <= 0.21)


def test_a_glimpse_of_a_face_is_left_out() -> None:
    times = np.arange(20) / 10
    mask = np.zeros(20, bool)
    mask[8:10] = mask[0] = True
    assert without_short(mask, times, 0.3).tolist() == [True] + [False] * 19


# ---- a driver


def driver(aus12: list[float]) -> Driver:
    aus = np.zeros((len(aus12), 17), np.float32)
    aus[:, AU12] = aus12
    aus[np.isnan(aus[:, AU12])] = np.nan
    return Driver(Timing.steady(len(aus12), Fraction(25)), aus)


def test_a_driver_moves_a_face_relative_to_both_neutrals() -> None:
    """A driver whose resting face reads 0.4 leaves a resting face at rest."""
    smiling = driver([0.4] * 40 + [0.9] * 30)
    targets = smiling.targets(own_aus(), smiling.neutral())
    assert np.allclose(targets[:35, AU12], 0.1, atol=1e-3)
    assert np.allclose(targets[-20:, AU12], 0.6, atol=1e-3)
    assert np.allclose(targets[:, AU6], 0.3)


def test_a_named_neutral_is_that_of_its_time() -> None:
    smiling = driver([0.4] * 40 + [0.9] * 30)
    assert np.isclose(smiling.neutral(2.0)[AU12], 0.9)
    with pytest.raises(WrongUse, match="not seen at 9 s"):
        smiling.neutral(9.0)


def test_a_driver_who_is_lost_is_held_then_fades_to_neutral_and_comes_back() -> None:
    nan = float("nan")
    lost = driver([0.0] * 60 + [0.8] * 25 + [nan] * 60 + [0.8] * 25)
    moved = lost.differences(np.zeros(17))[:, AU12]
    gap = moved[85:145]
    assert np.allclose(gap[:11], 0.8, atol=0.01), "held for half a second"
    assert np.allclose(gap[26:50], 0, atol=1e-3), "then neutral"
    assert np.abs(np.diff(moved[70:])).max() < 0.25
    assert np.isclose(moved[146], 0.8, atol=0.01)


def test_a_blink_survives_smoothing() -> None:
    (blink,) = positions([45])
    aus = np.zeros((44, 17), np.float32)
    aus[20:24, blink] = aus[20:24, AU12] = 0.5, 1.0, 1.0, 0.4
    moved = Driver(Timing.steady(44, Fraction(25)), aus).differences(np.zeros(17))
    assert moved[:, blink].max() > 0.8 and 21 <= moved[:, blink].argmax() <= 22
    assert 0.5 < moved[:, AU12].max() < 0.8, "other AUs are smoothed more"
    assert 21 <= moved[:, AU12].argmax() <= 22, "and as little delayed"


# ---- OpenFace CSVs


def write_csv(
    path: Path, rows: list[list[float]], leave_out: str = "", separator: str = ", "
) -> None:
    names = ["frame", "face_id", "timestamp", "confidence", "success", *COLUMNS]
    keep = [index for index, name in enumerate(names) if name != leave_out]
    lines = [separator.join(names[index] for index in keep)]
    lines += [separator.join(f"{row[index]:g}" for index in keep) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def csv_rows(count: int, rate: float) -> list[list[float]]:
    return [
        [index + 1, 0, round(index / rate, 3), 0.98, 1, *[0.0] * 8, index % 6, *[0.0] * 8]
        for index in range(count)
    ]


@pytest.mark.parametrize(
    ("rate", "exact"), [(25, "25"), (23.976, "24000/1001"), (29.97, "30000/1001"), (12.5, "25/2")]
)
def test_a_csv_gives_aus_and_its_exact_rate(tmp_path: Path, rate: float, exact: str) -> None:
    write_csv(tmp_path / "clip.csv", csv_rows(200, float(Fraction(exact))), separator=",")
    read = read_driver(load_estimator(), tmp_path / "clip.csv")
    assert len(read.timing.times) == 200
    assert read.timing.rate == Fraction(exact)
    assert np.allclose(read.aus[:6, AU12], [0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_frames_of_a_csv_without_success_are_unseen(tmp_path: Path) -> None:
    rows = csv_rows(10, 25)
    rows[3][4] = 0
    write_csv(tmp_path / "clip.csv", rows)
    read = read_driver(load_estimator(), tmp_path / "clip.csv")
    assert read.unseen == 1 and np.isnan(read.aus[3]).all()


def test_of_a_csv_with_several_persons_one_drives(tmp_path: Path) -> None:
    rows = csv_rows(10, 25)
    others = [[row[0], 1, *row[2:3], 0.99, 1, *[5.0] * 17] for row in rows]
    del rows[3]
    write_csv(tmp_path / "clip.csv", [*rows, *others])
    read = read_driver(load_estimator(), tmp_path / "clip.csv")
    assert np.isnan(read.aus[3]).all() and np.nanmax(read.aus[:, 0]) == 0, "she alone, seen or not"
    write_csv(tmp_path / "clip.csv", others)
    assert read_driver(load_estimator(), tmp_path / "clip.csv").unseen == 0


def test_a_csv_of_a_varying_rate_keeps_its_times(tmp_path: Path) -> None:
    rows = csv_rows(10, 25)
    for row in rows[5:]:
        row[2] += 0.1
    write_csv(tmp_path / "clip.csv", rows)
    timing = read_driver(load_estimator(), tmp_path / "clip.csv").timing
    assert timing.rate is None and timing.times[5] == Fraction(3, 10)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("AU12_r", "no column AU12_r"),
        ("frame", "frame and timestamp"),
        ("confidence", "confidence"),
    ],
)
def test_a_csv_without_a_column_says_which(tmp_path: Path, missing: str, words: str) -> None:
    write_csv(tmp_path / "clip.csv", csv_rows(10, 25), leave_out=missing)
    with pytest.raises(NothingUsable, match=words):
        read_driver(load_estimator(), tmp_path / "clip.csv")


@pytest.mark.parametrize("content", ["", "hello", "frame,timestamp\n1,0\n"])
def test_what_is_no_csv_of_openface_says_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "clip.csv").write_text(content)
    with pytest.raises(NothingUsable, match="cannot be used"):
        read_driver(load_estimator(), tmp_path / "clip.csv")


def test_a_csv_without_any_face_says_so(tmp_path: Path) -> None:
    write_csv(tmp_path / "clip.csv", [[*row[:4], 0, *row[5:]] for row in csv_rows(10, 25)])
    with pytest.raises(NothingUsable, match="no face was seen"):
        read_driver(load_estimator(), tmp_path / "clip.csv")
