"""Train the network that finds irises (editing/iris_network.py), by train_upper_face.py.

It learns from photographs with the landmarks of MediaPipe's face mesh, which has irises.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import Faces
from ..editing.brows import brows_of
from ..editing.iris_network import Eyes, eyes_of
from ..editing.upper_face import UpperFaceNetwork
from ..landmarks.points import IRISES, MESH_POINTS
from ..pixels import to_model
from ..warp import at_resolution
from .train_layers import LEARNING_RATE, coloured

_SLIT, _OPEN = 0.03, 0.07
"""Height of an eye, in half sides, up to which its iris does not count, as hardly anything of it is
seen, and from which on it counts wholly."""
_SHIFT, _SCALE = 0.06, 0.06
"""Standard deviations of how far eyes lie beside the place where they are sought, in widths of the
eye, and of the logarithm of their size."""
_BLURRED = 0.3
"""Share of the steps in which photographs are reduced to half."""
_SMALL = 0.03
"""Error, in widths of the eye, from which on it counts by its size and not by its square."""
_EXAMINED = 64


def irises_of_mesh(landmarks: Tensor) -> Tensor:
    """(n, 2, 3): column, row and radius of the iris of the left eye in the picture and of the right
    one, in the unit of landmarks (n, 478, 2) of the mesh."""
    irises = []
    for first in IRISES:
        middle, edge = landmarks[:, first : first + 1], landmarks[:, first + 1 : first + 5]
        radius = (edge - middle).square().sum(2).sqrt().mean(1, keepdim=True)
        irises.append(torch.cat([middle[:, 0], radius], 1))
    both = torch.stack(irises, 1)
    order = both[:, :, :1].argsort(1).expand_as(both)
    return both.gather(1, order)


def with_mesh(faces: Faces) -> Faces:
    """Those of the faces of which the landmarks of MediaPipe are known."""
    if faces.landmarks is None or faces.landmarks.shape[1] != MESH_POINTS:
        return faces.subset(np.arange(0))
    return faces.subset(np.flatnonzero(faces.landmarks.isfinite().all(2).all(1)))


def train_irises(upper_face: UpperFaceNetwork, faces: Faces, steps: int) -> Iterator[float]:
    """Train `upper_face.irises`, and yield the mean error of each step in widths of the eye.

    Random numbers are drawn from torch's own generator.

    upper_face: with trained layers. faces: in the frame, by `framed`, each with the landmarks of
    MediaPipe.
    """
    assert faces.landmarks is not None
    known = irises_of_mesh(faces.landmarks)
    with torch.inference_mode():
        ends = [upper_face.ends_of(to_model(part)) for part in faces.images.split(_EXAMINED)]
    found = torch.cat(ends).clone()
    network = upper_face.irises.requires_grad_(True)
    adam = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        adam, lambda step: (1 + math.cos(math.pi * step / steps)) / 2
    )
    for _ in range(steps):
        some = torch.randint(len(faces), (_EXAMINED,))
        pixels = coloured(to_model(faces.images[some]))
        if torch.rand(()) < _BLURRED:
            pixels = at_resolution(pixels, pixels.shape[3] // 2)
        brows = brows_of(found[some])
        eyes = eyes_of(brows)
        off = (network(pixels, brows, _beside(eyes)) - known[some]) / eyes.width[:, :, None]
        counts = ((_heights(brows.eyes, eyes) - _SLIT) / (_OPEN - _SLIT)).clamp(0, 1)[:, :, None]
        loss = counts * F.smooth_l1_loss(off, torch.zeros_like(off), reduction="none", beta=_SMALL)
        adam.zero_grad(set_to_none=True)
        loss.mean().backward()
        adam.step()
        schedule.step()
        yield float((counts * off.detach().abs()).mean() / counts.mean().clamp(min=1e-3))
    network.requires_grad_(False)


def _beside(eyes: Eyes) -> Eyes:
    """Eyes that are found a little beside their places."""
    shift = _SHIFT * eyes.width * torch.randn(2, *eyes.x.shape)
    larger = (_SCALE * torch.randn_like(eyes.width)).exp()
    return eyes._replace(x=eyes.x + shift[0], y=eyes.y + shift[1], width=eyes.width * larger)


def _heights(lids: Tensor, eyes: Eyes) -> Tensor:
    """(n, 2): of both eyes, in half sides. lids: (n, 2, w), `Brows.eyes`."""
    high = lids[:, 1] - lids[:, 0]
    return torch.stack([high * eyes.left, high * (1 - eyes.left)], 1).amax(2)
