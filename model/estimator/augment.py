"""Augmentation of the crops that the estimator is trained on, and corrupted crops, from which AUs
cannot be read."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..landmarks.points import MIRRORED
from ..warp import at_resolution, moved

Uniform = Callable[[float, float], Tensor]
"""Draws (n,) uniform between two bounds, one per crop."""


@dataclass(frozen=True)
class Augmentation:
    """The ranges and frequencies of augmentation. Ranges are symmetric around zero."""

    shift: float = 0.12
    """Largest translation, as a fraction of the side of the crop."""
    scale: float = 0.17
    """Largest natural logarithm of the scale."""
    turn: float = 0.2
    """Largest rotation, in radians."""
    mirror: float = 0.5
    """Fraction of the crops that are mirrored."""
    gamma: float = 0.7
    """Largest natural logarithm of the exponent applied to brightness."""
    blur: float = 0.3
    """Fraction of the crops whose resolution is reduced, to between 20% and 80%."""
    jpeg: float = 0.3
    """Fraction of the crops that are compressed as JPEG, at a quality of 15 to 70."""
    occlusion: float = 0.15
    """Fraction of the crops that are covered in part, by a rectangle of 15% to 45% of the side."""


def augment(
    images: Tensor, landmarks: Tensor, generator: torch.Generator, how: Augmentation | None = None
) -> tuple[Tensor, Tensor]:
    """Augment crops, and transform their landmarks with them.

    Args:
        images: crops (n, 3, size, size), uint8.
        landmarks: (n, 68, 2), in -1..1 across the crop.
        generator: the source of all random numbers.
        how: ranges and frequencies; the defaults of `Augmentation` if None.

    Returns crops (n, 3, size, size), float in 0-1, and landmarks (n, 68, 2).
    """
    how = how or Augmentation()
    n = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=generator) * (high - low) + low

    crops, landmarks = _move(images.float() / 255, landmarks, uniform, how)
    crops = _blur(crops, uniform(0, 1), uniform(0.2, 0.8), how.blur)
    crops = _relight(crops, uniform, how.gamma)
    crops = _occlude(crops, uniform(0, 1) < how.occlusion, generator, 0.15, 0.45)
    return _compress(crops, uniform(0, 1) < how.jpeg, uniform(15, 70)), landmarks


def corrupt(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Corrupt crops so that AUs can hardly be read from them.

    Each crop is reduced to 4-11 px, covered except for its margin, flipped upside down, or cut
    down to a detail; the four have equal probability.

    Args:
        crops: (n, 3, size, size), float in 0-1.
        generator: the source of all random numbers.

    Returns crops of the same shape and range.
    """
    n, _, size, _ = crops.shape
    kind = torch.randint(4, (n,), generator=generator)
    result = []
    for index in range(n):
        crop = crops[index : index + 1]
        if kind[index] == 0:
            side = int(torch.randint(4, 12, (1,), generator=generator))
            crop = at_resolution(crop, side)
        elif kind[index] == 1:
            crop = crop.clone()
            left, top, right, bottom = (size * 0.15 * torch.rand(4, generator=generator)).int()
            crop[:, :, top : size - bottom, left : size - right] = torch.rand(
                (3, 1, 1), generator=generator
            )
        elif kind[index] == 2:
            crop = crop.flip(2)
        else:
            part = int(size * (0.15 + 0.2 * torch.rand(1, generator=generator)))
            top, left = torch.randint(size - part, (2,), generator=generator).tolist()
            crop = F.interpolate(
                crop[:, :, top : top + part, left : left + part], size, mode="bilinear"
            )
        result.append(crop)
    return torch.cat(result)


def compressed(crop: Tensor, quality: int) -> Tensor:
    """Encode a crop (3, size, size) in 0-1 as JPEG of a quality of 1-100, and decode it."""
    pixels = (crop * 255).round().byte().permute(1, 2, 0).numpy()
    _, encoded = cv2.imencode(
        ".jpg", np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return torch.from_numpy(decoded).permute(2, 0, 1).float() / 255


def _move(
    crops: Tensor, landmarks: Tensor, uniform: Uniform, how: Augmentation
) -> tuple[Tensor, Tensor]:
    angle, scale = uniform(-how.turn, how.turn), torch.exp(uniform(-how.scale, how.scale))
    mirror = torch.where(uniform(0, 1) < how.mirror, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    turn = torch.stack(
        [torch.stack([cos * mirror, -sin], 1), torch.stack([sin * mirror, cos], 1)], 1
    )
    shift = torch.stack([uniform(-how.shift, how.shift), uniform(-how.shift, how.shift)], 1) * 2
    # `turn` and `shift` lead from output to input coordinates; landmarks need the inverse.
    landmarks = (landmarks - shift[:, None]) @ torch.linalg.inv(turn).transpose(1, 2)
    swapped = landmarks[:, list(MIRRORED)]
    landmarks = torch.where((mirror < 0)[:, None, None], swapped, landmarks)
    return moved(crops, turn, shift), landmarks


def _blur(crops: Tensor, draw: Tensor, resolution: Tensor, share: float) -> Tensor:
    size = crops.shape[-1]
    result = crops.clone()
    for index in torch.nonzero(draw < share).flatten().tolist():
        side = max(8, int(size * float(resolution[index])))
        result[index] = at_resolution(crops[index : index + 1], side)[0]
    return result


def _relight(crops: Tensor, uniform: Uniform, gamma: float) -> Tensor:
    """Change saturation, tint, brightness and contrast."""

    def each(low: float, high: float) -> Tensor:
        return uniform(low, high)[:, None, None, None]

    crops = torch.lerp(crops, crops.mean(1, keepdim=True), each(-0.3, 0.7))
    tint = torch.cat([each(0.9, 1.1), each(0.9, 1.1), each(0.9, 1.1)], 1)
    crops = (crops * tint).clamp(0.0, 1.0).pow(torch.exp(each(-gamma, gamma)))
    mean = crops.mean((1, 2, 3), keepdim=True)
    return ((crops - mean) * each(0.7, 1.25) + mean).clamp(0.0, 1.0)


def _occlude(
    crops: Tensor, chosen: Tensor, generator: torch.Generator, least: float, most: float
) -> Tensor:
    """Cover part of the chosen crops with a rectangle of one colour, or from another crop."""
    n, _, size, _ = crops.shape
    result = crops.clone()
    for index in torch.nonzero(chosen).flatten().tolist():
        draws = torch.rand(6, generator=generator)
        height, width = (int(size * (least + (most - least) * float(d))) for d in draws[:2])
        top, left = int((size - height) * draws[2]), int((size - width) * draws[3])
        other = crops[int(draws[4] * n), :, :height, :width]
        colour = torch.rand(3, 1, 1, generator=generator)
        patch = other if draws[5] < 0.5 else colour
        result[index, :, top : top + height, left : left + width] = patch
    return result


def _compress(crops: Tensor, chosen: Tensor, quality: Tensor) -> Tensor:
    for index in torch.nonzero(chosen).flatten().tolist():
        crops[index] = compressed(crops[index], int(quality[index]))
    return crops
