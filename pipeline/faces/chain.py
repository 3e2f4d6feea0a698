"""Two changes of one crop, of which the second was made of what the first gave."""

import cv2
import numpy as np

from .paste import Change, added, blurred, warped


def applied(crop: np.ndarray, change: Change) -> np.ndarray:
    """A crop (size, size, 3) uint8 with a change of its own resolution, which does not fade out at
    its edge."""
    return added(_moved(crop, change.flow, change.blur), change.difference)


def chained(crop: np.ndarray, first: Change, second: Change) -> Change:
    """One change that makes of a crop (size, size, 3) uint8 what two make of it in turn.

    second: a change of `applied(crop, first)`, which has a flow if `first` has one.

    The crop is moved by the two flows at once, so that detail of a larger picture is moved once.
    """
    flow, blur = second.flow, second.blur
    if first.flow is not None and flow is not None:
        if first.blur is not None:
            before = _sampled(first.blur, flow)
            blur = before if blur is None else np.maximum(before, blur)
        flow = flow + _sampled(first.flow, flow)
    result = applied(applied(crop, first), second)
    return Change(result.astype(np.float32) - _moved(crop, flow, blur), flow, blur)


def _moved(crop: np.ndarray, flow: np.ndarray | None, blur: np.ndarray | None) -> np.ndarray:
    if flow is not None:
        crop = warped(crop, flow * (crop.shape[1] / 2))
    return crop if blur is None else blurred(crop, blur, 1.0)


def _sampled(values: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Values (size, size, ...) float where a flow (size, size, 2), in half sides, points to."""
    pixels = flow.astype(np.float32) * (flow.shape[1] / 2)
    return warped(values.astype(np.float32), pixels, cv2.INTER_LINEAR)
