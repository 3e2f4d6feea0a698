"""AUs over time: between two expressions, and between keyframes."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ...pipeline.action_units import NUMBERS, Edit, parse_edits
from ...pipeline.errors import WrongUse
from ...pipeline.expressions import Request
from .timing import Timing

Ease = Callable[[np.ndarray], np.ndarray]
EASES: dict[str, Ease] = {
    "linear": lambda x: x,
    "in": lambda x: 1 - np.cos(x * (math.pi / 2)),
    "out": lambda x: np.sin(x * (math.pi / 2)),
    "in-out": lambda x: (1 - np.cos(x * math.pi)) / 2,
}
"""How a change proceeds: from its share of time, 0 to 1, to its share of the way, 0 to 1."""
MAX_SECONDS = 3600.0
"""The latest keyframe."""


@dataclass(frozen=True)
class Key:
    """What single AUs are at a time."""

    seconds: Fraction
    edits: Sequence[Edit]


def parse_keys(texts: Iterable[str]) -> list[Key]:
    """Parse keyframes such as `0.5:12=1,6=+0.5`: a time in seconds, and settings of AUs.

    Returns them by time. Raises WrongUse, with a sentence that names the mistake.
    """
    keys: dict[Fraction, Key] = {}
    for text in texts:
        time, colon, settings = text.partition(":")
        if not colon:
            raise WrongUse(
                f"--key {text!r} has no colon: write TIME:SETTINGS, as in 0.5:12=1,6=0.5, with "
                "the time in seconds."
            )
        key = Key(_seconds(time.strip(), text), parse_edits([settings]))
        if key.seconds in keys:
            raise WrongUse(
                f"--key is given twice for {float(key.seconds):g} s: put the settings in one."
            )
        keys[key.seconds] = key
    if not any(keys):
        raise WrongUse("--key needs a time after 0, as in --key 0:12=0 --key 1:12=1.")
    return [keys[seconds] for seconds in sorted(keys)]


def _seconds(time: str, text: str) -> Fraction:
    try:
        seconds = Fraction(time) if "/" not in time else None
    except ValueError:
        seconds = None
    if seconds is None:
        raise WrongUse(f"--key {text!r}: {time!r} is not a time in seconds, as in 0.5:12=1.")
    if not 0 <= seconds <= MAX_SECONDS:
        raise WrongUse(f"--key {text!r}: the time is from 0 to {MAX_SECONDS:g} seconds.")
    return seconds


def between(
    own: np.ndarray, request: Request, count: int, ease: Ease, ping_pong: bool
) -> np.ndarray:
    """AUs from those of a face to those requested, and with `ping_pong` back again.

    Alpha rises from 0 to 1 in `alpha * target + (1 - alpha) * own` (Pumarola et al. 2018, section
    6.3), so that the first is the face as it is.

    Args:
        own: (17,) in 0-1.
        count: the number of AUs from the first to those requested, at least 2.

    Returns (count, 17) float32 in 0-1, or (2 * count - 1, 17).
    """
    alphas = ease(np.linspace(0.0, 1.0, count, dtype=np.float32))[:, None]
    alphas[0], alphas[-1] = 0, 1
    if ping_pong:
        alphas = np.concatenate([alphas, alphas[-2::-1]])
    own = np.asarray(own, np.float32)
    return (alphas * request.target(own) + (1 - alphas) * own).astype(np.float32)


def keyed(own: np.ndarray, times: np.ndarray, keys: Sequence[Key], ease: Ease) -> np.ndarray:
    """AUs at some times between keyframes. Each AU moves between the keyframes that name it.

    From 0 s to its first keyframe it moves from the face's own value; after its last it stays. AUs
    that no keyframe names keep the face's own values.

    Args:
        own: (n, 17) in 0-1, the AUs of the face at each time.
        times: (n,) in seconds.

    Returns (n, 17) float32 in 0-1.
    """
    result = np.array(own, np.float32)
    for number in {edit.number for key in keys for edit in key.edits}:
        index = NUMBERS.index(number)
        mine = result[:, index].copy()
        named = [(key, edit) for key in keys for edit in key.edits if edit.number == number]
        at = [float(key.seconds) for key, _ in named]
        values = [mine * edit.relative + edit.value for _, edit in named]
        if at[0] > 0:
            at, values = [0.0, *at], [mine, *values]
        if len(at) == 1:
            result[:, index] = values[0]
            continue
        later = np.clip(np.searchsorted(at, times, side="right"), 1, len(at) - 1)
        starts, ends = np.array(at)[later - 1], np.array(at)[later]
        share = ease(np.clip((times - starts) / (ends - starts), 0.0, 1.0)).astype(np.float32)
        stacked, rows = np.clip(np.stack(values, 1), 0, 1), np.arange(len(result))
        result[:, index] = share * stacked[rows, later] + (1 - share) * stacked[rows, later - 1]
    return np.clip(result, 0.0, 1.0)


def key_timing(keys: Sequence[Key], rate: Fraction) -> Timing:
    """The pictures from 0 s to the last keyframe, at `rate` a second."""
    return Timing.steady(math.ceil(keys[-1].seconds * rate) + 1, rate)
