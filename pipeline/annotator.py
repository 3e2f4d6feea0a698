"""What annotators have in common: crops in, AUs or a reason out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Crop:
    """What an annotator is given of a face."""

    key: str
    source: str
    """The photograph's path below the folder that was prepared."""
    image: bytes
    """The crop, as a JPEG file."""
    box: tuple[int, int, int, int]
    """The HOG box in the photograph: left, top, right, bottom."""


@dataclass(frozen=True)
class Reading:
    """What an annotator says of a face: AUs, or the reason why not."""

    aus: np.ndarray | None
    """(17,) float32, 0-5, in the order of action_units.NUMBERS; None with an error."""
    confidence: float | None = None
    """0-1, how far the annotator trusts itself; None if it does not say."""
    error: str | None = None


class Annotator(Protocol):
    """Anything that reads AUs from crops."""

    @property
    def name(self) -> str:
        """Name and version, written beside every row."""

    @property
    def batch(self) -> int:
        """How many crops it wants at a time, at most."""

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """One reading a crop, in order. A bad crop is a reading with an error."""
