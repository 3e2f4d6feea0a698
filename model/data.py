"""The annotated faces of a shard set as tensors in memory. Every crop is decoded once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..pipeline import shards
from ..pipeline.action_units import COLUMNS, in_words, positions, to_unit
from ..pipeline.errors import WrongUse
from ..pipeline.faces.crop import decode_crop


@dataclass(frozen=True)
class Faces:
    """Annotated faces of one split, in the order of the shards."""

    images: Tensor
    """(faces, 3, size, size) uint8, RGB."""
    aus: Tensor
    """(faces, 17) float32 in 0-1; 0 where the set does not have an AU."""
    keys: list[str]
    """The keys of the faces in the shards."""
    sources: list[str]
    """The paths of their photographs."""
    series: list[str | None] = field(default_factory=list)
    """The series of each face: one person under the same conditions. None: not known, which is so
    for all faces if the argument is left out."""
    landmarks: Tensor | None = None
    """(faces, points, 2) float32: x and y in -1..1 across the crop, NaN where not known; None if no
    face has any. The points are those of dlib (68), or those of MediaPipe's face mesh (478)."""

    def __post_init__(self) -> None:
        if not self.series:
            object.__setattr__(self, "series", [None] * len(self.keys))

    def __len__(self) -> int:
        return len(self.keys)

    def subset(self, chosen: np.ndarray) -> "Faces":
        """The faces at the positions `chosen` (integers)."""
        return Faces(
            self.images[torch.from_numpy(chosen)],
            self.aus[torch.from_numpy(chosen)],
            [self.keys[index] for index in chosen],
            [self.sources[index] for index in chosen],
            [self.series[index] for index in chosen],
            None if self.landmarks is None else self.landmarks[torch.from_numpy(chosen)],
        )


def load_faces(folder: Path, split: str, size: int, most: int | None = None) -> Faces:
    """Load and decode the annotated faces of a split.

    Args:
        folder: the shard set.
        split: `train` or `test`.
        size: the side in px to which crops are resized.
        most: load only so many faces, from the first.

    Raises WrongUse if the set has no annotated face, AUs by more than one annotator, or landmarks
    of both schemes.
    """
    frame = shards.annotated_faces(folder, split)[:most]
    images = torch.empty((len(frame), 3, size, size), dtype=torch.uint8)

    def decode(index: int, encoded: bytes) -> None:
        images[index] = torch.from_numpy(decode_crop(encoded, size)).permute(2, 0, 1)

    with ThreadPoolExecutor() as pool:
        list(pool.map(decode, range(len(frame)), frame["image"]))
    aus = np.nan_to_num(to_unit(frame[list(COLUMNS)].to_numpy(np.float32)))
    return Faces(
        images,
        torch.from_numpy(aus),
        list(frame["key"]),
        list(frame["source"]),
        list(frame["series"]),
        _landmarks(folder, list(frame["landmarks"])),
    )


def _landmarks(folder: Path, columns: Sequence[np.ndarray | None]) -> Tensor | None:
    """The landmarks of faces (faces, points, 2), from what the shards hold; NaN for faces without.

    None if no face has any. Raises WrongUse if their numbers differ.
    """
    counts = sorted({len(values) for values in columns if values is not None})
    if not counts:
        return None
    if len(counts) > 1:
        raise WrongUse(
            f"{folder} holds faces with {' and with '.join(str(n // 2) for n in counts)} "
            "landmarks, which are different points. Prepare all photographs alike: ganim prepare "
            "--overwrite"
        )
    landmarks = np.full((len(columns), counts[0]), np.nan, np.float32)
    for row, values in zip(landmarks, columns, strict=True):
        if values is not None:
            row[:] = values
    return torch.from_numpy(landmarks.reshape(len(columns), -1, 2))


def constant_aus(faces: Faces, aus: Sequence[int]) -> list[str]:
    """The names of those of the AUs `aus` (numbers) that have the same value in every face.

    Raises WrongUse if all of them do, as nothing can be learned then.
    """
    spread = (faces.aus.amax(0) - faces.aus.amin(0))[positions(aus)]
    names = [f"AU{number}" for number, one in zip(aus, spread, strict=True) if one == 0]
    if len(names) == len(aus):
        raise WrongUse(
            "There is only one face, and targets are the AUs of other faces. Add photographs."
            if len(faces) == 1
            else f"All {len(faces)} faces have the same values of the AUs to train on, so nothing "
            "can be learned. Check with ganim inspect whether the AUs are right."
        )
    return names


def aus_to_train(folder: Path, asked: Sequence[int], chosen: bool) -> tuple[int, ...]:
    """The AUs (numbers) that a generator can learn from a shard set: those of `asked` that it has.

    chosen: whether somebody asked for these. Raises WrongUse for an AU that the set does not have
    then, and if it has none of them.
    """
    known = shards.known_aus(folder)
    absent = [number for number in asked if number not in known]
    left = tuple(number for number in asked if number in known)
    if known and absent and (chosen or not left):
        raise WrongUse(
            f"No face in {folder} has {in_words(absent)}. It has {in_words(known)}: choose of them "
            "by --aus, and start from no weights that need others."
        )
    return left if known else tuple(asked)
