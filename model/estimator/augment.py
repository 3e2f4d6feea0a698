"""Crops varied as photographs in the wild are, and spoilt until nothing can be read from them."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..landmarks.alignment import MIRRORED

Uniform = Callable[[float, float], Tensor]
"""Draws between two bounds, (n,), one a crop."""


@dataclass(frozen=True)
class Augmentation:
    """How far each crop may be moved; each draw is uniform in plus or minus these."""

    shift: float = 0.12
    """Share of the crop's side."""
    scale: float = 0.17
    """Natural logarithm of the enlargement."""
    turn: float = 0.2
    """Radians."""
    mirror: float = 0.5
    """Share of the crops that are mirrored."""
    gamma: float = 0.7
    """Natural logarithm of the exponent put on brightness."""
    blur: float = 0.3
    """Share of the crops shown at a lower resolution, down to a fifth."""
    jpeg: float = 0.3
    """Share of the crops that went through JPEG at a quality of 15 to 70."""
    occlusion: float = 0.15
    """Share of the crops with a patch laid over a part, up to 45% of the side."""


def augment(
    images: Tensor, landmarks: Tensor, generator: torch.Generator, how: Augmentation | None = None
) -> tuple[Tensor, Tensor]:
    """Crops (n, 3, size, size) uint8 and landmarks (n, 68, 2) in -1..1, varied alike.

    Returns crops as float in 0-1, and the landmarks where they have come to lie.
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


def spoil(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Crops (n, 3, size, size) in 0-1 from which hardly anything can be read: each blurred to a
    few pixels, mostly covered, upside down, or enlarged beyond the face."""
    n, _, size, _ = crops.shape
    kind = torch.randint(4, (n,), generator=generator)
    result = []
    for index in range(n):
        crop = crops[index : index + 1]
        if kind[index] == 0:
            few = int(torch.randint(4, 12, (1,), generator=generator))
            crop = _at_resolution(crop, few)
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


def moved(crops: Tensor, turn: Tensor, shift: Tensor) -> Tensor:
    """Crops resampled through (n, 2, 2) and (n, 2): from where in the crop each pixel comes."""
    theta = torch.cat([turn, shift[:, :, None]], 2)
    grid = F.affine_grid(theta, list(crops.shape), align_corners=False)
    return F.grid_sample(crops, grid, padding_mode="border", align_corners=False)


def coarsened(crops: Tensor, chosen: Tensor) -> Tensor:
    """The chosen ones of the crops (n,) grey, and without detail finer than three pixels."""
    coarse = _at_resolution(crops.mean(1, keepdim=True), crops.shape[-1] // 3)
    return torch.where(chosen[:, None, None, None], coarse, crops)


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
    landmarks = (landmarks - shift[:, None]) @ torch.linalg.inv(turn).transpose(1, 2)
    swapped = landmarks[:, list(MIRRORED)]
    landmarks = torch.where((mirror < 0)[:, None, None], swapped, landmarks)
    return moved(crops, turn, shift), landmarks


def _at_resolution(crops: Tensor, few: int) -> Tensor:
    """What is left of crops that were `few` pixels a side."""
    return F.interpolate(F.interpolate(crops, few, mode="area"), crops.shape[-1], mode="bilinear")


def _blur(crops: Tensor, draw: Tensor, resolution: Tensor, share: float) -> Tensor:
    size = crops.shape[-1]
    result = crops.clone()
    for index in torch.nonzero(draw < share).flatten().tolist():
        few = max(8, int(size * float(resolution[index])))
        result[index] = _at_resolution(crops[index : index + 1], few)[0]
    return result


def _relight(crops: Tensor, uniform: Uniform, gamma: float) -> Tensor:
    """Greyer or more colourful, tinted, darker or brighter, of more or less contrast."""

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
    """Lay a patch over a part of the chosen crops: a piece of another crop, or one colour."""
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


def compressed(crop: Tensor, quality: int) -> Tensor:
    """A crop (3, size, size) in 0-1 as JPEG of this quality gives it back."""
    pixels = (crop * 255).round().byte().permute(1, 2, 0).numpy()
    _, encoded = cv2.imencode(
        ".jpg", np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return torch.from_numpy(decoded).permute(2, 0, 1).float() / 255
