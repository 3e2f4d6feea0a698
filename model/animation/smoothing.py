"""Smooth what was measured frame by frame, without a lag, and bridge the frames without it."""

from collections.abc import Iterator

import numpy as np


def smoothed(
    values: np.ndarray, times: np.ndarray, runs: np.ndarray, deviation: float
) -> np.ndarray:
    """Average values over time with a Gaussian, which is symmetric and so delays nothing.

    Args:
        values: (n, ...); NaN is left out of averages and stays.
        times: (n,) in seconds, ascending.
        runs: (n,) numbers; frames with different ones are not averaged.
        deviation: standard deviation of the Gaussian, in seconds.
    """
    known = ~np.isnan(values.reshape(len(values), -1)).any(1)
    filled = np.where(known.reshape(-1, *[1] * (values.ndim - 1)), values, 0.0)
    total, weights = np.zeros_like(filled, float), np.zeros(len(values))
    step = np.median(np.diff(times)) if len(times) > 1 else 1.0
    reach = min(len(values) - 1, int(np.ceil(3 * deviation / max(step, 1e-3))))
    for shift in range(-reach, reach + 1):
        here = slice(max(0, -shift), len(values) - max(0, shift))
        there = slice(max(0, shift), len(values) - max(0, -shift))
        weight = np.exp(-0.5 * ((times[there] - times[here]) / deviation) ** 2)
        weight = weight * known[there] * (runs[there] == runs[here])
        total[here] += filled[there] * weight.reshape(-1, *[1] * (values.ndim - 1))
        weights[here] += weight
    weights[~known] = np.nan
    return total / weights.reshape(-1, *[1] * (values.ndim - 1))


def stretches(mask: np.ndarray) -> Iterator[tuple[int, int]]:
    """The first index of each stretch of True in a mask (n,), and the one after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def without_short(mask: np.ndarray, times: np.ndarray, shortest: float) -> np.ndarray:
    """A mask (n,) in which stretches of True that last less than `shortest` seconds are False.

    A stretch at the beginning or the end stays, as it may have been longer.
    """
    result = mask.copy()
    for start, end in stretches(mask):
        if start > 0 and end < len(mask) and times[end] - times[start] < shortest:
            result[start:end] = False
    return result


def faded(present: np.ndarray, times: np.ndarray, seconds: float) -> np.ndarray:
    """Weights (n,) in 0-1: 0 where `present` (n,) is False, and rising to 1 within `seconds` from
    there."""
    absent = times[~present]
    if not len(absent):
        return np.ones(len(times))
    after = np.searchsorted(absent, times)
    left = times - absent[np.maximum(after - 1, 0)]
    right = absent[np.minimum(after, len(absent) - 1)] - times
    distance = np.minimum(
        np.where(after > 0, left, np.inf), np.where(after < len(absent), right, np.inf)
    )
    return np.where(present, np.clip(distance / seconds, 0.0, 1.0), 0.0)
