"""Histograms of oriented gradients, and ridge regression in closed form."""

import math

import numpy as np
import pytest
import torch

from ganim.model.estimator.hog import CHANNELS, ORIENTATIONS, Hog
from ganim.model.estimator.ridge import Moments


def waves(angle: float) -> torch.Tensor:
    """An image of a sine wave in the direction `angle` (0: from left to right)."""
    y, x = torch.meshgrid(torch.arange(112.0), torch.arange(112.0), indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    return (torch.sin(along / 3) / 2 + 0.5).expand(1, 3, -1, -1)


def test_there_is_one_histogram_per_cell_except_at_the_border():
    histograms = Hog()(torch.rand(2, 3, 112, 112))
    assert histograms.shape == (2, CHANNELS, 12, 12)
    assert histograms.isfinite().all() and histograms.min() >= 0


@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
def test_contrast_insensitive_orientations_are_those_of_the_gradient(orientation):
    lines = Hog()(waves(orientation * math.pi / ORIENTATIONS))[0, 18:27].mean((1, 2))
    assert lines.argmax() == orientation


def test_only_the_first_18_orientations_depend_on_the_sign_of_the_gradient():
    ramp = torch.linspace(0, 1, 112).expand(1, 3, 112, 112)
    hog = Hog()
    rising, falling = hog(ramp)[0].mean((1, 2)), hog(1 - ramp)[0].mean((1, 2))
    assert rising[0] > 0.1 and falling[0] == 0
    assert torch.allclose(rising[0], falling[ORIENTATIONS])
    assert torch.allclose(rising[18:27], falling[18:27])


def test_histograms_are_nearly_invariant_to_contrast_and_brightness():
    picture = torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    hog = Hog()
    dim = hog(picture * 0.4 + 0.3)
    assert (hog(picture) - dim).abs().max() < 1e-2


def test_a_constant_image_has_no_gradients():
    assert Hog()(torch.full((1, 3, 112, 112), 0.7)).abs().max() == 0


def test_ridge_with_a_small_penalty_recovers_the_coefficients():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 6, generator=generator)
    plane, bias = torch.randn(3, 6, generator=generator), torch.tensor([1.0, -2.0, 0.5])
    y = x @ plane.T + bias
    y[300:] = 9.0  # these have weight 0
    weight = (torch.arange(400) < 300).float()
    moments = Moments(6, 3)
    for part in torch.arange(400).split(64):
        moments.add(x[part], y[part], weight[part])
    found, offset = moments.ridge(1e-6)
    assert torch.allclose(found, plane, atol=1e-3)
    assert torch.allclose(offset, bias, atol=1e-3)


def test_ridge_equals_the_normal_equations():
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    y = x.sum(1, keepdims=True)
    moments = Moments(4, 1)
    moments.add(torch.from_numpy(x), torch.from_numpy(y), torch.ones(50))
    found, _ = moments.ridge(0.5)
    centred = x - x.mean(0)
    expected = np.linalg.solve(
        centred.T @ centred + 0.5 * 50 * np.eye(4), centred.T @ (y - y.mean())
    )
    assert found.numpy() == pytest.approx(expected.T, abs=1e-4)
