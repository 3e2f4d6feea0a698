"""The AUs of the faces of one photograph, as a table to print and as a CSV."""

from collections.abc import Sequence

from ..action_units import COLUMNS, NAMES
from ..annotator import Crop, Reading

_HEADER = ["face", "confidence", *COLUMNS, "left", "top", "right", "bottom"]


def to_csv(crops: Sequence[Crop], readings: Sequence[Reading]) -> str:
    """A CSV with a row for each face: OpenFace's columns, AUs in 0-5, and the crop's
    box in pixels. Faces are counted from 0, as OpenFace does; AUs that were not read are empty."""
    lines = [", ".join(_HEADER)]
    for number, (crop, reading) in enumerate(zip(crops, readings, strict=True)):
        confidence = "" if reading.confidence is None else f"{reading.confidence:.2f}"
        aus = [""] * len(COLUMNS) if reading.aus is None else [f"{au:.2f}" for au in reading.aus]
        lines.append(", ".join([str(number), confidence, *aus, *map(str, crop.box)]))
    return "\n".join(lines) + "\n"


def to_text(readings: Sequence[Reading]) -> str:
    """A table with a line for each AU and a column for each face, AUs in 0-5."""
    heading = "".join(f"{f'face {number}':>9}" for number in range(1, len(readings) + 1))
    lines = [f"{'AU (0 to 5)':26}{heading}"]
    for index, (number, name) in enumerate(NAMES.items()):
        values = [
            f"{'-':>9}" if reading.aus is None else f"{reading.aus[index]:9.2f}"
            for reading in readings
        ]
        lines.append(f"{number:4d} {name:21}{''.join(values)}")
    confidences = [
        f"{'-':>9}" if reading.confidence is None else f"{reading.confidence:9.2f}"
        for reading in readings
    ]
    lines.append(f"{'confidence':26}{''.join(confidences)}")
    return "\n".join(lines)
