"""How well two readers of action units agree: Pearson r, intraclass correlation, mean error."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...pipeline.action_units import MAX_INTENSITY, NUMBERS


def agreement(read: np.ndarray, reference: np.ndarray) -> pd.DataFrame:
    """A row an AU of readings (n, 17) against a reference (n, 17), both in 0-1; NaN: not scored.

    Columns: `r` (Pearson), `ICC` (3,1: consistency of two fixed readers, Shrout & Fleiss 1979),
    `MAE` and the reference's `sd` (both on the 0-5 scale), `positives` (reference above 0).
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
    """Pearson's correlation; NaN where either does not vary."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def consistency(a: np.ndarray, b: np.ndarray) -> float:
    """ICC(3,1) of two readers of the same n faces: as r, but lower where their spreads differ."""
    if len(a) < 2:
        return float("nan")
    both = np.stack([a, b], 1).astype(np.float64)
    faces, readers, mean = both.mean(1), both.mean(0), both.mean()
    between = 2 * ((faces - mean) ** 2).sum() / (len(a) - 1)
    rest = ((both - faces[:, None] - readers[None] + mean) ** 2).sum() / (len(a) - 1)
    return float((between - rest) / (between + rest)) if between + rest > 0 else float("nan")


def mean_r(table: pd.DataFrame, least_sd: float = 0.2, least_positives: int = 0) -> float:
    """Mean r over the AUs that vary in the reference; AUs nobody scored do not count."""
    kept = (table["sd"] > least_sd) & (table["positives"] > least_positives)
    return float(table.loc[kept, "r"].mean())


def by_folder(sources: Sequence[str]) -> dict[str, np.ndarray]:
    """Positions of photographs by the folder they stand in."""
    folders = np.array([source.rpartition("/")[0] for source in sources])
    return {str(folder): np.flatnonzero(folders == folder) for folder in np.unique(folders)}
