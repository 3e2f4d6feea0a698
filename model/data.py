"""Annotated shards as tensors in memory: every crop is decoded once, then only indexed."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..pipeline import shards
from ..pipeline.action_units import COLUMNS, positions, to_unit
from ..pipeline.errors import WrongUse
from ..pipeline.faces.crop import decode_crop


@dataclass(frozen=True)
class Faces:
    """The annotated faces of one split, in the order of the shards."""

    images: Tensor
    """(faces, 3, size, size) uint8, RGB."""
    aus: Tensor
    """(faces, 17) float32, 0-1."""
    keys: list[str]
    sources: list[str]

    def __len__(self) -> int:
        return len(self.keys)

    def subset(self, chosen: np.ndarray) -> "Faces":
        """The faces at these positions."""
        return Faces(
            self.images[torch.from_numpy(chosen)],
            self.aus[torch.from_numpy(chosen)],
            [self.keys[index] for index in chosen],
            [self.sources[index] for index in chosen],
        )


def load_faces(folder: Path, split: str, size: int, most: int | None = None) -> Faces:
    """Load and decode a split, or its first `most` faces, resized to `size`.

    Raises WrongUse where no face is annotated.
    """
    frame = shards.annotated_faces(folder, split)[:most]
    images = torch.empty((len(frame), 3, size, size), dtype=torch.uint8)

    def decode(index: int, encoded: bytes) -> None:
        images[index] = torch.from_numpy(decode_crop(encoded, size)).permute(2, 0, 1)

    with ThreadPoolExecutor() as pool:
        list(pool.map(decode, range(len(frame)), frame["image"]))
    aus = to_unit(frame[list(COLUMNS)].to_numpy(np.float32))
    return Faces(images, torch.from_numpy(aus), list(frame["key"]), list(frame["source"]))


def constant_aus(faces: Faces, aus: Sequence[int]) -> list[str]:
    """Those of the AUs that are the same in every face. Raises WrongUse if all are: nothing to
    learn."""
    spread = (faces.aus.amax(0) - faces.aus.amin(0))[positions(aus)]
    names = [f"AU{number}" for number, one in zip(aus, spread, strict=True) if one == 0]
    if len(names) == len(aus):
        raise WrongUse(
            "There is one face alone: a generator learns from the AUs of others. Add photographs."
            if len(faces) == 1
            else f"All {len(faces)} faces have the same values of the AUs to train on, so there is "
            "nothing to learn from them. Are they those of these photographs? ganim inspect shows "
            "them."
        )
    return names
