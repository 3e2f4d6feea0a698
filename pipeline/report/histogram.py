"""Histograms for the report."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..action_units import MAX_INTENSITY

_AU_BINS = 25


@dataclass(frozen=True)
class Histogram:
    """Counts in bins of equal width."""

    left: float
    """The lower edge of the first bin."""
    width: float
    counts: list[int]
    open_ended: bool = False
    """Whether the last bin also counts all values above it."""

    @property
    def right(self) -> float:
        """The upper edge of the last bin."""
        return self.left + self.width * len(self.counts)


def histogram(values: pd.Series | np.ndarray, min_width: float = 0.0) -> Histogram:
    """Return a histogram of about 12 to 30 bins with round edges.

    Values that are not finite are ignored. The largest 0.5% may fall into the last bin, so that
    outliers do not stretch the axis. min_width: the least width of a bin.
    """
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    low, high = float(finite.min()), float(np.quantile(finite, 0.995))
    rough = max((high - low) / 30, abs(high) / 100, min_width, 1e-6)
    decade = 10.0 ** math.floor(math.log10(rough))
    width = next(decade * step for step in (1, 2, 5, 10) if decade * step >= rough)
    first, last = math.floor(low / width), math.floor(high / width)
    if first == last:  # a single bar is easier to read with empty bins beside it
        first, last = first - 5, last + 5
    bins = np.clip(np.floor(finite / width).astype(int), first, last) - first
    open_ended = bool(finite.max() >= (last + 1) * width)
    counts = np.bincount(bins, minlength=last - first + 1).tolist()
    return Histogram(first * width, width, counts, open_ended)


def au_histogram(values: pd.Series) -> Histogram:
    """Return the histogram of an AU over 0-5, without its zeros, which would dwarf all bars."""
    counts, _ = np.histogram(values[values > 0], bins=_AU_BINS, range=(0, MAX_INTENSITY))
    return Histogram(0.0, MAX_INTENSITY / _AU_BINS, counts.tolist())
