"""Retries of failed batches: divide them until the crop that OpenFace fails on is isolated.

One picture can crash or hang OpenFace, and then the rest of its batch is not read.
"""

from collections.abc import Callable, Sequence

from ..annotator import Crop, Reading
from .batch import BatchResult
from .crops import split_by_size
from .process import Program

# If this many crops fail when read alone, and none has been read, OpenFace itself is at fault.
_MAX_SINGLE_FAILURES = 3


def read_with_retries(
    program: Program,
    crops: Sequence[Crop],
    run_batch: Callable[[dict[int, Crop]], BatchResult],
) -> list[Reading]:
    """Read crops in as few batches as possible, and those of a failed batch in smaller ones.

    A batch that failed by a timeout or a kill is run once more with the crops that are left. Any
    other failed batch is divided. A crop that fails alone gets a reading with an error. Returns one
    reading per crop, in order. Raises WrongUse if OpenFace fails on every crop.
    """
    read: dict[int, Reading] = {}
    failed: dict[int, Reading] = {}
    queue = [(batch, True) for batch in split_by_size(crops)]
    while queue:
        batch, may_repeat = queue.pop()
        result = run_batch({index: crops[index] for index in batch})
        read |= result.readings
        left = [index for index in batch if index not in result.readings]
        if result.failure is None or not left:
            continue
        if result.failure.transient and may_repeat:
            queue.append((left, False))
        elif len(batch) > 1:
            queue += [(part, False) for part in _divide(left, result.started)]
        else:
            reason = result.failure.reason
            failed[left[0]] = Reading(None, error=f"OpenFace fails on this crop: {reason}")
            if len(failed) == _MAX_SINGLE_FAILURES and not read:
                raise program.error("on every crop", reason)
    return [(read | failed)[index] for index in range(len(crops))]


def _divide(batch: list[int], started: set[int]) -> list[list[int]]:
    """Divide a failed batch into the crops that were not started and those that were, or into
    halves if all or none were.

    The crop that crashed or hung OpenFace is usually a started one, so few divisions isolate it.
    """
    first = [index for index in batch if index in started]
    second = [index for index in batch if index not in started]
    if not first or not second:
        middle = len(batch) // 2
        first, second = batch[:middle], batch[middle:]
    return [part for part in (second, first) if part]
