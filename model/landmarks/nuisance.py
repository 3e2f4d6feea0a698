"""How photographs of one person differ beside their action units: head pose, gaze and light.

A generator that learns from pairs of photographs is told these differences; else it averages over
them. In use they are zero.
"""

import torch
from torch import Tensor

from .points import IRISES, MESH_POINTS, POINTS

MIRRORED_SIGN = (-1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0)
"""Factors of the twelve numbers if both photographs are mirrored."""
_SCALE = 5.0
"""All numbers are multiplied by this, which brings their spread near that of AUs in 0-1."""
# Corners of the eye on the left of the picture, of the other eye, and the nose tip.
_POSE_POINTS = {POINTS: ((36, 39), (42, 45), 30), MESH_POINTS: ((33, 133), (362, 263), 1)}
_SIDES = {POINTS: (0, 16), MESH_POINTS: (234, 454)}
"""Beside the ears: the end of the jaw on the left of the picture, and on the right."""
_EYES = ((33, 133), (362, 263))
"""In the mesh: the corners of the eyes in which IRISES lie."""
# Left, top, right and bottom in -1..1 across the frame.
_SKIN = (-0.125, -0.3125, 0.125, 0.0625)
_LEFT_CHEEK = (-0.677, -0.417, -0.208, 0.521)
_RIGHT_CHEEK = (0.208, -0.417, 0.677, 0.521)


def nuisance(faces: Tensor, landmarks: Tensor) -> Tensor:
    """Measure what differs between photographs beside AUs.

    Pose is where the nose tip and the sides of the head lie from the middle between the eyes, along
    and across the line of the eyes, over their distance: where the tip lies, and of the two sides
    the mean and half of the difference. Gaze is where the irises lie from the middle of their eyes,
    in the frame, over the width of the eye. The colour is that of the bridge of the nose. The light
    from the right is the mean grey of the right cheek less that of the left.

    Args:
        faces: (n, 3, h, w) in -1..1, upright in the frame that `placing.place_frame` gives.
        landmarks: (n, points, 2) in the same frame, 68 or 478 points; NaN where unknown. Numbers
            are comparable only if their landmarks are of one scheme.

    Returns (n, 12): nose tip right and down, gaze right and down, mean red, green and blue, light
    from the right; sides of the head right and down, their distance, and how much lower the right
    one is. What the landmarks do not tell is NaN; `difference` takes it as equal.
    """
    eye, other_eye, tip = _POSE_POINTS[landmarks.shape[1]]
    first, second = (landmarks[:, list(corners)].mean(1) for corners in (eye, other_eye))
    across = second - first
    distance = across.norm(dim=1, keepdim=True)
    right = across / distance
    down = torch.stack([-right[:, 1], right[:, 0]], 1)
    points = landmarks[:, [tip, *_SIDES[landmarks.shape[1]]]] - (first + second)[:, None] / 2
    axes = torch.stack([right, down], 2) / distance[:, :, None]
    pose, left_side, right_side = (points @ axes).unbind(1)
    middle, half = (left_side + right_side) / 2, (right_side - left_side) / 2
    light = _mean(faces, _RIGHT_CHEEK).mean(1) - _mean(faces, _LEFT_CHEEK).mean(1)
    parts = [pose, _gaze(landmarks), _mean(faces, _SKIN), light[:, None], middle, half]
    return _SCALE * torch.cat(parts, 1)


def difference(source: Tensor, target: Tensor) -> Tensor:
    """What a generator is told: nuisance of targets (n, 12) less that of sources; 0 where either is
    unknown."""
    return torch.nan_to_num(target - source, nan=0.0)


def _gaze(landmarks: Tensor) -> Tensor:
    """(n, 2): the mean of both eyes; NaN if the scheme has no irises."""
    if landmarks.shape[1] != MESH_POINTS:
        return landmarks.new_full((len(landmarks), 2), float("nan"))
    gazes = []
    for iris, (corner, other) in zip(IRISES, _EYES, strict=True):
        centre = (landmarks[:, corner] + landmarks[:, other]) / 2
        width = (landmarks[:, other] - landmarks[:, corner]).norm(dim=1, keepdim=True)
        gazes.append((landmarks[:, iris] - centre) / width)
    return torch.stack(gazes).mean(0)


def _mean(faces: Tensor, box: tuple[float, float, float, float]) -> Tensor:
    """(n, 3): the mean colour in 0-1 of a part of the frame."""
    height, width = faces.shape[2:]
    left, right = (round((x + 1) / 2 * width) for x in (box[0], box[2]))
    top, bottom = (round((y + 1) / 2 * height) for y in (box[1], box[3]))
    return (faces[:, :, top:bottom, left:right].float().mean((2, 3)) + 1) / 2
