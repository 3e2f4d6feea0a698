"""The frames of many faces in torch: upright and of one size, by their landmarks."""

import torch
from torch import Tensor

from ..pixels import to_model
from .alignment import Aligner, fitted
from .placing import FIXED, FIXED_BY_SCHEME
from .points import MIRRORED

_EYES = (range(36, 42), range(42, 48))
_EYE_X, _EYE_Y = 0.4063, -0.241
"""Where the centres of the eyes lie in the frame, at plus and minus _EYE_X; the chin is then near
the lower edge and the brows are well inside."""
_ROUNDS = 4
_BATCH = 256


@torch.no_grad()
def landmarks_of_crops(aligner: Aligner, crops: Tensor) -> Tensor:
    """The 68 landmarks (n, 68, 2) of crops (n, 3, size, size) uint8, in -1..1 across each crop."""
    if not len(crops):
        return torch.zeros(0, len(MIRRORED), 2)
    return torch.cat([aligner(fitted(to_model(some))) for some in crops.split(_BATCH)])


def frame_maps(landmarks: Tensor, reference: Tensor) -> Tensor:
    """The affine maps (n, 2, 3) from frame coordinates to those of crops, both -1..1.

    landmarks: (n, 68, 2) in the crops. reference: (68, 2) in the frame. The fit is that of
    `placing.place_frame`.
    """
    fixed = list(FIXED)
    matrices, shifts = _similarities(reference[fixed].double(), landmarks[:, fixed].double())
    return torch.cat([matrices, shifts[:, :, None]], 2).float()


def maps_between(landmarks: Tensor, others: Tensor) -> Tensor:
    """The similarities (n, 2, 3) that take faces to others, by landmarks that expressions hardly
    move; the identity where some are NaN.

    Both: (n, points, 2), of one scheme.
    """
    fixed = list(FIXED_BY_SCHEME[landmarks.shape[1]])
    matrices, shifts = _similarities(landmarks[:, fixed].double(), others[:, fixed].double())
    maps = torch.cat([matrices, shifts[:, :, None]], 2).float()
    known = maps.isfinite().all(2).all(1)
    return torch.where(known[:, None, None], maps, torch.eye(2, 3))


def _similarities(target: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """The rotations times scales (n, 2, 2) and the shifts (n, 2) that take points (p, 2) or
    (n, p, 2) nearest to points (n, p, 2), by least squares (Umeyama 1991)."""
    from_centre, to_centre = target.mean(-2, keepdim=True), found.mean(1)
    target, found = target - from_centre, found - to_centre[:, None]
    cosine = (target * found).sum((1, 2))
    sine = (target[..., 0] * found[:, :, 1] - target[..., 1] * found[:, :, 0]).sum(1)
    a, b = torch.stack([cosine, sine]) / target.square().sum((-2, -1))
    matrices = torch.stack([torch.stack([a, -b], 1), torch.stack([b, a], 1)], 1)
    return matrices, to_centre - (matrices @ from_centre.mT).squeeze(2)


def into_frame(points: Tensor, maps: Tensor) -> Tensor:
    """Points (n, p, 2) of crops in the coordinates of the frames that `maps` (n, 2, 3) lead to."""
    back = torch.linalg.inv(maps[:, :, :2])
    return (points - maps[:, None, :, 2]) @ back.transpose(1, 2)


def mean_reference(landmarks: Tensor) -> Tensor:
    """The reference (68, 2) of faces: their mean shape, placed in the frame.

    landmarks: (n, 68, 2) in crops. Generalised Procrustes analysis (Gower 1975): in each round all
    faces are aligned to the mean of the round before, over the landmarks that expressions hardly
    move. The mean is made symmetric, and scaled and shifted so that the centres of the eyes lie at
    their place.
    """
    mean = _placed(landmarks.double().mean(0))
    for _ in range(_ROUNDS):
        mean = _placed(into_frame(landmarks.double(), frame_maps(landmarks, mean).double()).mean(0))
    return mean.float()


def _placed(shape: Tensor) -> Tensor:
    """A shape (68, 2), upright, symmetric, with the centres of its eyes at their place."""
    right, left = (shape[list(eye)].mean(0) for eye in _EYES)
    middle, (x, y) = (right + left) / 2, (left - right) / 2
    turned = (shape - middle) @ torch.stack([torch.stack([x, -y]), torch.stack([y, x])])
    shape = turned * (_EYE_X / (x * x + y * y)) + turned.new_tensor([0.0, _EYE_Y])
    return (shape + shape[list(MIRRORED)] * shape.new_tensor([-1.0, 1.0])) / 2
