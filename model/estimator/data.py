"""What the estimator learns from: crops, OpenFace's AUs, human coding, landmarks; and the split."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...pipeline.action_units import MAX_INTENSITY, NUMBERS
from ...pipeline.errors import WrongUse
from ..data import Faces, load_faces
from ..landmarks.dlib_models import descriptors, hog_box, landmarks

_SAME_PERSON = 0.55
"""Distance of face_recognition's descriptors below which two photographs may show one person. Of
239 CFEE photographs, none was farther than 0.503 from every other photograph of its person."""
_LETTERS = {letter: value for value, letter in enumerate("ABCDE", start=1)}


@dataclass(frozen=True)
class Examples:
    """Faces with all that is known of them."""

    faces: Faces
    facs: Tensor
    """(faces, 17) in 0-1 by human coders; NaN for a face or an AU that nobody scored."""
    landmarks: Tensor
    """(faces, 68, 2) by dlib, x and y in -1..1 across the crop."""

    def __len__(self) -> int:
        return len(self.faces)

    def subset(self, chosen: np.ndarray) -> "Examples":
        """The examples at these positions."""
        return Examples(self.faces.subset(chosen), self.facs[chosen], self.landmarks[chosen])

    @property
    def coded(self) -> np.ndarray:
        """Positions of the faces that human coders scored."""
        return np.flatnonzero(~self.facs.isnan().all(1).numpy())


def load_examples(
    folder: Path, human: Path | None, size: int, held_out: float = 0.1
) -> tuple[Examples, Examples]:
    """Training and held-out examples, no photograph and no known person on both sides.

    Held out are the photographs of the shards' test split. `human`, a table with the columns
    `photo`, `person` and `aus`, covers some folders: there, `held_out` of the persons are held
    out. Of the photographs in those folders that it does not name, those are learned from whose
    face is unlike every held-out person's. Raises WrongUse where no face is annotated.
    """
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
    """By photograph: the person, and the 17 coded AUs in 0-1, NaN for those not scored."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = {"photo", "person", "aus"} - set(table.columns)
    if missing:
        raise WrongUse(f"{path} lacks the columns {', '.join(sorted(missing))}.")
    codes = [human_codes(aus) for aus in table["aus"]]
    # An AU that stands nowhere in the table was not looked for, and its absence says nothing.
    scored = {number for code in codes for number in code}
    absent = {number: 0.0 if number in scored else np.nan for number in NUMBERS}
    vectors = [[(absent | code)[number] / MAX_INTENSITY for number in NUMBERS] for code in codes]
    person_of = dict(zip(table["photo"], table["person"], strict=True))
    return person_of, dict(zip(table["photo"], vectors, strict=True))


def human_codes(aus: str) -> dict[int, float]:
    """What coders wrote, such as `1C 12D 15LB 4X`, as intensities 0-5 by AU number.

    A to E are 1 to 5; a side without a letter is 0, so a one-sided `15LB` counts half; X, present
    without an intensity, is NaN.
    """
    codes = {}
    for text in aus.split():
        match = re.fullmatch(r"(\d+)((?:[LR]?[A-EX])+)", text)
        if match is None:
            raise WrongUse(f"{text!r} is no coded action unit. Write them as 12D or 15LB.")
        sides = re.findall(r"([LR]?)([A-EX])", match[2])
        values = [_LETTERS.get(letter, np.nan) / (2 if side else 1) for side, letter in sides]
        codes[int(match[1])] = float(sum(values))
    return codes


def _split_by_person(
    faces: Faces, sides: np.ndarray, person_of: dict[str, str], held_out: float, box: list[int]
) -> np.ndarray:
    sides = sides.copy()
    covered = {Path(photo).parent for photo in person_of}
    strangers, apart = [], []
    for index, source in enumerate(faces.sources):
        if source in person_of:
            digest = hashlib.sha1(person_of[source].encode()).digest()
            sides[index] = "test" if digest[0] < held_out * 256 else "train"
            if sides[index] == "test":
                apart.append(index)
        elif Path(source).parent in covered:
            strangers.append(index)
    if strangers and apart:
        described = descriptors(faces.images[strangers + apart], box)
        strange, known = described[: len(strangers)], described[len(strangers) :]
        nearest = torch.cdist(torch.from_numpy(strange), torch.from_numpy(known)).amin(1)
        sides[strangers] = np.where(nearest > _SAME_PERSON, "train", "nobody knows")
    return sides
