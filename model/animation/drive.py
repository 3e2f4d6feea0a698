"""Carry the expressions of a driver, a person in a clip, over to another face."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ...pipeline.action_units import COUNT, positions, to_unit
from ...pipeline.errors import NothingUsable, WrongUse
from ...pipeline.openface.output import BadCsv, FaceRecord, read_csv
from ..estimator.reader import Reader
from .follow import Followed, follow
from .smoothing import smoothed
from .timing import Timing

_DEVIATION, _BLINK_DEVIATION = 0.065, 0.035
"""Standard deviations in seconds of the Gaussians that smooth the driver's AUs, and AU45. The first
removes the noise of readings, and keeps 90% or more of the variation of each AU
(docs/animation.md); a blink is over so soon that it would take a third of it."""
_HOLD, _FADE, _RETURN = 0.5, 0.5, 0.3
"""When the driver's face is lost, its expression is held, then fades to neutral; before the face
is back, it returns. In seconds."""
_RATES = (
    *(Fraction(rate) for rate in (25, 15, 24, 30, 48, 50, 60)),
    *(Fraction(rate * 1000, 1001) for rate in (24, 30, 60)),
)
"""Usual frames a second. The first is assumed where nothing is known."""
_ROUNDING = 0.0015
"""Timestamps with three decimals may be wrong by so many seconds from the first."""
_UNSEEN = np.full(COUNT, np.nan, np.float32)


@dataclass(frozen=True)
class Driver:
    """The AUs of a person in n frames."""

    timing: Timing
    aus: np.ndarray
    """(n, 17) in 0-1, as they were read; NaN where the face was not seen."""
    problem: str | None = None
    """Why a clip was not read to its end; None if it was."""
    sound: Path | None = None
    """The clip, whose sound goes with the result; None if the AUs are from a CSV."""

    @property
    def unseen(self) -> int:
        """The number of frames in which the face was not seen."""
        return int(np.isnan(self.aus[:, 0]).sum())

    def neutral(self, seconds: float | None = None) -> np.ndarray:
        """The AUs (17,) of the driver without expression: the median of all frames, or what is
        shown about a time. Raises WrongUse if no face is seen then."""
        if seconds is None:
            return np.nanmedian(self.aus, 0)
        times = self.timing.seconds
        near = (np.abs(times - seconds) <= 2 * _DEVIATION) & ~np.isnan(self.aus[:, 0])
        if not near.any():
            raise WrongUse(
                f"The driver's face is not seen at {seconds:g} s: name a time at which it is."
            )
        return np.median(self.aus[near], 0)

    def differences(self, neutral: np.ndarray) -> np.ndarray:
        """(n, 17): how the AUs differ from those of `neutral` (17,), smoothed, and without gaps."""
        times = self.timing.seconds
        seen = ~np.isnan(self.aus[:, 0])
        runs = np.concatenate([[0], np.cumsum(seen[1:] != seen[:-1])])
        smooth = smoothed(self.aus, times, runs, _DEVIATION)
        blinks = positions([45])
        smooth[:, blinks] = smoothed(self.aus[:, blinks], times, runs, _BLINK_DEVIATION)
        smooth = smooth[seen] - neutral
        at, known = _bridged(times[seen], smooth)
        return np.stack([np.interp(times, at, column) for column in known.T], 1)

    def targets(self, own: np.ndarray, neutral: np.ndarray) -> np.ndarray:
        """The AUs (n, 17) float32 in 0-1 that a face with AUs `own` (17,) shows frame by frame."""
        return np.clip(own + self.differences(neutral), 0, 1).astype(np.float32)


def _bridged(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and values to interpolate between: those given, and in longer gaps those of holding,
    fading to 0 and returning. Before the first and after the last time, too."""
    at, known, zero = [times[0] - _RETURN], [values[0] * 0], values[0] * 0
    for index, (time, value) in enumerate(zip(times, values, strict=True)):
        at.append(time)
        known.append(value)
        after = times[index + 1] if index + 1 < len(times) else np.inf
        if after - time > _HOLD + _FADE + _RETURN:
            at += [time + _HOLD, time + _HOLD + _FADE]
            known += [value, zero]
            if np.isfinite(after):
                at.append(after - _RETURN)
                known.append(zero)
    return np.array(at), np.stack(known)


def read_driver(reader: Reader, path: Path, on_frame: Callable[[], None] = lambda: None) -> Driver:
    """Read the AUs of the person in a clip, or those in an OpenFace CSV of a clip: of several
    persons, those of the lowest `face_id`.

    Raises NothingUsable if the file cannot be used, or shows no face.
    """
    if path.suffix.lower() == ".csv":
        return _from_csv(path)
    followed: Followed = follow(reader, path, on_frame=on_frame)
    return Driver(followed.timing, followed.tracks[0].aus, followed.problem, path)


def _from_csv(path: Path) -> Driver:
    try:
        rows = read_csv(path)
    except BadCsv as reason:
        raise NothingUsable(f"{path} cannot be used: {reason}.") from reason
    if not rows:
        raise NothingUsable(f"{path} cannot be used: it has no rows.")
    if any(row.seconds is None or row.frame is None for row in rows):
        raise NothingUsable(
            f"{path} cannot be used: it has no columns frame and timestamp, so it is not of a "
            "clip; write one with ganim annotate CLIP, or with OpenFace's FeatureExtraction."
        )
    person = min((row.face_id or 0 for row in rows if row.success), default=0)

    def shows_person(row: FaceRecord) -> bool:
        return row.success and (row.face_id or 0) == person

    rows.sort(key=lambda row: (shows_person(row), row.confidence))
    best = {row.frame or 0: row for row in rows}
    rows = [best[frame] for frame in sorted(best)]
    aus = np.stack([to_unit(row.aus) if shows_person(row) else _UNSEEN for row in rows])
    aus[np.isnan(aus).any(1)] = np.nan
    if np.isnan(aus).all():
        raise NothingUsable(f"{path} cannot be used: no face was seen in any of its frames.")
    return Driver(_timing(rows), aus)


def _timing(rows: Sequence[FaceRecord]) -> Timing:
    """When the frames of a CSV are shown, whose timestamps are rounded to 1 ms."""
    seconds = [round((row.seconds or 0) - (rows[0].seconds or 0), 3) for row in rows]
    numbers = [(row.frame or 0) - (rows[0].frame or 0) for row in rows]
    if len(rows) < 2 or seconds[-1] <= 0:
        return Timing.steady(len(rows), _RATES[0])
    about = numbers[-1] / seconds[-1]
    rate = min(_RATES, key=lambda rate: abs(rate - about))
    if abs(numbers[-1] / rate - seconds[-1]) > _ROUNDING:
        rate = Fraction(about).limit_denominator(1001)
    times = [number / rate for number in numbers]
    if any(abs(time - said) > _ROUNDING for time, said in zip(times, seconds, strict=True)):
        times = [Fraction(said).limit_denominator(1000) for said in seconds]
    return Timing(tuple(times), times[-1] + 1 / rate)
