"""The CSVs that OpenFace writes: one row per face of a photograph, or per frame of a clip."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..action_units import COLUMNS, MAX_INTENSITY
from ..annotator import Reading

MIN_CONFIDENCE = 0.7
"""The confidence below which AUs are not used as labels. In OpenFace's own CSVs of clips, frames
with 0.62 are marked as failures and frames with 0.78 as successes."""

_LANDMARKS = [f"{axis}_{point}" for axis in "xy" for point in range(68)]


class BadCsv(Exception):
    """A CSV cannot be used. The message is the reason, as written into a row of the shards."""


@dataclass(frozen=True)
class FaceRecord:
    """One row of an OpenFace CSV: a face of a photograph, or a frame of a clip."""

    confidence: float
    """OpenFace's confidence that its landmarks fit a face, 0-1."""
    aus: np.ndarray
    """(17,) float32, AU intensities 0-5, in the order of action_units.NUMBERS."""
    landmarks: np.ndarray | None = None
    """(68, 2) float32, x and y in pixels of the picture; None if the CSV has none."""
    frame: int | None = None
    """The frame's number, counted from 1; None for a photograph."""
    seconds: float | None = None
    """The frame's time from the start of the clip; None for a photograph."""
    success: bool = True
    """Whether the face was tracked in this frame of a clip; always True for a photograph."""
    box: np.ndarray | None = None
    """(4,): left, top, right, bottom in pixels of the picture; None if the CSV has none."""
    face_id: int | None = None
    """Which person of a clip it is; None for a photograph."""
    absent: tuple[int, ...] = ()
    """The positions of AUs that the file does not have, so that they are NaN in `aus`."""


def read_csv(path: Path) -> list[FaceRecord]:
    """Read a CSV of FaceLandmarkImg (one row per face) or FeatureExtraction (one per frame).

    Columns are found by name, in any order, separated by `,` or `, `. Raises BadCsv for a file
    that cannot be read, that lacks the confidence or one of the 17 AU intensities, or that has an
    incomplete row or a value that is not a number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (OSError, csv.Error) as error:
        raise BadCsv(f"its CSV cannot be read: {error}") from error
    column_of = {name.strip(): index for index, name in enumerate(header)}
    missing = [name for name in ("confidence", *COLUMNS) if name not in column_of]
    if missing:
        raise BadCsv(f"its CSV has no column {', '.join(missing)}; run OpenFace with -aus")
    has_landmarks = all(name in column_of for name in _LANDMARKS)

    def numbers(row: list[str], names: Sequence[str]) -> np.ndarray:
        return np.array([float(row[column_of[name]]) for name in names], np.float32)

    try:
        return [
            FaceRecord(
                confidence=float(row[column_of["confidence"]]),
                aus=numbers(row, COLUMNS),
                landmarks=numbers(row, _LANDMARKS).reshape(2, 68).T if has_landmarks else None,
                frame=int(row[column_of["frame"]]) if "frame" in column_of else None,
                seconds=float(row[column_of["timestamp"]]) if "timestamp" in column_of else None,
                success=float(row[column_of["success"]]) > 0 if "success" in column_of else True,
                face_id=int(row[column_of["face_id"]]) if "face_id" in column_of else None,
            )
            for row in rows
        ]
    except (ValueError, IndexError) as error:
        raise BadCsv(f"its CSV is damaged: {error}") from error


def pick_face(
    faces: Sequence[FaceRecord], box: Sequence[float], min_confidence: float = MIN_CONFIDENCE
) -> FaceRecord | None:
    """Pick the face that a box of the same picture surrounds; None if there is none.

    Of the faces whose landmarks have their mean inside the box, this is the one whose mean is
    nearest to the box's centre; faces below `min_confidence` are considered only if no other is
    inside. Without landmarks, the most confident face is picked.

    box: left, top, right, bottom, in pixels.
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


def to_reading(face: FaceRecord, min_confidence: float = MIN_CONFIDENCE) -> Reading:
    """Convert a face to a reading, with an error if its confidence is below `min_confidence` or
    an AU is not in 0-5."""
    if not face.confidence >= min_confidence:
        error = f"the confidence of {face.confidence:.2f} is below {min_confidence:g}"
        return Reading(None, face.confidence, error)
    for index, (column, value) in enumerate(zip(COLUMNS, face.aus, strict=True)):
        if index not in face.absent and not 0 <= value <= MAX_INTENSITY:
            return Reading(None, face.confidence, f"{column} is {value:g}, not a number in 0-5")
    return Reading(face.aus, face.confidence)
