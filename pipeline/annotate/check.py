"""A second reading: which AUs of a shard set disagree most with those that an annotator reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import shards
from ..action_units import COLUMNS, NUMBERS, positions
from ..annotator import Annotator, Crop
from ..errors import NothingUsable, WrongUse
from .annotate import read_faces
from .batches import batched
from .rows import Face

_FACES_PER_AU = 10
"""With fewer faces per AU, the differences of the set say too little about what is usual."""
_TRIMMED = 0.05
"""The share of faces that are taken for mislabelled when the usual differences are measured."""
_NOISE = 0.02
"""Added to variances (0-5, squared): AUs that are nearly always 0 must not decide alone."""


@dataclass(frozen=True)
class Disagreement:
    """A face, and how far its AUs are from those of the second reading."""

    shard: Path
    row: int
    source: str
    annotator: str
    """Who has given it its AUs."""
    score: float
    """How much less its AUs fit this picture than they fit any; the higher, the more suspicious."""
    number: int
    """The AU that differs most."""
    label: float
    """Its value in the set, 0-5; `reading`: in the second reading."""
    reading: float


def check(
    folder: Path,
    annotator: Annotator,
    on_start: Callable[[int], None] = lambda faces: None,
    on_face: Callable[[], None] = lambda: None,
) -> list[Disagreement]:
    """Read all annotated faces of a set again, and list them, those that disagree most first.

    Nothing is changed. on_start: called with the number of faces; on_face: for each face read.
    Raises WrongUse if there are no shards or AUs, or if they are by the same annotator, and
    NothingUsable if it reads no face.
    """
    known = shards.known_aus(folder)
    if not known:
        raise WrongUse(f"No face in {folder} has AUs to check: ganim annotate {folder}")
    if annotator.name in set(shards.read_column(folder, "annotator")):
        raise WrongUse(
            f"The AUs in {folder} are by {annotator.name} itself, which would agree with all."
        )
    columns = positions(known)
    names = [COLUMNS[position] for position in columns]
    on_start(
        sum(
            _has_aus(row, names)
            for path in shards.shard_paths(folder)
            for row in shards.read_shard(path, ["status", *names]).to_pylist()
        )
    )
    faces, annotators, labels, readings = [], [], [], []
    for batch in batched(_annotated(folder, names), annotator.batch):
        read = read_faces(annotator, [face for face, _, _ in batch])
        for (face, by, aus), reading in zip(batch, read, strict=True):
            on_face()
            if reading.aus is not None:
                faces.append(face)
                annotators.append(by)
                labels.append(aus)
                readings.append(reading.aus)
    if not faces:
        raise NothingUsable(f"{annotator.name} read no AUs from any face in {folder}.")
    ours, theirs = np.array(labels)[:, columns], np.array(readings)[:, columns]
    scores = disagreement(ours, theirs)
    worst = np.abs(ours - theirs).argmax(axis=1)
    return [
        Disagreement(
            faces[index].shard,
            faces[index].row,
            faces[index].crop.source,
            annotators[index],
            float(scores[index]),
            NUMBERS[columns[worst[index]]],
            float(ours[index, worst[index]]),
            float(theirs[index, worst[index]]),
        )
        for index in np.argsort(-scores, kind="stable")
    ]


def disagreement(labels: np.ndarray, readings: np.ndarray) -> np.ndarray:
    """How much less likely labels are for a face with these readings than for any face, (faces,).

    labels, readings: (faces, AUs), 0-5. What is usual between the two, such as an AU that one of
    them always sees weaker, is fitted to the set: a linear map, and normal differences. The result
    is twice the logarithm of the ratio of likelihoods, up to a constant. For few faces it is the
    mean absolute difference.
    """
    count, aus = labels.shape
    if count < _FACES_PER_AU * aus:
        return np.abs(labels - readings).mean(axis=1)
    known = np.column_stack([readings, np.ones(count)]).astype(np.float64)
    usual = np.ones(count, bool)
    for _ in range(4):
        fit = np.linalg.lstsq(known[usual], labels[usual], rcond=None)[0]
        rest = labels - known @ fit
        distance = _mahalanobis(rest, usual)
        usual = distance <= np.quantile(distance, 1 - _TRIMMED)
    return distance - _mahalanobis(labels - labels.mean(axis=0), np.ones(count, bool))


def _mahalanobis(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The squared distance of each row from 0, by the covariance of the chosen rows."""
    covariance = np.atleast_2d(np.cov(values[chosen].T)) + _NOISE * np.eye(values.shape[1])
    return np.einsum("ij,jk,ik->i", values, np.linalg.inv(covariance), values)


def _has_aus(row: dict[str, Any], names: list[str]) -> bool:
    return row["status"] == shards.OK and all(row[name] is not None for name in names)


def _annotated(folder: Path, names: list[str]) -> Iterator[tuple[Face, str, np.ndarray]]:
    """The faces that have the AUs of these columns, who annotated each, and its AUs, (17,), NaN
    if not known."""
    for path in shards.shard_paths(folder):
        for index, row in enumerate(shards.read_shard(path).to_pylist()):
            if _has_aus(row, names):
                image, box = row["image"]["bytes"], tuple(row["box"])
                aus = np.array([row[name] for name in COLUMNS], np.float64)
                face = Face(path, index, Crop(row["key"], row["source"], image, box))
                yield face, row["annotator"] or "", aus
