"""Measures of agreement, compared with values computed by hand."""

import numpy as np
import pytest

from ganim.model.estimator.agreement import agreement, by_folder, consistency, mean_r
from ganim.pipeline.action_units import COUNT


def test_equal_readings_agree_perfectly():
    aus = np.random.default_rng(0).random((50, COUNT), np.float32)
    table = agreement(aus, aus)
    assert table["r"].to_numpy() == pytest.approx(1.0)
    assert table["ICC"].to_numpy() == pytest.approx(1.0)
    assert table["MAE"].to_numpy() == pytest.approx(0.0)


def test_icc_ignores_an_offset_but_not_a_smaller_standard_deviation():
    b = np.array([0.0, 0.2, 0.4, 0.6, 0.8])
    assert consistency(b + 0.1, b) == pytest.approx(1.0)
    # Half the spread: between 0.225, within 0.025 (x 4 faces - 1, in units of var b) -> 0.8.
    assert consistency(b / 2, b) == pytest.approx(0.8)


def test_errors_are_on_the_scale_of_0_to_5():
    reference = np.zeros((4, COUNT), np.float32)
    reference[2:] = 0.4
    table = agreement(reference + 0.1, reference)
    assert table["MAE"].to_numpy() == pytest.approx(0.5)
    assert table["sd"].to_numpy() == pytest.approx(1.0)
    assert (table["positives"] == 2).all()


def test_unknown_and_constant_aus_are_left_out_of_the_mean():
    generator = np.random.default_rng(0)
    read, reference = generator.random((2, 30, COUNT))
    reference[:, 0] = np.nan
    reference[:10, 1] = np.nan
    read[10:, 1] = reference[10:, 1]
    reference[:, 2] = 0.3  # constant
    table = agreement(read, reference)
    assert np.isnan(table["r"].iloc[0]) and table["positives"].iloc[0] == 0
    assert table["r"].iloc[1] == pytest.approx(1.0)
    assert np.isnan(table["r"].iloc[2])
    assert mean_r(table) == pytest.approx(table["r"].iloc[[1, *range(3, COUNT)]].mean())


def test_rare_aus_can_be_left_out_of_the_mean():
    reference = np.random.default_rng(0).random((30, COUNT))
    reference[3:, 0] = 0.0
    read = reference.copy()
    read[:, 0] = reference[::-1, 0]
    table = agreement(read, reference)
    assert mean_r(table, least_positives=3) == pytest.approx(1.0)
    assert mean_r(table) < 1.0


def test_photographs_are_grouped_by_folder():
    groups = by_folder(["a/1.jpg", "b/c/2.jpg", "a/3.jpg", "4.jpg"])
    assert {name: list(chosen) for name, chosen in groups.items()} == {
        "": [3],
        "a": [0, 2],
        "b/c": [1],
    }
