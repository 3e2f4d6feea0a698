"""What annotators have in common: crops in, AUs or a reason out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

Batch = TypeVar("Batch")
Result = TypeVar("Result")


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
    """(17,) float32, 0-5, in the order of action_units.NUMBERS; NaN where an AU is not known. None
    with an error."""
    confidence: float | None = None
    """0-1, how far the annotator trusts itself; None if it does not say."""
    error: str | None = None


class Annotator(ABC):
    """Base class of what reads AUs from crops. By default it reads one batch after the other."""

    name: str
    """Name and version; the shards hold it in every row."""
    batch: int
    """The most crops that `read` is given at a time."""
    workers: int = 1
    """How many batches `run` reads at once."""
    reads_clips: bool = False
    """Whether clips are read by `read_clip`, which chooses the face itself; otherwise as crops."""

    @abstractmethod
    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """One reading per crop, in order. A bad crop gives a reading with an error."""

    def run(
        self, read: Callable[[Batch], Result], batches: Iterable[Batch]
    ) -> Generator[tuple[Batch, Result], None, None]:
        """Apply `read`, which calls the annotator's own, to batches, on this machine.

        Yields each batch with its result, in any order. Closing the generator stops the work.
        """
        for batch in batches:
            yield batch, read(batch)

    def for_cluster(self) -> "Annotator":
        """The annotator to send to the workers of a cluster, each of which reads one batch at a
        time."""
        return self

    def read_clip(self, clip: Path) -> str:
        """A CSV of the AUs of a clip, one row per frame. Only of annotators that read clips."""
        raise NotImplementedError

    def summary(self, seconds: float) -> str:
        """What is to be said of the work on batches that took so many seconds; may be empty."""
        return ""
