"""When the pictures of an animation are shown."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

_FINE = Fraction(1, 90_000)


@dataclass(frozen=True)
class Timing:
    """The time of each picture, in seconds from the first, whose time is 0."""

    times: tuple[Fraction, ...]
    """Ascending."""
    end: Fraction
    """When the last picture ends."""

    @classmethod
    def steady(cls, count: int, rate: Fraction) -> "Timing":
        """`count` pictures at `rate` pictures a second."""
        return cls(tuple(index / rate for index in range(count)), count / rate)

    @property
    def seconds(self) -> np.ndarray:
        """The times (n,) as floats."""
        return np.array([float(time) for time in self.times])

    @property
    def rate(self) -> Fraction | None:
        """Pictures a second; None if they are not shown for equal times."""
        step = self.end / len(self.times)
        equal = all(time == index * step for index, time in enumerate(self.times))
        return 1 / step if equal else None

    @property
    def time_base(self) -> Fraction:
        """A unit in which times are whole numbers: one picture, or 1/90,000 s if they vary."""
        return _FINE if self.rate is None else 1 / self.rate

    def held(self, seconds: Fraction) -> "Timing":
        """The last picture shown for at least so many seconds."""
        return Timing(self.times, max(self.end, self.times[-1] + seconds))
