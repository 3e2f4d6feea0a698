"""The 17 action units (AUs) whose intensity OpenFace estimates: numbers, names, order and range.

On disk an AU is an intensity from 0 to 5, as OpenFace writes it. In the model and on the command
line it is a unit value from 0 to 1. `to_unit` and `to_intensity` are the only conversions. An
array of AUs has the 17 of `NUMBERS`, in that order, in its last axis.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import WrongUse

NAMES: dict[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    25: "lips part",
    26: "jaw drop",
    45: "blink",
}
NUMBERS: tuple[int, ...] = tuple(NAMES)
COUNT = len(NUMBERS)
COLUMNS: tuple[str, ...] = tuple(f"AU{number:02d}_r" for number in NUMBERS)
"""The columns of a shard, named as in OpenFace's CSV files."""
MAX_INTENSITY = 5.0

EXPRESSIONS: dict[str, dict[int, float]] = {
    "happiness": {6: 0.6, 12: 0.8, 25: 0.4},
    "sadness": {1: 0.6, 4: 0.5, 15: 0.6, 17: 0.4},
    "surprise": {1: 0.7, 2: 0.6, 5: 0.6, 25: 0.6, 26: 0.6},
    "fear": {1: 0.6, 2: 0.4, 4: 0.5, 5: 0.6, 20: 0.5, 25: 0.5},
    "anger": {4: 0.8, 5: 0.4, 7: 0.6, 23: 0.5},
    "disgust": {4: 0.4, 9: 0.7, 10: 0.6, 17: 0.4},
}
"""Prototypes after EMFACS (Friesen & Ekman 1983), as AU number to unit value (0-1)."""


def to_unit(intensity: np.ndarray) -> np.ndarray:
    """Convert intensities (0-5) to unit values (0-1), float32. Values outside are clamped."""
    return np.clip(np.asarray(intensity, np.float32) / MAX_INTENSITY, 0.0, 1.0)


def to_intensity(unit: np.ndarray) -> np.ndarray:
    """Convert unit values (0-1) to intensities (0-5), float32. Values outside are clamped."""
    return np.clip(np.asarray(unit, np.float32), 0.0, 1.0) * MAX_INTENSITY


@dataclass(frozen=True)
class Edit:
    """A requested change: set AU `number` to `value` (0-1), or add it (-1 to 1) if `relative`."""

    number: int
    value: float
    relative: bool = False


def positions(numbers: Iterable[int]) -> list[int]:
    """Return the indices of these AUs in an array of all 17."""
    return [NUMBERS.index(number) for number in numbers]


def in_words(numbers: Sequence[int]) -> str:
    """Format AU numbers as `AU1, AU4 and AU12`."""
    names = [f"AU{number}" for number in numbers]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def parse_numbers(text: str) -> tuple[int, ...]:
    """Parse AU numbers such as `1,4,12`; return them ascending. Raises WrongUse for other text."""
    words = {word.strip() for word in text.split(",")}
    if not words <= {str(number) for number in NUMBERS}:
        raise WrongUse(
            f"{text!r} is not a list of AUs. Write their numbers, as in 1,4,12. The 17 AUs are "
            f"{', '.join(map(str, NUMBERS))}."
        )
    return tuple(number for number in NUMBERS if str(number) in words)


_EDIT = re.compile(r"(?:AU)?0*(\d{1,9})=([+-]?)(\d+(?:\.\d*)?|\.\d+)", re.IGNORECASE)


def parse_edit(text: str) -> Edit:
    """Parse `12=1.0` (set the AU) or `12=+0.3`, `12=-0.3` (add to the face's own value).

    Raises WrongUse for other text, for other AUs, and for values above 1.
    """
    match = _EDIT.fullmatch(text.strip())
    if match is None:
        raise WrongUse(f"{text!r} is not an AU setting. {usage()}")
    number, sign, value = int(match[1]), match[2], float(match[3])
    if number not in NAMES:
        raise WrongUse(f"{text!r}: there is no AU{number:02d} among the intensities. {usage()}")
    if value > 1.0:
        raise WrongUse(f"{text!r}: {value:g} is above 1. {usage()}")
    return Edit(number, -value if sign == "-" else value, relative=bool(sign))


def usage() -> str:
    """Explain how to write an AU setting, with the 17 AUs and the range."""
    numbers = ", ".join(str(number) for number in NUMBERS)
    return (
        "Write NUMBER=VALUE with a value from 0 to 1, as in 12=1.0, or NUMBER=+VALUE to add to "
        f"the face's own, as in 12=+0.3. The 17 AUs are {numbers}."
    )


def expression_edits(name: str, strength: float = 1.0) -> list[Edit]:
    """Return the edits that set the AUs of an expression, scaled by `strength` (0-1)."""
    return [Edit(number, value * strength) for number, value in EXPRESSIONS[name].items()]


def apply_edits(own: Sequence[float] | np.ndarray, edits: Iterable[Edit]) -> np.ndarray:
    """Apply edits to a face's own AUs, (17,) in 0-1. Returns (17,) float32, clamped to 0-1."""
    target = np.array(own, np.float32)
    for edit in edits:
        index = NUMBERS.index(edit.number)
        target[index] = target[index] + edit.value if edit.relative else edit.value
    return np.clip(target, 0.0, 1.0)
