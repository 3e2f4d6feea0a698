"""Random changes of the faces of a paired training: one map and one colouring for both of a pair.

What differs between the two photographs of a pair is then the expression, and what the nuisance
tells.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

_DARKEST = 1e-3


@dataclass(frozen=True)
class Deviations:
    """Standard deviations of the changes."""

    turn: float = 0.12
    """Of the angle of the map, in radians."""
    scale: float = 0.08
    """Of the logarithm of its scale."""
    shift: float = 0.075
    """Of its shift, in half sides, which is around `centre`."""
    centre: tuple[float, float] = (0.0, -0.025)
    gain: float = 0.1
    """Of the logarithm of the gain of each channel; likewise of the gain of all channels, the gamma
    and the saturation."""
    brightness: float = 0.15
    gamma: float = 0.2
    saturation: float = 0.2
    lift: float = 0.05
    """Of the value that is added to pixels in 0-1."""
    light: float = 0.2
    """Of the slopes of the light, across and down."""


USUAL = Deviations()


@dataclass(frozen=True)
class Augmentation:
    """The random changes of n faces."""

    maps: Tensor
    """(n, 2, 3): affine maps from the coordinates of the result to those of the frame."""
    mirrored: Tensor
    """(n,) bool."""
    gain: Tensor
    """(n, 3, 1, 1), factor of each channel."""
    gamma: Tensor
    """(n, 1, 1, 1), as the following."""
    saturation: Tensor
    lift: Tensor
    across: Tensor
    """The light's slope to the right."""
    down: Tensor

    @classmethod
    def draw(cls, count: int, random: torch.Generator, of: Deviations = USUAL) -> Self:
        """Draw the changes of `count` faces."""

        def normal(*shape: int) -> Tensor:
            return torch.randn(count, *shape, generator=random)

        turn, scale = normal() * of.turn, torch.exp(normal() * of.scale)
        mirrored = torch.rand(count, generator=random) < 0.5
        flip = torch.where(mirrored, -1.0, 1.0)
        cos, sin = scale * turn.cos(), scale * turn.sin()
        shift = normal(2) * of.shift + torch.tensor(of.centre)
        maps = torch.stack(
            [
                torch.stack([cos * flip, -sin, shift[:, 0]], 1),
                torch.stack([sin * flip, cos, shift[:, 1]], 1),
            ],
            1,
        )
        one = (1, 1, 1)
        return cls(
            maps,
            mirrored,
            torch.exp(normal(3, 1, 1) * of.gain + normal(*one) * of.brightness),
            torch.exp(normal(*one) * of.gamma),
            torch.exp(normal(*one) * of.saturation),
            normal(*one) * of.lift,
            normal(*one) * of.light,
            normal(*one) * of.light,
        )

    def part(self, chosen: slice) -> "Augmentation":
        """The changes of some of the faces."""
        return Augmentation(**{name: value[chosen] for name, value in vars(self).items()})

    def to(self, device: torch.device) -> "Augmentation":
        """The same on another device."""
        return Augmentation(**{name: value.to(device) for name, value in vars(self).items()})

    def coloured(self, faces: Tensor) -> Tensor:
        """Faces (n, 3, size, size) in -1..1 with another colour, light, gamma and saturation."""
        line = torch.linspace(-1, 1, faces.shape[-1], device=faces.device)
        light = 1 + self.across * line + self.down * line[:, None]
        pixels = ((faces + 1) / 2).clamp(_DARKEST, 1) ** self.gamma * self.gain * light + self.lift
        grey = pixels.mean(1, keepdim=True)
        return (grey + (pixels - grey) * self.saturation).clamp(0, 1) * 2 - 1
