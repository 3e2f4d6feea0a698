"""What is measured of a generator, each measure a small function of arrays.

AUs are in 0-1 unless said otherwise, pictures 0-255. An AU that could not be read is NaN and does
not count.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...pipeline.action_units import MAX_INTENSITY, NUMBERS
from ..estimator.agreement import pearson

PSNR_MOST = 60.0
"""PSNR ends here, dB: rounding to 8 bit alone costs that much (a squared error of 1/12)."""
REGIONS = {
    "brows": (1, 2, 4),
    "eyes": (5, 6, 7, 45),
    "nose": (9,),
    "mouth": (10, 12, 14, 15, 17, 20, 23, 25, 26),
}
"""Where in the face an AU is seen."""
_REGION_OF = {number: region for region, numbers in REGIONS.items() for number in numbers}


def expression_distance(asked: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Mean absolute difference of AUs (n, AUs) on the 0-5 scale, one a face (n,)."""
    return np.abs(asked - measured).mean(1) * MAX_INTENSITY


def correlations(asked: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Pearson's r of asked and measured AUs (n, AUs), one an AU; NaN where one is constant."""
    read = ~np.isnan(measured).any(1)
    pairs = zip(asked[read].T, measured[read].T, strict=True)
    return np.array([pearson(*pair) for pair in pairs])


def leakage(change: np.ndarray, number: int) -> tuple[float, float]:
    """Mean |change| (n, 17) of all AUs but `number`, and of those in other regions of the face."""
    others = [au for au, other in enumerate(NUMBERS) if other != number]
    elsewhere = [au for au, other in enumerate(NUMBERS) if _REGION_OF[other] != _REGION_OF[number]]
    return _mean(np.abs(change[:, others])), _mean(np.abs(change[:, elsewhere]))


def psnr(pictures: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of pictures (n, h, w, 3) uint8, dB (n,), at most PSNR_MOST."""
    error = np.square(pictures.astype(np.float32) - reference).mean((1, 2, 3))
    least = 255.0**2 / 10 ** (PSNR_MOST / 10)
    return 10 * np.log10(255.0**2 / np.maximum(error, least))


def ssim(pictures: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Structural similarity (Wang et al. 2004) of pictures (n, h, w, 3) uint8, one each (n,).

    A Gaussian window of 11 px with a deviation of 1.5, over each colour; no padding.
    """
    offsets = torch.arange(11.0) - 5
    line = torch.exp(-(offsets**2) / (2 * 1.5**2))
    line = line / line.sum()

    def blur(planes: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(planes, line.view(1, 1, 1, 11)), line.view(1, 1, 11, 1))

    # Each colour of each picture is a plane by itself.
    x, y = (
        torch.from_numpy(values).permute(0, 3, 1, 2).flatten(0, 1)[:, None].float()
        for values in (pictures, reference)
    )
    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).view(len(pictures), -1).mean(1).numpy()


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance between Gaussians fitted to features (n, d) and (m, d) (Heusel et al. 2017).

    The trace of (C_a C_b)^1/2 is the sum of the singular values of the centred features' product,
    which holds for fewer faces than features, too.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    difference = a.mean(0) - b.mean(0)
    a, b = ((values - values.mean(0)) / np.sqrt(max(len(values) - 1, 1)) for values in (a, b))
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(max(difference @ difference + (a * a).sum() + (b * b).sum() - 2 * shared, 0.0))


def radial_spectra(pictures: np.ndarray) -> np.ndarray:
    """Power by spatial frequency of pictures (n, size, size, 3) uint8 in dB: (n, frequencies).

    Grey, less its mean, under a Hann window (the edges of a crop would otherwise show at all
    frequencies); the power is averaged over rings one cycle a picture wide, from 1 cycle to the
    corner of the spectrum, where a checkerboard of single pixels lies.
    """
    size = pictures.shape[1]
    grey = pictures.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    window = np.hanning(size + 1)[:size].astype(np.float32)
    grey = (grey - grey.mean((1, 2), keepdims=True)) * np.outer(window, window)
    power = np.abs(np.fft.fft2(grey)) ** 2
    frequency = np.fft.fftfreq(size, 1 / size)
    ring = np.rint(np.hypot(frequency[:, None], frequency[None])).astype(int).ravel()
    pixels = np.bincount(ring)
    rings = np.stack([np.bincount(ring, one.ravel()) / pixels for one in power])
    return (10 * np.log10(rings[:, 1:] + 1e-3)).astype(np.float32)


def spectrum_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference, dB, of the mean spectra of two sets (n, f) and (m, f)."""
    return float(np.sqrt(np.square(a.mean(0) - b.mean(0)).mean()))


def halves(count: int, times: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Positions 0 to count - 1 in two random halves, `times` over."""
    draw = np.random.default_rng(seed)
    orders = [draw.permutation(count) for _ in range(times)]
    return [(order[: count // 2], order[count // 2 :]) for order in orders]


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
