"""The metrics of the evaluation, against values that can be computed by hand."""

import numpy as np
import pytest

from ganim.model.evaluation import metrics
from ganim.pipeline.action_units import NUMBERS

RNG = np.random.default_rng(0)


def pictures(count=4, size=64):
    """Random pictures with little power at high frequencies, like photographs."""
    rough = RNG.integers(0, 256, (count, size, size, 3)).astype(float)
    low = np.fft.ifft2(
        np.fft.fft2(rough, axes=(1, 2)) / (1 + _radius(size)[None, :, :, None]) ** 1.5, axes=(1, 2)
    ).real
    low = (low - low.mean((1, 2, 3), keepdims=True)) / low.std((1, 2, 3), keepdims=True)
    return np.clip(128 + 40 * low, 0, 255).astype(np.uint8)


def _radius(size):
    frequency = np.fft.fftfreq(size, 1 / size)
    return np.hypot(frequency[:, None], frequency[None])


def test_expression_distance_is_on_the_scale_of_openface():
    target = np.zeros((2, 17))
    measured = np.zeros((2, 17))
    measured[0] = 0.2
    measured[1, 3] = 0.5
    assert metrics.expression_distance(target, measured) == pytest.approx([1.0, 2.5 / 17])


def test_unreadable_faces_are_left_out():
    target = RNG.random((6, 17))
    measured = target * 0.5 + 0.1
    measured[2] = np.nan
    assert metrics.correlations(target, measured) == pytest.approx(1.0)
    assert np.isnan(metrics.expression_distance(target, measured)).tolist() == [
        index == 2 for index in range(6)
    ]
    assert metrics.leakage(measured - target, 12)[0] < 1


def test_a_constant_au_has_no_correlation():
    target = RNG.random((6, 17))
    r = metrics.correlations(target, np.where(np.arange(17) == 4, 0.3, target))
    assert np.isnan(r).nonzero()[0].tolist() == [4]


def test_every_au_belongs_to_one_region():
    listed = [number for numbers in metrics.REGIONS.values() for number in numbers]
    assert sorted(listed) == sorted(NUMBERS)


def test_leakage_of_other_aus_and_of_other_regions():
    change = np.zeros((3, 17))
    change[:, NUMBERS.index(12)] = 0.9  # edited
    change[:, NUMBERS.index(25)] = -0.16  # the same region
    change[:, NUMBERS.index(4)] = 0.08  # another region
    others, other_regions = metrics.leakage(change, 12)
    assert others == pytest.approx((0.16 + 0.08) / 16)
    assert other_regions == pytest.approx(0.08 / 8)


def test_psnr():
    one = pictures(3)
    one = np.clip(one, 10, 245)
    other = one.copy()
    other[1] += 5
    other[2] += 1
    expected = [metrics.MAX_PSNR, 10 * np.log10(255**2 / 25), 10 * np.log10(255**2)]
    assert metrics.psnr(other, one) == pytest.approx(expected, abs=1e-3)


def test_ssim():
    one = pictures(2)
    assert metrics.ssim(one, one) == pytest.approx(1.0)
    flat, brighter = np.full((1, 16, 16, 3), 100, np.uint8), np.full((1, 16, 16, 3), 150, np.uint8)
    c1 = 2.55**2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert metrics.ssim(flat, brighter) == pytest.approx(expected, abs=1e-4)
    assert (metrics.ssim(255 - one, one) < 0).all(), "a negative is anticorrelated"


def test_frechet_distance_of_equal_sets_is_zero():
    features = RNG.normal(size=(40, 8))
    assert metrics.frechet_distance(features, features[::-1]) == pytest.approx(0, abs=1e-9)
    shifted = features + np.array([3.0, 4.0] + [0.0] * 6)
    assert metrics.frechet_distance(features, shifted) == pytest.approx(25)


def test_frechet_distance_of_known_covariances():
    # For diagonal covariances it is the sum of (sd_a - sd_b)^2, plus the distance of the means.
    unit = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]) * np.sqrt(3 / 2)  # covariance 1
    assert np.cov(unit.T) == pytest.approx(np.eye(2))
    a, b = unit * [2.0, 3.0], unit * [1.0, 5.0] + [1.0, 0.0]
    assert metrics.frechet_distance(a, b) == pytest.approx(1 + 1 + 4)


def test_frechet_distance_works_with_fewer_faces_than_features():
    features = RNG.normal(size=(5, 30))
    assert metrics.frechet_distance(features, features) == pytest.approx(0, abs=1e-6)
    # Twice the features: means and standard deviations differ by those of the features.
    expected = (features.mean(0) ** 2).sum() + features.var(0, ddof=1).sum()
    assert metrics.frechet_distance(features, 2 * features) == pytest.approx(expected)
    assert np.isnan(metrics.frechet_distance(features[:1], features)), "no covariance"


def test_inception_score_of_known_probabilities():
    assert metrics.inception_score(np.zeros((6, 10))) == pytest.approx(1)
    assert metrics.inception_score(1000 * np.eye(8)) == pytest.approx(8), (
        "certain and all different"
    )
    probabilities = np.array([[0.8, 0.2], [0.2, 0.8]])
    divergence = 0.8 * np.log(0.8 / 0.5) + 0.2 * np.log(0.2 / 0.5)
    assert metrics.inception_score(np.log(probabilities)) == pytest.approx(np.exp(divergence))


def test_the_spectrum_of_a_wave_has_its_peak_at_the_frequency():
    wave = 128 + 100 * np.sin(2 * np.pi * 12 * np.arange(64) / 64)
    picture = np.broadcast_to(wave[None, None, :, None], (1, 64, 64, 3)).astype(np.uint8)
    assert metrics.radial_spectra(picture)[0].argmax() + 1 == 12


def test_a_checkerboard_raises_the_spectral_distance():
    real = pictures(60)
    board = (np.indices((64, 64)).sum(0) % 2 * 6)[None, :, :, None]
    ((a, b), *_) = metrics.random_halves(60, 1, seed=0)
    spectra = metrics.radial_spectra(real)
    marked = metrics.radial_spectra((real // 8 * 8 + board).astype(np.uint8))
    near = metrics.spectral_distance(spectra[a], spectra[b])
    assert metrics.spectral_distance(marked[a], spectra[b]) > 3 * near
    assert metrics.spectral_distance(spectra, spectra) == 0


def test_random_halves_contain_every_index_once():
    for a, b in metrics.random_halves(7, 3, seed=1):
        assert sorted([*a, *b]) == list(range(7)) and len(a) == 3
    assert any((x[0] != y[0]).any() for x, y in [metrics.random_halves(20, 2, 0)])
