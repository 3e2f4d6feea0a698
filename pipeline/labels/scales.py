"""Scales of intensity in label files, and their conversion to 0-5."""

from typing import Literal

import numpy as np
import pandas as pd

from ..action_units import MAX_INTENSITY
from .columns import BadLabels

Scale = Literal["0-5", "0-1", "A-E"]

TOLERANCE = 0.05
"""How far from 0-5 an intensity may be to count as its nearest end: what rounding and filters add.
"""
_LETTERS = {letter: index + 1.0 for index, letter in enumerate("ABCDE")}
_FEW_FACES = 20


def to_numbers(values: pd.Series) -> np.ndarray:
    """A column as float64; NaN where it holds no number. Decimal commas are read, too."""
    if not pd.api.types.is_numeric_dtype(values):
        text = values.astype(str).str.strip().str.replace(",", ".", regex=False)
        values = pd.to_numeric(text, errors="coerce")
    return values.to_numpy(np.float64, na_value=np.nan)


def to_intensity(values: pd.Series, scale: Scale) -> np.ndarray:
    """A column of AUs in a scale as float32 intensities, of 0-5 if they are in the scale.

    NaN where there is no value of the scale. A-E: A is 1 and E is 5, 0 is 0.
    """
    if scale == "A-E":
        letters = values.astype(str).str.strip().str.upper()
        numbers = letters.map(_LETTERS).to_numpy(np.float64, na_value=np.nan)
        return np.where(to_numbers(values) == 0, 0.0, numbers).astype(np.float32)
    factor = MAX_INTENSITY if scale == "0-1" else 1.0
    return (to_numbers(values) * factor).astype(np.float32)


def clamp(aus: np.ndarray) -> tuple[np.ndarray, int]:
    """Clamp intensities that are less than TOLERANCE outside 0-5; also return how many were."""
    outside = (aus < 0) & (aus >= -TOLERANCE)
    outside |= (aus > MAX_INTENSITY) & (aus <= MAX_INTENSITY + TOLERANCE)
    return np.where(outside, np.clip(aus, 0, MAX_INTENSITY), aus), int(outside.sum())


def check_not_unit(aus: np.ndarray, scale: Scale | None) -> None:
    """Raise BadLabels if nobody named the scale and it may well be 0-1.

    aus: (faces, AUs), as read in 0-5; NaN where not known.
    """
    known = np.isfinite(aus).any(axis=1)
    if scale is None and known.sum() >= _FEW_FACES and np.nanmax(aus) <= 1 and np.nanmax(aus) > 0:
        raise BadLabels(
            f"has no AU above 1 in {known.sum():,} faces. If its values are 0 to 1, say --scale "
            "0-1, and if they are 0 to 5, --scale 0-5"
        )
