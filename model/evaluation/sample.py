"""Held-out faces to measure a generator on, and the instruments they are measured with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from ...pipeline import shards
from ...pipeline.action_units import COLUMNS, COUNT, NUMBERS, positions, to_unit
from ...pipeline.annotator import Annotator, Crop
from ...pipeline.errors import NothingUsable, WrongUse
from ...pipeline.faces.crop import CROP_SIZE, decode_crop
from ..landmarks.dlib_models import descriptors
from . import metrics
from .inception import Inception

_BATCH = 32


@dataclass(frozen=True)
class Instruments:
    """What pictures of faces are measured with."""

    annotator: Annotator
    box: list[int]
    """The HOG box in crops of 128 px: left, top, right, bottom."""
    inception: Inception | None = None

    def read(self, images: Sequence[bytes]) -> np.ndarray:
        """AUs (n, 17) in 0-1 of crops as image files; NaN where the annotator cannot read one.

        It is given as many at a time as it wants: to start OpenFace costs more than to read.
        """
        left, top, right, bottom = self.box
        crops = [
            Crop(f"{number}", f"{number}", image, (left, top, right, bottom))
            for number, image in enumerate(images)
        ]
        aus = np.full((len(crops), COUNT), np.nan, np.float32)
        most = self.annotator.batch
        for start in range(0, len(crops), most):
            readings = self.annotator.read(crops[start : start + most])
            for index, reading in enumerate(readings, start):
                if reading.aus is not None:
                    aus[index] = to_unit(reading.aus)
        return aus

    def look(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        """What tells of identity and realism in pictures (n, 128, 128, 3) uint8, a row each."""
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2)
        looks = {
            "descriptors": descriptors(images, self.box),
            "spectra": metrics.radial_spectra(pictures),
        }
        if self.inception is not None:
            looks |= self.inception.see(pictures)._asdict()
        return looks


@dataclass(frozen=True)
class Sample:
    """Faces of a test split in random order; each is asked for the AUs of the next."""

    keys: list[str]
    images: list[bytes]
    """The crops, as JPEG files."""
    aus: tuple[int, ...]
    """The AUs that are asked for and measured."""
    asked: np.ndarray
    """(n, 17) in 0-1: of these AUs, those of the next face in the shards; of others, its own."""
    own: np.ndarray
    """(n, 17) in 0-1: the face's own, as the annotator reads them."""
    looks: dict[str, np.ndarray]
    """What Instruments.look says of them."""
    unreadable: int
    """Faces that were left out, since the annotator cannot read them."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def own_of_asked(self) -> np.ndarray:
        """(n, 17): what the annotator reads in the very photographs whose AUs are asked for. No
        generator can be expected to come closer than these."""
        return np.roll(self.own, -1, axis=0)

    def crops(self, chosen: np.ndarray) -> np.ndarray:
        """(len(chosen), 128, 128, 3) uint8."""
        return np.stack([decode_crop(self.images[index], CROP_SIZE) for index in chosen])


def load_sample(
    folder: Path,
    most: int,
    seed: int,
    instruments: Instruments,
    on_start: Callable[[int], None],
    on_faces: Callable[[int], None],
    known: tuple[int, ...] = NUMBERS,
) -> Sample:
    """Draw up to `most` annotated faces of the test split and measure them as they are.

    known: the AUs that those who are to be measured on them know.

    Raises WrongUse where the split has fewer than two, NothingUsable where fewer than two can be
    read.
    """
    frame = shards.annotated_faces(folder, "test")
    if len(frame) < 2:
        raise WrongUse(
            f"The test split of {folder} has {len(frame) or 'no'} annotated "
            f"face{'' if len(frame) == 1 else 's'}, and two are the least. Prepare more "
            "photographs, or with a larger --test-fraction, and annotate them."
        )
    order = np.random.default_rng(seed).permutation(len(frame))[:most]
    frame = frame.iloc[order]
    images = list(frame["image"])
    on_start(len(images))
    own, looks = [], []
    for chosen in batches(np.arange(len(images))):
        own.append(instruments.read([images[index] for index in chosen]))
        crops = np.stack([decode_crop(images[index], CROP_SIZE) for index in chosen])
        looks.append(instruments.look(crops))
        on_faces(len(chosen))
    aus = np.concatenate(own)
    read = np.flatnonzero(~np.isnan(aus).any(1))
    if len(read) < 2:
        raise NothingUsable(
            f"{instruments.annotator.name} can read {len(read) or 'none'} of {len(images)} faces "
            f"of the test split of {folder}: look at them first."
        )
    labels = to_unit(frame[list(COLUMNS)].to_numpy(np.float32))[read]
    columns, asked = positions(known), aus[read]
    asked[:, columns] = np.roll(labels, -1, axis=0)[:, columns]
    return Sample(
        keys=[frame["key"].iloc[index] for index in read],
        images=[images[index] for index in read],
        aus=known,
        asked=asked,
        own=aus[read],
        looks={name: rows[read] for name, rows in joined(looks).items()},
        unreadable=len(images) - len(read),
    )


def batches(positions: np.ndarray) -> Iterator[np.ndarray]:
    """Positions, some at a time, so that memory stays flat."""
    for start in range(0, len(positions), _BATCH):
        yield positions[start : start + _BATCH]


def joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What was measured batch by batch, as one array each."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def as_png(pictures: np.ndarray) -> list[bytes]:
    """Pictures (n, h, w, 3) uint8 as PNG files, which lose nothing."""
    encoded = [cv2.imencode(".png", cv2.cvtColor(one, cv2.COLOR_RGB2BGR)) for one in pictures]
    assert all(done for done, _ in encoded), "OpenCV could not encode a picture it was given"
    return [file.tobytes() for _, file in encoded]
