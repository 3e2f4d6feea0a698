"""Faces of crops, brought to the frame in which a flow generator sees them."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import Faces
from ..estimator.network import load_estimator
from ..landmarks.frame import frame_maps, into_frame, landmarks_of_crops
from ..landmarks.points import MESH_POINTS
from ..pixels import from_model, to_model

_BATCH = 64


def find_landmarks(faces: Faces) -> Tensor:
    """The 68 landmarks (faces, 68, 2) of each crop by the estimator's aligner, in -1..1."""
    return landmarks_of_crops(load_estimator().aligner, faces.images)


def sampled(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """Resample images (n, 3, h, w) uint8 to (n, 3, size, size) in -1..1.

    maps: (n, 2, 3), from the coordinates of the result to those of the images, both -1..1. Outside
    of an image its border pixels repeat.
    """
    grid = F.affine_grid(maps, [len(images), 3, size, size], align_corners=False)
    return F.grid_sample(to_model(images), grid, padding_mode="border", align_corners=False)


def composed(outer: Tensor, inner: Tensor) -> Tensor:
    """The affine maps (n, 2, 3) that apply `inner` first, then `outer`."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    shift = outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]
    return torch.cat([linear, shift], 2)


def framed(faces: Faces, reference: Tensor, size: int) -> Faces:
    """The same faces, whose images (faces, 3, size, size) and landmarks lie in the frame.

    reference: (68, 2), where the landmarks of a mean face lie in the frame, -1..1.
    """
    maps = frame_maps(find_landmarks(faces), reference)
    images = torch.empty(len(faces), 3, size, size, dtype=torch.uint8)
    for start in range(0, len(faces), _BATCH):
        part = slice(start, start + _BATCH)
        images[part] = from_model(sampled(faces.images[part], maps[part], size)).round().byte()
    landmarks = faces.landmarks
    return replace(
        faces,
        images=images,
        landmarks=None if landmarks is None else into_frame(landmarks, maps),
    )


def schemes_in_frame(faces: Faces, landmarks: Tensor, maps: Tensor) -> tuple[list[Tensor], Tensor]:
    """Landmarks of faces in the frame, -1..1: the 68 that were found, and, where the faces know
    those of MediaPipe, which are more exact, these (faces, 478, 2); and (faces,), which know them.

    landmarks: (faces, 68, 2) in the crops. maps: (faces, 2, 3), by `frame_maps`.
    """
    schemes = [into_frame(landmarks, maps)]
    exact = torch.zeros(len(faces), dtype=torch.bool)
    if faces.landmarks is not None and faces.landmarks.shape[1] == MESH_POINTS:
        mesh = into_frame(faces.landmarks.float(), maps)
        exact = mesh.isfinite().all(2).all(1)
        schemes.append(mesh)
    return schemes, exact
