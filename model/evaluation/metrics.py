"""Metrics of a generator as functions of arrays.

AUs are in 0-1 unless another range is given, and pictures are uint8 RGB. NaN stands for an AU that
could not be measured; such values are left out of means.

scikit-image and torch-fidelity are imported where they compute: they import much of SciPy and of
torchvision, which takes longer than to say that a file given to `ganim evaluate` is wrong.
"""

from typing import Any

import numpy as np
import torch

from ...pipeline.action_units import MAX_INTENSITY, NUMBERS, REGIONS
from ..estimator.agreement import pearson

MAX_PSNR = 60.0
"""Upper limit of the PSNR in dB, close to that of a picture that was only rounded to 8 bit (a mean
squared error of 1/12). The PSNR of two equal pictures would be infinite."""
_REGION_OF = {number: region for region, numbers in REGIONS.items() for number in numbers}


def expression_distance(target: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Expression distance (ED; Pumarola et al. 2019) of each of n faces.

    The mean absolute difference between target and measured AUs, which are both (n, AUs) in 0-1.
    Returns (n,) on the 0-5 scale of OpenFace; NaN for a face with an AU that is NaN.
    """
    return np.abs(target - measured).mean(1) * MAX_INTENSITY


def correlations(target: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Pearson's r between target and measured AUs over n faces, for each AU.

    Both are (n, AUs); faces with an AU that is NaN are left out. Returns (AUs,); NaN for an AU that
    is constant in either.
    """
    complete = ~np.isnan(measured).any(1)
    pairs = zip(target[complete].T, measured[complete].T, strict=True)
    return np.array([pearson(*pair) for pair in pairs])


def leakage(change: np.ndarray, number: int) -> tuple[float, float]:
    """Mean absolute change of the AUs that were not edited.

    Args:
        change: (n, 17), measured AUs after the edit minus those before, in 0-1.
        number: the AU that was edited.

    Returns the mean over all other AUs, and over those in other regions of the face (REGIONS).
    """
    others = [au for au, other in enumerate(NUMBERS) if other != number]
    elsewhere = [au for au, other in enumerate(NUMBERS) if _REGION_OF[other] != _REGION_OF[number]]
    return known_mean(np.abs(change[:, others])), known_mean(np.abs(change[:, elsewhere]))


def psnr(pictures: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each of n pictures (n, h, w, 3).

    Returns (n,) in dB, limited to MAX_PSNR.
    """
    from skimage.metrics import peak_signal_noise_ratio

    with np.errstate(divide="ignore"):  # equal pictures
        values = [
            peak_signal_noise_ratio(expected, picture, data_range=255)
            for picture, expected in zip(pictures, reference, strict=True)
        ]
    return np.minimum(values, MAX_PSNR)


def ssim(pictures: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Mean structural similarity of each of n pictures (n, h, w, 3), both sides 11 px or more.

    Wang et al. 2004, equations 13 and 17, with their Gaussian window of 11 px and a standard
    deviation of 1.5 px, without padding; the mean over the three colour channels. Returns (n,), at
    most 1.
    """
    from skimage.metrics import structural_similarity

    return np.array(
        [
            structural_similarity(
                expected,
                picture,
                data_range=255,
                channel_axis=-1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            for picture, expected in zip(pictures, reference, strict=True)
        ]
    )


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance between Gaussians fitted to features (n, d) and (m, d).

    Heusel et al. 2017, equation 6. Applied to features of Inception v3 it is the FID. Returns NaN
    for fewer than two rows, which have no covariance.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    from torch_fidelity import metric_fid

    a, b = a.astype(np.float64), b.astype(np.float64)
    # Rotations leave the distance unchanged. In a basis of the span of both sets the covariances
    # are (n + m, n + m) instead of (d, d), which is faster where there are few pictures.
    basis, _ = np.linalg.qr(np.concatenate([a, b]).T)
    statistics = [
        metric_fid.fid_features_to_statistics(torch.from_numpy(rows @ basis)) for rows in (a, b)
    ]
    metric = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)
    return max(metric[metric_fid.KEY_METRIC_FID], 0.0)


def inception_score(logits: np.ndarray) -> float:
    """Inception Score (Salimans et al. 2016, section 4) of class logits (n, classes).

    exp of the mean Kullback-Leibler divergence between the class probabilities of a picture and
    their mean over all n pictures; 1 or more. All pictures form one split.
    """
    from torch_fidelity import metric_isc

    metric = metric_isc.isc_features_to_metric(torch.from_numpy(logits), splits=1, shuffle=False)
    return float(metric[metric_isc.KEY_METRIC_ISC_MEAN])


def radial_spectra(pictures: np.ndarray) -> np.ndarray:
    """Radial power spectra of n square pictures (n, size, size, 3).

    The azimuthal average of the power spectrum, as in Durall et al. 2020 ("Watch your
    up-convolution", section 2), of the luma minus its mean under a Hann window, which removes the
    discontinuity between opposite edges. Each ring is 1 cycle per picture wide.

    Returns (n, frequencies) float32 in dB, from 1 cycle per picture to the corner of the spectrum,
    which contains a checkerboard of single pixels.
    """
    size = pictures.shape[1]
    luma = pictures.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    window = np.hanning(size + 1)[:size].astype(np.float32)
    luma = (luma - luma.mean((1, 2), keepdims=True)) * np.outer(window, window)
    power = np.abs(np.fft.fft2(luma)) ** 2
    frequency = np.fft.fftfreq(size, 1 / size)
    ring = np.rint(np.hypot(frequency[:, None], frequency[None])).astype(int).ravel()
    pixels = np.bincount(ring)
    rings = np.stack([np.bincount(ring, one.ravel()) / pixels for one in power])
    return (10 * np.log10(rings[:, 1:] + 1e-3)).astype(np.float32)


def spectral_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference in dB between the mean spectra of two sets, (n, f) and (m, f)."""
    return float(np.sqrt(np.square(a.mean(0) - b.mean(0)).mean()))


def random_halves(count: int, times: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split the indices 0 to count - 1 into two random halves, `times` times."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(count) for _ in range(times)]
    return [(order[: count // 2], order[count // 2 :]) for order in orders]


def known_mean(values: Any) -> float:
    """The mean of the values that are not NaN; NaN if there are none."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else float("nan")
