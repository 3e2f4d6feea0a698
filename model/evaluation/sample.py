"""The sample of faces on which generators are evaluated."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...pipeline import shards
from ...pipeline.action_units import COLUMNS, NUMBERS, in_words, positions, to_unit
from ...pipeline.errors import NothingUsable, WrongUse
from ...pipeline.faces.crop import CROP_SIZE, decode_crop
from .features import Arrays, FeatureExtractor, batches, concatenate
from .pairs import series_of


@dataclass(frozen=True)
class Sample:
    """Faces of a test split in random order. The targets of each face are the AUs of the next."""

    keys: list[str]
    people: list[str]
    """For each face, its series; its key if it is of none."""
    images: list[bytes]
    """The crops, as JPEG files."""
    aus: tuple[int, ...]
    """The numbers of the AUs that are edited and measured."""
    target_aus: np.ndarray
    """(n, 17) in 0-1. For the AUs in `aus`, the labels of the next face in the shards; for the
    others, the face's own."""
    own_aus: np.ndarray
    """(n, 17) in 0-1, as the annotator reads them in the crops."""
    features: Arrays
    """The result of `FeatureExtractor.features` for the crops."""
    unreadable: int
    """Number of faces that were left out because the annotator cannot read them."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def reference_aus(self) -> np.ndarray:
        """(n, 17) in 0-1: what the annotator reads in the photographs whose labels are the targets.

        Their distance from the targets is the error of the annotator, below which the distance of
        a generator is not meaningful.
        """
        return np.roll(self.own_aus, -1, axis=0)

    def crops(self, indices: np.ndarray) -> np.ndarray:
        """Decode crops: (len(indices), 128, 128, 3) uint8 RGB."""
        return np.stack([decode_crop(self.images[index], CROP_SIZE) for index in indices])


def load_sample(
    folder: Path,
    max_faces: int,
    seed: int,
    extractor: FeatureExtractor,
    on_start: Callable[[int], None] = lambda total: None,
    on_progress: Callable[[int], None] = lambda count: None,
    aus: tuple[int, ...] = NUMBERS,
) -> Sample:
    """Draw annotated faces of the test split of a shard set, and extract their features.

    Args:
        folder: the shard set.
        max_faces: the number of faces, if the split has as many.
        seed: decides which faces are drawn, and their order.
        on_start, on_progress: are called with the number of faces to process, and with the number
            of each batch that was processed.
        aus: the numbers of the AUs to edit and measure.

    Raises WrongUse if the split has fewer than two annotated faces, and NothingUsable if the
    annotator reads fewer than two.
    """
    frame = shards.annotated_faces(folder, "test")
    if len(frame) < 2:
        raise WrongUse(
            f"The test split of {folder} has {len(frame) or 'no'} annotated "
            f"face{'' if len(frame) == 1 else 's'}, but evaluation needs two or more. Prepare more "
            "photographs, or with a larger --test-fraction, and annotate them."
        )
    order = np.random.default_rng(seed).permutation(len(frame))[:max_faces]
    frame = frame.iloc[order]
    images, keys, series = list(frame["image"]), list(frame["key"]), series_of(frame)
    on_start(len(images))
    read, features = [], []
    for batch in batches(np.arange(len(images))):
        files = [images[index] for index in batch]
        read.append(extractor.aus(files))
        features.append(
            extractor.features(np.stack([decode_crop(file, CROP_SIZE) for file in files]))
        )
        on_progress(len(batch))
    own_aus = np.concatenate(read)
    kept = np.flatnonzero(~np.isnan(own_aus).any(1))
    if len(kept) < 2:
        raise NothingUsable(
            f"{extractor.annotator.name} can read {len(kept) or 'none'} of {len(images)} faces "
            f"of the test split of {folder}, but evaluation needs two or more. Check its pictures "
            "with ganim inspect."
        )
    own_aus = own_aus[kept]
    labels = to_unit(frame[list(COLUMNS)].to_numpy(np.float32))[kept]
    columns, target_aus = positions(aus), own_aus.copy()
    if np.isnan(labels[:, columns]).any():
        raise WrongUse(
            f"{folder} has {in_words(shards.known_aus(folder))} only, and the generator knows "
            f"{in_words(aus)}. Evaluate it on faces with all of these."
        )
    target_aus[:, columns] = np.roll(labels, -1, axis=0)[:, columns]
    return Sample(
        keys=[keys[index] for index in kept],
        people=[series[index] or keys[index] for index in kept],
        images=[images[index] for index in kept],
        aus=aus,
        target_aus=target_aus,
        own_aus=own_aus,
        features={name: rows[kept] for name, rows in concatenate(features).items()},
        unreadable=len(images) - len(kept),
    )
