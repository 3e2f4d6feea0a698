"""Train the network that finds what covers a face (editing/occlusion.py) of a trained generator.

    python -m ganim.model.training.train_occlusion shards/ --weights WEIGHTS --out NEW_WEIGHTS

Nobody has marked glasses in the photographs, so objects are drawn over them (occluders.py). Some
faces wear glasses already: after a third of the steps, and again after two, those faces where most
is found are left out.
The other weights of the generator stay as they are.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import load_faces
from ..estimator.augment import compressed
from ..landmarks.frame import frame_maps, into_frame
from ..landmarks.points import MIRRORED
from ..networks.flow_generator import FlowGenerator
from ..networks.load import load_flow_generator
from ..pixels import from_model, to_model
from ..precision import computes_bf16
from ..warp import at_resolution
from .framing import composed, find_landmarks, sampled
from .occluders import occluded
from .pair_augmentation import Augmentation
from .part_command import part_command, save_generator

LEARNING_RATE = 1e-3
_WARM_UP = 50
_LEFT_OUT = 0.15
"""Share of the faces that are left out."""
_FOUND = 1 / 40
"""Share of the pixels by which it is decided where most is found."""
_POSITIVE = 2.0
"""Weight of covered pixels, which are few."""
_PIXELS = 3.0
"""Weight of the error of pixels beside that of areas."""
_REDUCED, _LOWEST_RESOLUTION = 0.6, 0.35
_COMPRESSED, _QUALITY = 0.4, (40, 95)
"""Shares of the faces at a lower resolution, and as JPEG; to which, and of which quality."""
_SCORED = 64


@dataclass(frozen=True)
class Photographs:
    """Faces to draw on."""

    images: Tensor
    """(n, 3, any, any) uint8."""
    maps: Tensor
    """(n, 2, 3): from the frame to the images."""
    landmarks: Tensor
    """(n, 68, 2) in the frame, -1..1."""

    def __len__(self) -> int:
        return len(self.images)


def load_photographs(shards: Path, split: str, size: int, reference: Tensor) -> Photographs:
    """The faces of a split, decoded at 1.4 times the size, as for training with pairs."""
    faces = load_faces(shards, split, round(1.4 * size))
    found = find_landmarks(faces)
    maps = frame_maps(found, reference)
    return Photographs(faces.images, maps, into_frame(found, maps))


def examples(
    photographs: Photographs, chosen: Tensor, size: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Some of the photographs with objects drawn over them.

    Returns faces (n, 3, size, size) in -1..1, and the covered share of each pixel (n, 1, size / 2,
    size / 2).
    """
    augmentation = Augmentation.draw(len(chosen), random)
    maps = composed(photographs.maps[chosen], augmentation.maps)
    faces = from_model(sampled(photographs.images[chosen], maps, size)).round().byte()
    landmarks = into_frame(photographs.landmarks[chosen], augmentation.maps)
    swapped = augmentation.mirrored[:, None, None]
    landmarks = torch.where(swapped, landmarks[:, list(MIRRORED)], landmarks)
    draw = np.random.default_rng(int(torch.randint(2**31, (), generator=random)))
    others = list(photographs.images[chosen].permute(0, 2, 3, 1).numpy())
    pictures, masks = [], []
    for face, points in zip(faces.permute(0, 2, 3, 1).numpy(), landmarks, strict=True):
        pixels = (points.numpy() + 1) * size / 2 - 0.5
        picture, mask = occluded(face, pixels, others, draw)
        pictures.append(torch.from_numpy(picture).permute(2, 0, 1))
        masks.append(torch.from_numpy(mask))
    coloured = augmentation.coloured(to_model(torch.stack(pictures)))
    coloured = torch.stack([_degraded(each, draw) for each in coloured])
    return coloured, F.avg_pool2d(torch.stack(masks)[:, None], 2)


def train(
    generator: FlowGenerator, photographs: Photographs, size: int, steps: int, batch: int, seed: int
) -> Iterator[float]:
    """Train `generator.occlusion`, and yield the loss of each step.

    size: of the generator's faces in pixels.
    """
    network = generator.requires_grad_(False).occlusion.requires_grad_(True)
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE, (0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / _WARM_UP, 1) * (1 + math.cos(math.pi * step / steps)) / 2,
    )
    used = torch.arange(len(photographs))
    for step in range(steps):
        if step in (steps // 3, 2 * steps // 3):
            found = _found(generator, photographs, size)
            used = found.argsort()[: math.ceil((1 - _LEFT_OUT) * len(found))]
        chosen = used[torch.randint(len(used), (batch,), generator=random)]
        faces, masks = examples(photographs, chosen, size, random)
        loss = _loss(_logits(generator, faces), masks)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        yield float(loss.detach())
    generator.eval().requires_grad_(False)


def _logits(generator: FlowGenerator, faces: Tensor) -> Tensor:
    bf16 = computes_bf16(faces.device)
    with torch.autocast(faces.device.type, torch.bfloat16, enabled=bf16):
        return generator.occlusion_logits(faces)


def _loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy of pixels, and the Dice loss of areas (Milletari et al. 2016, V-Net)."""
    weight = torch.tensor(_POSITIVE)
    pixels = F.binary_cross_entropy_with_logits(logits, masks, pos_weight=weight)
    found, few = logits.sigmoid(), 5.0
    both, all_ = (x.sum((1, 2, 3)) for x in (found * masks, found + masks))
    return _PIXELS * pixels + (1 - (2 * both + few) / (all_ + few)).mean()


@torch.inference_mode()
def _found(generator: FlowGenerator, photographs: Photographs, size: int) -> Tensor:
    """(n,): how much is found in each photograph, 0-1."""
    found = []
    for part in torch.arange(len(photographs)).split(_SCORED):
        faces = sampled(photographs.images[part], photographs.maps[part], size)
        probabilities = _logits(generator, faces).sigmoid().flatten(1)
        most = probabilities.topk(math.ceil(_FOUND * probabilities.shape[1]), 1).values
        found.append(most.mean(1))
    return torch.cat(found)


def _degraded(face: Tensor, draw: np.random.Generator) -> Tensor:
    """A face (3, size, size) in -1..1 at a lower resolution, or compressed, or neither."""
    if draw.random() < _REDUCED:
        side = int(face.shape[-1] * draw.uniform(_LOWEST_RESOLUTION, 0.9))
        face = at_resolution(face[None], side)[0]
    if draw.random() < _COMPRESSED:
        face = compressed((face + 1) / 2, int(draw.integers(*_QUALITY))) * 2 - 1
    return face


@part_command(__doc__, steps=6000)
def main(shards: Path, weights: Path, out: Path, steps: int, batch: int, seed: int) -> None:
    generator, size = load_flow_generator(weights)
    photographs = load_photographs(shards, "train", size, generator.reference)
    losses = []
    for loss in train(generator, photographs, size, steps, batch, seed):
        losses.append(loss)
        if len(losses) % 50 == 0:
            print(f"{len(losses):6d} {np.mean(losses[-50:]):.4f}", flush=True)
    save_generator(generator, weights, out)


if __name__ == "__main__":
    main()
