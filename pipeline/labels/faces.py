"""Which label of a photograph belongs to which of its crops."""

import math
from collections.abc import Sequence

import numpy as np

from ..openface.output import FaceRecord

Box = Sequence[float]
"""Left, top, right, bottom, in pixels of the photograph."""

_SIZES = (0.4, 2.5)
"""How wide a label's face may be, in widths of the box, to be the same face."""
_SAME = 0.1
"""Labels whose centres differ by less than this, in widths of the box, are of the same face."""


def assign(
    faces: Sequence[FaceRecord], boxes: Sequence[Box], min_confidence: float, seen: int = 0
) -> list[FaceRecord | str]:
    """For each box of a photograph, the label of its face, or the reason why there is none.

    A label that has landmarks or a box belongs to the crop inside whose box its centre is, to the
    nearest if there are several; a label and a crop belong together once. A label without a
    position belongs to the only crop if it is the only label, and if no other face was seen in the
    photograph. Labels below `min_confidence` come after all others.

    seen: how many faces the detector saw, crops or not; 0 if that is not known.
    """
    faces = _distinct(faces)
    if not faces:
        return ["its label has no face"] * len(boxes)
    if all(_extent(face) is None for face in faces):
        return _without_positions(faces, boxes, max(seen, len(boxes)))
    pairs = sorted(
        (face.confidence < min_confidence, distance, row, crop)
        for row, face in enumerate(faces)
        for crop, box in enumerate(boxes)
        if (distance := _distance(face, box)) is not None
    )
    label_of: dict[int, int] = {}
    for _, _, row, crop in pairs:
        if row not in label_of.values():
            label_of.setdefault(crop, row)
    answers: list[FaceRecord | str] = []
    for crop, box in enumerate(boxes):
        if crop not in label_of:
            count = "the face of its label is not"
            if len(faces) > 1:
                count = f"none of the {len(faces)} faces of its label is"
            answers.append(f"{count} inside the crop's box")
            continue
        chosen = faces[label_of[crop]]
        rivals = [face for row, face in enumerate(faces) if row not in label_of.values()]
        same = any(_is_same_place(chosen, rival, box, min_confidence) for rival in rivals)
        answers.append("several different labels are of this face" if same else chosen)
    return answers


def _distinct(faces: Sequence[FaceRecord]) -> list[FaceRecord]:
    """The labels without those that are equal to an earlier one."""
    kept: dict[tuple, FaceRecord] = {}
    for face in faces:
        place = face.landmarks if face.landmarks is not None else face.box
        key = (face.confidence, face.aus.tobytes(), b"" if place is None else place.tobytes())
        kept.setdefault(key, face)
    return list(kept.values())


def _without_positions(
    faces: Sequence[FaceRecord], boxes: Sequence[Box], seen: int
) -> list[FaceRecord | str]:
    if len(faces) == seen == 1:
        return [faces[0]]
    if len(faces) > 1:
        reason = f"its label has {len(faces)} faces, and does not say where they are"
    else:
        reason = f"its label does not say which of the photograph's {seen} faces it is of"
    return [reason] * len(boxes)


def _extent(face: FaceRecord) -> tuple[float, float, float] | None:
    """The centre (x, y) and the width of a label's face; None if it has no position."""
    if face.landmarks is not None:
        x, y = face.landmarks.mean(axis=0)
        return float(x), float(y), float(np.ptp(face.landmarks[:, 0]))
    if face.box is not None:
        left, top, right, bottom = (float(value) for value in face.box)
        return (left + right) / 2, (top + bottom) / 2, right - left
    return None


def _distance(face: FaceRecord, box: Box) -> float | None:
    """The distance of a label's face from the centre of a box, in widths of the box; None if it is
    not inside, or of another size."""
    extent = _extent(face)
    if extent is None:
        return None
    x, y, wide = extent
    left, top, right, bottom = box
    width = right - left
    smallest, largest = _SIZES
    # A width of 0 is not known.
    if wide and not smallest * width <= wide <= largest * width:
        return None
    if not (left <= x <= right and top <= y <= bottom):
        return None
    return math.hypot(x - (left + right) / 2, y - (top + bottom) / 2) / width


def _is_same_place(one: FaceRecord, other: FaceRecord, box: Box, min_confidence: float) -> bool:
    """Whether another label that nobody took is of the same face, and as good."""
    first, second = _extent(one), _extent(other)
    if first is None or second is None or _distance(other, box) is None:
        return False
    if other.confidence < min_confidence:
        return False
    apart = math.hypot(first[0] - second[0], first[1] - second[1])
    return apart < _SAME * (box[2] - box[0]) and not np.array_equal(
        one.aus, other.aus, equal_nan=True
    )
