"""The training data of the estimator: crops, AUs by OpenFace and by human coders, landmarks; and
their split."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...pipeline import shards
from ...pipeline.action_units import MAX_INTENSITY, NUMBERS, in_words
from ...pipeline.errors import WrongUse
from ..data import Faces, load_faces
from ..landmarks.dlib_models import descriptors, hog_box, landmarks

_SAME_PERSON = 0.55
"""Distance of dlib's face descriptors below which two photographs may show one person. Each of 239
CFEE photographs was within 0.503 of another photograph of its person."""
_LETTERS = {letter: value for value, letter in enumerate("ABCDE", start=1)}


@dataclass(frozen=True)
class Examples:
    """Faces with AUs by OpenFace, AUs by human coders and landmarks."""

    faces: Faces
    facs: Tensor
    """(faces, 17) in 0-1, by human coders; NaN for faces and AUs that nobody scored."""
    landmarks: Tensor
    """(faces, 68, 2), by dlib, x and y in -1..1 across the crop."""

    def __len__(self) -> int:
        return len(self.faces)

    def subset(self, chosen: np.ndarray) -> "Examples":
        """The examples at the positions `chosen` (integers)."""
        return Examples(self.faces.subset(chosen), self.facs[chosen], self.landmarks[chosen])

    @property
    def coded(self) -> np.ndarray:
        """The positions of the faces that human coders scored."""
        return np.flatnonzero(~self.facs.isnan().all(1).numpy())


def load_examples(
    folder: Path, human: Path | None, size: int, held_out: float = 0.1
) -> tuple[Examples, Examples]:
    """Load examples from an annotated shard set, and split them into training and held-out ones.

    Without `human`, the test split of the shards is held out. With it, the folders of the
    photographs that it names are split by person instead. Other photographs in these folders are
    used for training if their face differs from that of every held-out person, and left out if not.

    Args:
        folder: the shard set.
        human: a CSV file with the columns `photo`, `person` and `aus` (see `human_codes`).
        size: the side of the crops in px.
        held_out: the fraction of the persons in `human` that is held out.

    Raises WrongUse if no face is annotated, if the set lacks AUs, or if the table cannot be
    understood.
    """
    if len(known := shards.known_aus(folder)) < len(NUMBERS) and known:
        raise WrongUse(f"{folder} has {in_words(known)} only; the estimator needs all 17 AUs.")
    train, test = (load_faces(folder, split, size) for split in ("train", "test"))
    faces = Faces(
        torch.cat([train.images, test.images]),
        torch.cat([train.aus, test.aus]),
        train.keys + test.keys,
        train.sources + test.sources,
    )
    box = hog_box(folder, size)
    sides = np.array(["train"] * len(train) + ["test"] * len(test), dtype=object)
    facs = torch.full_like(faces.aus, torch.nan)
    if human is not None:
        person_of, codes_of = _read_coding(human)
        sides = _split_by_person(faces, sides, person_of, held_out, box)
        for index, source in enumerate(faces.sources):
            if source in codes_of:
                facs[index] = torch.tensor(codes_of[source])
    examples = Examples(faces, facs, landmarks(faces.images, box))
    return tuple(examples.subset(np.flatnonzero(sides == side)) for side in ("train", "test"))  # type: ignore[return-value]


def _read_coding(path: Path) -> tuple[dict[str, str], dict[str, list[float]]]:
    """For each photograph: the person, and the 17 coded AUs in 0-1 (NaN where not scored)."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = {"photo", "person", "aus"} - set(table.columns)
    if missing:
        raise WrongUse(f"{path} lacks the columns {', '.join(sorted(missing))}.")
    codes = [human_codes(aus) for aus in table["aus"]]
    # An AU that occurs nowhere in the table was not scored, so its absence does not mean 0.
    scored = {number for code in codes for number in code}
    absent = {number: 0.0 if number in scored else np.nan for number in NUMBERS}
    vectors = [[(absent | code)[number] / MAX_INTENSITY for number in NUMBERS] for code in codes]
    person_of = dict(zip(table["photo"], table["person"], strict=True))
    return person_of, dict(zip(table["photo"], vectors, strict=True))


def human_codes(aus: str) -> dict[int, float]:
    """Parse FACS codes such as `1C 12D 15LB 4X` into intensities in 0-5 by AU number.

    The letters A to E are 1 to 5. A code of one side, such as `15LB`, counts half, as the other
    side is 0. X, present without an intensity, is NaN. Raises WrongUse for any other text.
    """
    codes = {}
    for text in aus.split():
        match = re.fullmatch(r"(\d+)((?:[LR]?[A-EX])+)", text)
        if match is None:
            raise WrongUse(f"{text!r} is not a FACS code. Write codes as 12D or 15LB.")
        sides = re.findall(r"([LR]?)([A-EX])", match[2])
        values = [_LETTERS.get(letter, np.nan) / (2 if side else 1) for side, letter in sides]
        codes[int(match[1])] = float(sum(values))
    return codes


def _split_by_person(
    faces: Faces, sides: np.ndarray, person_of: dict[str, str], held_out: float, box: list[int]
) -> np.ndarray:
    """Assign the photographs in the folders of `person_of` to a side by person."""
    sides = sides.copy()
    covered = {Path(photo).parent for photo in person_of}
    unnamed, held_out_named = [], []
    for index, source in enumerate(faces.sources):
        if source in person_of:
            digest = hashlib.sha1(person_of[source].encode()).digest()
            sides[index] = "test" if digest[0] < held_out * 256 else "train"
            if sides[index] == "test":
                held_out_named.append(index)
        elif Path(source).parent in covered:
            unnamed.append(index)
    if unnamed and held_out_named:
        described = torch.from_numpy(descriptors(faces.images[unnamed + held_out_named], box))
        nearest = torch.cdist(described[: len(unnamed)], described[len(unnamed) :]).amin(1)
        sides[unnamed] = np.where(nearest > _SAME_PERSON, "train", "neither")
    return sides
