"""The 22 expressions of Du, Tao and Martinez (2014) as AUs, and what a person asks of a face."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from .action_units import COUNT, NUMBERS, Edit, apply_edits
from .errors import WrongUse

EXPRESSIONS: dict[str, dict[int, float]] = {
    "neutral": {},
    "happy": {6: 0.44, 12: 0.75, 25: 0.60},
    "sad": {1: 0.41, 4: 0.51, 6: 0.41, 15: 0.51, 17: 0.51},
    "fearful": {1: 0.49, 2: 0.47, 4: 0.51, 5: 0.50, 20: 0.43, 25: 0.52},
    "angry": {4: 0.64, 7: 0.52, 17: 0.42, 23: 0.49},
    "surprised": {1: 0.56, 2: 0.55, 5: 0.47, 25: 0.59, 26: 0.59},
    "disgusted": {9: 0.65, 10: 0.65, 17: 0.47},
    "happily surprised": {1: 0.53, 2: 0.54, 5: 0.46, 12: 0.62, 25: 0.62, 26: 0.52},
    "happily disgusted": {6: 0.56, 9: 0.57, 10: 0.59, 12: 0.61, 25: 0.58},
    "sadly fearful": {1: 0.48, 4: 0.50, 20: 0.47, 25: 0.59},
    "sadly angry": {4: 0.58, 15: 0.41, 17: 0.48},
    "sadly surprised": {1: 0.46, 4: 0.50, 25: 0.59, 26: 0.54},
    "sadly disgusted": {4: 0.54, 6: 0.50, 10: 0.51, 15: 0.44},
    "fearfully angry": {4: 0.56, 20: 0.47, 25: 0.60},
    "fearfully surprised": {1: 0.56, 2: 0.55, 5: 0.60, 20: 0.50, 25: 0.59},
    "fearfully disgusted": {1: 0.49, 2: 0.49, 4: 0.54, 5: 0.47, 10: 0.55, 20: 0.50, 25: 0.60},
    "angrily surprised": {4: 0.59, 25: 0.61, 26: 0.54},
    "angrily disgusted": {4: 0.60, 7: 0.49, 9: 0.54, 10: 0.59, 17: 0.45},
    "disgustedly surprised": {1: 0.55, 2: 0.56, 5: 0.54, 10: 0.57, 17: 0.47},
    "appalled": {4: 0.57, 9: 0.54, 10: 0.59, 17: 0.44},
    "hatred": {4: 0.57, 7: 0.48, 10: 0.49, 17: 0.41},
    "awed": {1: 0.56, 2: 0.55, 5: 0.50, 20: 0.37, 25: 0.58, 26: 0.44},
}
"""AU numbers to unit values (0-1), by the category of Du, Tao & Martinez, "Compound facial
expressions of emotion", PNAS 111(15), 2014.

The AUs are those that at least half of the people showed (their Table 1). The values are means of
the intensities A to E that FACS coders gave to 2,015 of the photographs, as 1 to 5 of 5. AU24, lip
pressor, stands as AU23; AU11 is not among the 17."""
_NOUNS = {
    "happiness": "happy",
    "sadness": "sad",
    "fear": "fearful",
    "anger": "angry",
    "surprise": "surprised",
    "disgust": "disgusted",
}
MAX_STRENGTH = 2.0
"""The largest factor on the values of an expression."""
_BLINK = NUMBERS.index(45)


@dataclass(frozen=True)
class Request:
    """What a face is asked to show: a whole expression, or its own; then single AUs changed."""

    edits: Sequence[Edit] = ()
    """Applied in this order."""
    expression: np.ndarray | None = None
    """(17,) in 0-1: the AUs of the whole face; NaN keeps the face's own. None keeps all."""

    def target(self, own: np.ndarray) -> np.ndarray:
        """The AUs (17,) float32 in 0-1 that a face with AUs `own` (17,) is asked for."""
        start = np.asarray(own, np.float32)
        if self.expression is not None:
            start = np.where(np.isnan(self.expression), start, self.expression)
        return apply_edits(start, self.edits)

    @property
    def numbers(self) -> list[int]:
        """The AUs that are asked for by value, ascending; those that an expression relaxes to 0
        are left out."""
        asked = {edit.number for edit in self.edits}
        if self.expression is not None:
            values = np.nan_to_num(self.expression)
            asked |= {number for number, value in zip(NUMBERS, values, strict=True) if value}
        return sorted(asked)


def parse_expression(text: str) -> np.ndarray:
    """Parse `happy`, `"happily surprised"`, `happily_surprised`, or `happy=0.5` for half of it.

    Returns (17,) in 0-1: the AUs of the expression, 0 for the others, and NaN for AU45, so that
    eyes stay open or closed. Raises WrongUse for other text.
    """
    name, equals, strength = (part.strip() for part in text.partition("="))
    words = name.lower().replace("_", " ").replace("-", " ")
    words = _NOUNS.get(words, words)
    if words not in EXPRESSIONS:
        near = get_close_matches(words, EXPRESSIONS, n=1)
        meant = f"did you mean {near[0]!r}? They" if near else "they"
        raise WrongUse(f"There is no expression {name!r}: {meant} are {', '.join(EXPRESSIONS)}.")
    return expression_aus(words, _strength(strength, text) if equals else 1.0)


def _strength(text: str, whole: str) -> float:
    try:
        strength = float(text)
    except ValueError:
        strength = -1.0
    if not 0 <= strength <= MAX_STRENGTH:
        raise WrongUse(
            f"{whole!r}: {text!r} is not a strength from 0 to {MAX_STRENGTH:g}, as in happy=0.5."
        )
    return strength


def expression_aus(name: str, strength: float = 1.0) -> np.ndarray:
    """The AUs (17,) float32 of a name in EXPRESSIONS, as `parse_expression` returns them."""
    aus = np.zeros(COUNT, np.float32)
    for number, value in EXPRESSIONS[name].items():
        aus[NUMBERS.index(number)] = min(1.0, value * strength)
    aus[_BLINK] = np.nan
    return aus
