"""The measures, against values one can work out by hand."""

import numpy as np
import pytest

from ganim.model.evaluation import metrics
from ganim.pipeline.action_units import NUMBERS

DRAW = np.random.default_rng(0)


def pictures(count=4, size=64):
    """Smooth random pictures, as photographs are: little at high frequencies."""
    rough = DRAW.integers(0, 256, (count, size, size, 3)).astype(float)
    low = np.fft.ifft2(
        np.fft.fft2(rough, axes=(1, 2)) / (1 + _radius(size)[None, :, :, None]) ** 1.5, axes=(1, 2)
    ).real
    low = (low - low.mean((1, 2, 3), keepdims=True)) / low.std((1, 2, 3), keepdims=True)
    return np.clip(128 + 40 * low, 0, 255).astype(np.uint8)


def _radius(size):
    frequency = np.fft.fftfreq(size, 1 / size)
    return np.hypot(frequency[:, None], frequency[None])


def test_expression_distance_is_on_openfaces_scale():
    asked = np.zeros((2, 17))
    measured = np.zeros((2, 17))
    measured[0] = 0.2
    measured[1, 3] = 0.5
    assert metrics.expression_distance(asked, measured) == pytest.approx([1.0, 2.5 / 17])


def test_unreadable_faces_do_not_count():
    asked = DRAW.random((6, 17))
    measured = asked * 0.5 + 0.1
    measured[2] = np.nan
    assert metrics.correlations(asked, measured) == pytest.approx(1.0)
    assert np.isnan(metrics.expression_distance(asked, measured)).tolist() == [
        index == 2 for index in range(6)
    ]
    assert metrics.leakage(measured - asked, 12)[0] < 1


def test_an_au_that_never_moves_has_no_correlation():
    asked = DRAW.random((6, 17))
    r = metrics.correlations(asked, np.where(np.arange(17) == 4, 0.3, asked))
    assert np.isnan(r).nonzero()[0].tolist() == [4]


def test_every_au_has_one_region():
    listed = [number for numbers in metrics.REGIONS.values() for number in numbers]
    assert sorted(listed) == sorted(NUMBERS)


def test_leakage_is_of_the_others_and_of_those_elsewhere():
    change = np.zeros((3, 17))
    change[:, NUMBERS.index(12)] = 0.9  # asked for
    change[:, NUMBERS.index(25)] = -0.16  # the same region
    change[:, NUMBERS.index(4)] = 0.08  # another
    everywhere, elsewhere = metrics.leakage(change, 12)
    assert everywhere == pytest.approx((0.16 + 0.08) / 16)
    assert elsewhere == pytest.approx(0.08 / 8)


def test_psnr():
    one = pictures(3)
    one = np.clip(one, 10, 245)
    other = one.copy()
    other[1] += 5
    other[2] += 1
    expected = [metrics.PSNR_MOST, 10 * np.log10(255**2 / 25), 10 * np.log10(255**2)]
    assert metrics.psnr(other, one) == pytest.approx(expected, abs=1e-3)


def test_ssim():
    one = pictures(2)
    assert metrics.ssim(one, one) == pytest.approx(1.0)
    flat, brighter = np.full((1, 16, 16, 3), 100, np.uint8), np.full((1, 16, 16, 3), 150, np.uint8)
    c1 = 2.55**2
    by_hand = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert metrics.ssim(flat, brighter) == pytest.approx(by_hand, abs=1e-4)
    worse = metrics.ssim(255 - one, one)
    assert (worse < 0).all(), "a negative is anticorrelated"


def test_frechet_distance_of_equal_sets_is_nothing():
    features = DRAW.normal(size=(40, 8))
    assert metrics.frechet_distance(features, features[::-1]) == pytest.approx(0, abs=1e-9)
    shifted = features + np.array([3.0, 4.0] + [0.0] * 6)
    assert metrics.frechet_distance(features, shifted) == pytest.approx(25)


def test_frechet_distance_of_known_covariances():
    # Of diagonal covariances it is the sum of (sd_a - sd_b)^2.
    unit = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]) * np.sqrt(3 / 2)  # covariance 1
    assert np.cov(unit.T) == pytest.approx(np.eye(2))
    a, b = unit * [2.0, 3.0], unit * [1.0, 5.0] + [1.0, 0.0]
    assert metrics.frechet_distance(a, b) == pytest.approx(1 + 1 + 4)


def test_frechet_distance_works_with_fewer_faces_than_features():
    features = DRAW.normal(size=(5, 30))
    assert metrics.frechet_distance(features, features) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(features, 2 * features) > 0


def test_a_wave_stands_at_its_frequency():
    wave = 128 + 100 * np.sin(2 * np.pi * 12 * np.arange(64) / 64)
    picture = np.broadcast_to(wave[None, None, :, None], (1, 64, 64, 3)).astype(np.uint8)
    assert metrics.radial_spectra(picture)[0].argmax() + 1 == 12


def test_a_checkerboard_is_farther_than_the_other_half():
    real = pictures(60)
    board = (np.indices((64, 64)).sum(0) % 2 * 6)[None, :, :, None]
    ((a, b), *_) = metrics.halves(60, 1, seed=0)
    spectra = metrics.radial_spectra(real)
    marked = metrics.radial_spectra((real // 8 * 8 + board).astype(np.uint8))
    near = metrics.spectrum_distance(spectra[a], spectra[b])
    assert metrics.spectrum_distance(marked[a], spectra[b]) > 3 * near
    assert metrics.spectrum_distance(spectra, spectra) == 0


def test_halves_hold_every_face_once():
    for a, b in metrics.halves(7, 3, seed=1):
        assert sorted([*a, *b]) == list(range(7)) and len(a) == 3
    assert any((x[0] != y[0]).any() for x, y in [metrics.halves(20, 2, 0)])
