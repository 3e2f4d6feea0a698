"""Agreement of two readings of action units: Pearson r, intraclass correlation, mean error."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...pipeline.action_units import MAX_INTENSITY, NUMBERS


def agreement(read: np.ndarray, reference: np.ndarray) -> pd.DataFrame:
    """Compare readings with a reference, AU by AU.

    Args:
        read: (n, 17) in 0-1.
        reference: (n, 17) in 0-1; NaN where a value is unknown, which is then left out.

    Returns one row per AU, with the columns `r` (Pearson), `ICC` (see `consistency`), `MAE` and
    `sd` (mean absolute error, and standard deviation of the reference, in 0-5) and `positives`
    (number of reference values above 0).
    """
    rows = []
    for index, number in enumerate(NUMBERS):
        scored = ~np.isnan(reference[:, index])
        a, b = read[scored, index], reference[scored, index]
        rows.append(
            {
                "AU": f"AU{number:02d}",
                "r": pearson(a, b),
                "ICC": consistency(a, b),
                "MAE": np.abs(a - b).mean() * MAX_INTENSITY if len(a) else np.nan,
                "sd": b.std() * MAX_INTENSITY if len(b) else np.nan,
                "positives": int((b > 0).sum()),
            }
        )
    return pd.DataFrame(rows).set_index("AU")


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation of two arrays (n,); NaN if either is constant or n < 2."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def consistency(a: np.ndarray, b: np.ndarray) -> float:
    """Intraclass correlation ICC(3,1) of two arrays (n,) (Shrout & Fleiss 1979, case 3).

    Unlike Pearson's r it decreases if the standard deviations differ. NaN if n < 2 or both arrays
    are constant.
    """
    if len(a) < 2:
        return float("nan")
    both = np.stack([a, b], 1).astype(np.float64)
    faces, readers, mean = both.mean(1), both.mean(0), both.mean()
    between = 2 * ((faces - mean) ** 2).sum() / (len(a) - 1)
    rest = ((both - faces[:, None] - readers[None] + mean) ** 2).sum() / (len(a) - 1)
    return float((between - rest) / (between + rest)) if between + rest > 0 else float("nan")


def mean_r(table: pd.DataFrame, least_sd: float = 0.2, least_positives: int = 0) -> float:
    """Mean of column `r` over the AUs with `sd` above `least_sd` and more than `least_positives`.

    table: as `agreement` returns it.
    """
    kept = (table["sd"] > least_sd) & (table["positives"] > least_positives)
    return float(table.loc[kept, "r"].mean())


def by_folder(sources: Sequence[str]) -> dict[str, np.ndarray]:
    """The positions of photographs in `sources`, grouped by their folder."""
    folders = np.array([source.rpartition("/")[0] for source in sources])
    return {str(folder): np.flatnonzero(folders == folder) for folder in np.unique(folders)}
