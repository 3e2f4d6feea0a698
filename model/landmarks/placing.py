"""Where the frame of a face lies by its landmarks. Nothing here imports torch."""

from collections.abc import Sequence

import numpy as np

from ...pipeline.faces.frame import Frame
from .points import MESH_POINTS, POINTS

FIXED = (0, 16, 27, 28, 29, 30, 33, 36, 39, 42, 45)
"""Landmarks of 68 that place the frame, as expressions hardly move them: the ends of the jaw, the
nose, and the corners of the eyes."""
FIXED_BY_SCHEME = {
    POINTS: FIXED,
    MESH_POINTS: (33, 133, 362, 263, 6, 168, 197, 195, 5, 4, 1, 127, 356, 234, 454),
}
"""The same by the number of points of a scheme: corners of the eyes, nose and sides of the head."""


def place_frame(
    landmarks: np.ndarray, reference: np.ndarray, fixed: Sequence[int] = FIXED
) -> Frame:
    """The frame in which landmarks (points, 2) in pixels lie nearest to a reference in -1..1.

    By least squares over the landmarks that expressions hardly move (Umeyama 1991).

    reference: (points, 2). fixed: the indices of these landmarks; by default of 68.
    """
    found, target = (points[list(fixed)].astype(np.float64) for points in (landmarks, reference))
    to_centre, from_centre = found.mean(0), target.mean(0)
    found, target = found - to_centre, target - from_centre
    cosine = (target * found).sum()
    sine = (target[:, 0] * found[:, 1] - target[:, 1] * found[:, 0]).sum()
    a, b = np.array([cosine, sine]) / np.square(target).sum()
    matrix = np.array([[a, -b], [b, a]])
    return Frame(matrix, to_centre - matrix @ from_centre)
