"""The 17 action units (AUs) whose intensity OpenFace estimates: numbers, names, order and range.

On disk an AU is an intensity from 0 to 5, as OpenFace writes it. In the model and on the command
line it is a unit value from 0 to 1. `to_unit` and `to_intensity` are the only conversions. An
array of AUs has the 17 of `NUMBERS`, in that order, in its last axis.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise

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
REGIONS: dict[str, tuple[int, ...]] = {
    "brows": (1, 2, 4),
    "eyes": (5, 6, 7, 45),
    "nose": (9,),
    "mouth": (10, 12, 14, 15, 17, 20, 23, 25, 26),
}
"""The AUs of each region of the face."""
COLUMNS: tuple[str, ...] = tuple(f"AU{number:02d}_r" for number in NUMBERS)
"""The columns of a shard, named as in OpenFace's CSV files."""
MAX_INTENSITY = 5.0


def region_masks() -> np.ndarray:
    """(regions, 17) float32: for each of REGIONS 1 at its AUs, 0 at the others."""
    return np.array([[n in region for n in NUMBERS] for region in REGIONS.values()], np.float32)


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


_NUMBER = re.compile(r"(?:AU)?0*(\d{1,9})", re.IGNORECASE)
_VALUE = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)")
_DECIMAL_COMMA = re.compile(r".*=\s*[+-]?\d+,\d+")


def parse_edits(texts: Iterable[str]) -> list[Edit]:
    """Parse settings of AUs: `12=1.0` sets, `12=+0.3` and `12=-0.3` add to the face's own value.

    A text holds one setting or several, with commas between. An AU is written as its number
    (`12`, `AU12`) or its name (`lip_corner_puller`, `lip corner puller`). Raises WrongUse, with a
    sentence that names the mistake.
    """
    edits: list[Edit] = []
    said: dict[int, str] = {}
    for text in texts:
        for item in _items(text):
            edit = _parse_item(item)
            if edit.number in said:
                raise WrongUse(
                    f"AU{edit.number} is given twice, as {said[edit.number]!r} and {item!r}: "
                    "give it once."
                )
            said[edit.number] = item
            edits.append(edit)
    return edits


def _items(text: str) -> list[str]:
    """The settings of one text, at its commas."""
    items = [item.strip() for item in text.split(",")]
    for before, item in pairwise(items):
        if _DECIMAL_COMMA.fullmatch(f"{before},{item}"):
            raise WrongUse(
                f"'{before},{item}' has a decimal comma: write {before}.{item}, with a point. "
                "Commas stand between settings, as in 12=1.0,6=0.7."
            )
    if items == [""]:
        raise WrongUse(f"An empty AU setting was given. {usage()}")
    if "" in items:
        raise WrongUse(f"{text!r} has a comma with nothing before or after it: remove it.")
    return items


def _parse_item(item: str) -> Edit:
    name, equals, value = (part.strip() for part in item.partition("="))
    if not equals:
        if ":" in item:
            raise WrongUse(f"{item!r} has a colon: write an equals sign, as in 12=1.0.")
        number = au_number(item)
        raise WrongUse(f"{item!r} says no value for AU{number}: write {item}=1.0, for example.")
    if not name:
        raise WrongUse(f"{item!r} names no AU before the equals sign. {usage()}")
    number = au_number(name)
    if not value:
        raise WrongUse(f"{item!r} has no value after the equals sign: write {name}=1.0.")
    if "=" in value:
        raise WrongUse(
            f"{item!r} has two equals signs. Put a comma between settings: 12=1.0,6=0.7."
        )
    return Edit(number, *_parse_value(value.replace("\N{MINUS SIGN}", "-"), item))


def au_number(name: str) -> int:
    """The number of an AU by its number or name, as in `12`, `AU12`, `lip_corner_puller`.

    Raises WrongUse for any other name.
    """
    match = _NUMBER.fullmatch(name)
    if match is not None:
        number = int(match[1])
        if number in NAMES:
            return number
        numbers = ", ".join(map(str, NUMBERS))
        raise WrongUse(f"AU{number} is not one of the 17 whose intensity is known: {numbers}.")
    words = " ".join(re.split(r"[\s_-]+", name.lower()))
    numbers_by_name = {name: number for number, name in NAMES.items()}
    if words in numbers_by_name:
        return numbers_by_name[words]
    near = get_close_matches(words, numbers_by_name, n=1)
    if near:
        raise WrongUse(
            f"There is no AU {name!r}: did you mean {near[0]!r} (AU{numbers_by_name[near[0]]})?"
        )
    known = ", ".join(f"{number} {name}" for number, name in NAMES.items())
    raise WrongUse(f"There is no AU {name!r}. The 17 are {known}.")


def _parse_value(text: str, item: str) -> tuple[float, bool]:
    """The value of a setting, and whether it is added."""
    match = _VALUE.fullmatch(text)
    if match is None:
        if text.endswith("%") and _VALUE.fullmatch(text[:-1].strip()):
            raise WrongUse(f"{item!r} has a percentage: write a value from 0 to 1, as in 12=0.5.")
        if _VALUE.match(text) and re.search(r"\s\S*$", text):
            raise WrongUse(f"{item!r}: put a comma between settings, as in 12=1.0,6=0.7.")
        raise WrongUse(f"{item!r}: {text!r} is not a number such as 0.5, +0.3 or -0.2.")
    sign, value = match[1], float(match[2])
    if value > 1.0:
        range_ = "from -1 to +1" if sign else "from 0 to 1"
        side = "below -1" if sign == "-" else "above 1"
        hint = "; OpenFace's 0 to 5 is divided by 5" if value <= MAX_INTENSITY else ""
        raise WrongUse(f"{item!r}: {text} is {side}. The value runs {range_}{hint}.")
    return -value if sign == "-" else value, bool(sign)


def usage() -> str:
    """Explain how to write an AU setting, with the 17 AUs and the range."""
    numbers = ", ".join(str(number) for number in NUMBERS)
    return (
        "Write NUMBER=VALUE with a value from 0 to 1, as in 12=1.0, or NUMBER=+VALUE to add to "
        f"the face's own, as in 12=+0.3. The 17 AUs are {numbers}."
    )


def apply_edits(own: Sequence[float] | np.ndarray, edits: Iterable[Edit]) -> np.ndarray:
    """Apply edits to a face's own AUs, (17,) in 0-1. Returns (17,) float32, clamped to 0-1."""
    target = np.array(own, np.float32)
    for edit in edits:
        index = NUMBERS.index(edit.number)
        target[index] = target[index] + edit.value if edit.relative else edit.value
    return np.clip(target, 0.0, 1.0)
