"""How much of the AUs is read in edits of pairs, beside how much is read in the photographs of the
same people that show what was asked for.

An estimator of AUs draws nearer to the mean what it is unsure of, and reads of some AUs hardly half
in photographs, too. So the rise of an AU in an edit is divided by that in the photograph: 1 if both
are read alike.
"""

from collections.abc import Mapping

import numpy as np

from ...pipeline.action_units import COUNT, NUMBERS

_ASKED = 0.3
"""By how much the label of an AU rises at least in pairs that count for it."""
_FEWEST = 5
"""Pairs of an AU that has a value of its own."""
_LEAST = 0.05
"""Mean rise that is read in photographs, below which there is no value."""


def read_rises(
    change: np.ndarray, source: np.ndarray, target: np.ndarray, results: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Rises that are read in results divided by those that are read in targets, where AUs rise.

    Args:
        change: (pairs, 17) in -1..1, from the labels of the sources to those of the targets.
        source: (pairs, 17), what is read in the sources; `target`: likewise.
        results: likewise, by condition.

    Returns values by `pairs_read_ratioCONDITION` for all AUs together, and by
    `pairs_read_AUn_ratioCONDITION` for each; only those that some pairs tell.
    """
    rises = change > _ASKED
    of_target = np.where(rises, target - source, 0)
    groups = {"": list(range(COUNT))} | {f"AU{au}_": [at] for at, au in enumerate(NUMBERS)}
    values: dict[str, float] = {}
    for name, columns in groups.items():
        count, of_photographs = rises[:, columns].sum(), of_target[:, columns].sum()
        if count < _FEWEST or of_photographs < _LEAST * count:
            continue
        for condition, read in results.items():
            of_edits = np.where(rises, read - source, 0)[:, columns].sum()
            values[f"pairs_read_{name}ratio{condition}"] = float(of_edits / of_photographs)
    return values
