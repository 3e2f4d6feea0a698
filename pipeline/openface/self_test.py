"""The self-test of an OpenFace installation: it must read a smile on a known picture."""

import threading
from pathlib import Path

from ..action_units import NUMBERS
from ..annotator import Crop
from .batch import run_batch
from .process import Program

# A crop with a broad smile, whose AU12 is far above the limit.
_CROP = Path(__file__).with_name("self_test.jpg")
_MIN_AU12 = 0.5
_MIN_CONFIDENCE = 0.5


def run_self_test(program: Program, idle_timeout: float, stop: threading.Event) -> None:
    """Raise WrongUse unless OpenFace reads the smile.

    The process is not counted against the limit of processes, as it reads only one picture.
    """
    crop = Crop("self-test", _CROP.name, _CROP.read_bytes(), (0, 0, 98, 98))
    unlimited = threading.Semaphore()
    result = run_batch(program, {0: crop}, _MIN_CONFIDENCE, idle_timeout, stop, unlimited)
    if result.failure is not None:
        raise program.error("on the self-test picture", result.failure.reason)
    reading = result.readings[0]
    if reading.aus is None:
        raise program.error("on the self-test picture", f"{reading.error}.")
    au12 = reading.aus[NUMBERS.index(12)]
    if au12 < _MIN_AU12:
        reason = f"it reads the AU12 of a smile as {au12:.2f}, less than {_MIN_AU12:g}."
        raise program.error("on the self-test picture", reason)
