"""The CSVs that OpenFace writes: columns by name, one face or one frame a row."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..action_units import COLUMNS, MAX_INTENSITY
from ..annotator import Reading

MIN_CONFIDENCE = 0.7
"""OpenFace's own clips call 0.62 a failure and 0.78 a success; below this AUs are no labels."""

_LANDMARKS = [f"{axis}_{point}" for axis in "xy" for point in range(68)]


class BadCsv(Exception):
    """The CSV cannot be used; the message is the reason, fit for a row of the shards."""


@dataclass(frozen=True)
class FoundFace:
    """One row of an OpenFace CSV: a face of a photograph, or a frame of a clip."""

    confidence: float
    """0-1."""
    aus: np.ndarray
    """(17,) float32, 0-5, in the order of action_units.NUMBERS."""
    landmarks: np.ndarray | None = None
    """(68, 2) float32, x and y in pixels of the picture; None if the CSV has none."""
    frame: int | None = None
    """The frame's number, in the CSV of a clip only."""
    seconds: float | None = None
    """When the frame is shown, from the clip's start; in the CSV of a clip only."""
    success: bool = True
    """Whether a clip's frame has the face; a photograph's row always has."""


def read_csv(path: Path) -> list[FoundFace]:
    """The faces in a CSV of FaceLandmarkImg, or the frames in one of FeatureExtraction.

    Columns are found by name, in any order, whether `, ` or `,` stands between them. Raises
    BadCsv for a file that cannot be read, lacks the confidence or one of the 17 AU intensities,
    or breaks off within a row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (OSError, csv.Error) as error:
        raise BadCsv(f"its CSV cannot be read: {error}") from error
    place = {name.strip(): index for index, name in enumerate(header)}
    missing = [name for name in ("confidence", *COLUMNS) if name not in place]
    if missing:
        raise BadCsv(f"its CSV has no column {', '.join(missing)}; run OpenFace with -aus")
    has_landmarks = all(name in place for name in _LANDMARKS)

    def numbers(row: list[str], names: Sequence[str]) -> np.ndarray:
        return np.array([float(row[place[name]]) for name in names], np.float32)

    try:
        return [
            FoundFace(
                confidence=float(row[place["confidence"]]),
                aus=numbers(row, COLUMNS),
                landmarks=numbers(row, _LANDMARKS).reshape(2, 68).T if has_landmarks else None,
                frame=int(row[place["frame"]]) if "frame" in place else None,
                seconds=float(row[place["timestamp"]]) if "timestamp" in place else None,
                success=float(row[place["success"]]) > 0 if "success" in place else True,
            )
            for row in rows
        ]
    except (ValueError, IndexError) as error:
        raise BadCsv(f"its CSV is damaged: {error}") from error


def pick_face(
    faces: Sequence[FoundFace], box: Sequence[float], min_confidence: float = MIN_CONFIDENCE
) -> FoundFace | None:
    """The face meant by a box (left, top, right, bottom) of the same picture, if one is there.

    That is the face whose landmarks' centre is nearest to the box's centre, and inside the box;
    one below `min_confidence` only if no other is inside. Without landmarks it is the most
    confident one.
    """
    if all(face.landmarks is None for face in faces):
        return max(faces, key=lambda face: face.confidence, default=None)
    left, top, right, bottom = box
    inside = []
    for face in faces:
        if face.landmarks is None:
            continue
        x, y = face.landmarks.mean(axis=0)
        if left <= x <= right and top <= y <= bottom:
            distance = math.hypot(x - (left + right) / 2, y - (top + bottom) / 2)
            inside.append((face.confidence < min_confidence, distance, face))
    return min(inside, key=lambda item: item[:2])[2] if inside else None


def to_reading(face: FoundFace, min_confidence: float = MIN_CONFIDENCE) -> Reading:
    """A face as a reading: with an error if its confidence is too low or an AU is not in 0-5."""
    if not face.confidence >= min_confidence:
        error = f"the confidence of {face.confidence:.2f} is below {min_confidence:g}"
        return Reading(None, face.confidence, error)
    for column, value in zip(COLUMNS, face.aus, strict=True):
        if not 0 <= value <= MAX_INTENSITY:
            return Reading(None, face.confidence, f"{column} is {value:g}, not a number in 0-5")
    return Reading(face.aus, face.confidence)
