"""The generator: a face and target AUs to an attention mask, a colour mask and a new face.

Pumarola et al., GANimation (ECCV 2018; IJCV 2019), section 4.1. Attention 1 keeps the
photograph, as in the journal paper and the original code.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..pipeline.action_units import COUNT
from ..pipeline.errors import WrongUse
from .checkpoint import fill, load_weights


class Masks(NamedTuple):
    """What the generator regresses."""

    attention: Tensor
    """(n, 1, h, w), 0-1: how much of the input is kept."""
    colour: Tensor
    """(n, 3, h, w), -1..1: what stands where it is not."""

    def blend(self, face: Tensor) -> Tensor:
        """I_out = A*I + (1-A)*C, equation 1 of the paper in the journal's orientation."""
        return self.attention * face + (1 - self.attention) * self.colour


@dataclass(frozen=True)
class GeneratorSettings:
    """What a generator is built from; travels inside its weights."""

    width: int = 64
    """Channels of the first layer; the paper's 64 gives 8.5 million parameters."""
    blocks: int = 6
    """Residual blocks at a quarter of the resolution."""
    upsampling: str = "transposed"
    """`transposed` convolutions as in the paper, or `nearest`: enlarge, then convolve, which
    leaves no checkerboard (Odena et al. 2016)."""

    def validate(self) -> None:
        """Raise WrongUse for a value that builds no network."""
        if self.width < 4 or self.blocks < 0:
            raise WrongUse("A generator needs a width of 4 or more, and blocks of 0 or more.")
        if self.upsampling not in ("transposed", "nearest"):
            raise WrongUse(f"upsampling {self.upsampling!r} is neither transposed nor nearest.")


class Generator(nn.Module):
    """Faces (n, 3, h, w) in -1..1 and AUs (n, 17) in 0-1 to Masks. h and w: multiples of 4.

    Instance normalisation has affine parameters and no running statistics, so that training and
    use agree.
    """

    def __init__(self, settings: GeneratorSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or GeneratorSettings()
        settings.validate()
        width = settings.width
        self.encoder = nn.Sequential(
            *_conv(3 + COUNT, width, kernel=7, stride=1),
            *_conv(width, width * 2, kernel=4, stride=2),
            *_conv(width * 2, width * 4, kernel=4, stride=2),
        )
        self.bottleneck = nn.Sequential(*(_Residual(width * 4) for _ in range(settings.blocks)))
        self.decoder = nn.Sequential(
            *_enlarge(width * 4, width * 2, settings.upsampling),
            *_enlarge(width * 2, width, settings.upsampling),
        )
        # Both masks by one convolution: the same maths as two, at half the cost on a CPU, which
        # computes one or three channels as slowly as sixteen.
        self.to_masks = nn.Conv2d(width, 1 + 3, 7, 1, 3, bias=False)

    def forward(self, faces: Tensor, aus: Tensor) -> Masks:
        tiled = aus[:, :, None, None].expand(-1, -1, *faces.shape[2:]).to(faces.dtype)
        features = self.encoder(torch.cat([faces, tiled], 1))
        masks = self.to_masks(self.decoder(self.bottleneck(features))).float()
        return Masks(torch.sigmoid(masks[:, :1]), torch.tanh(masks[:, 1:]))


def load_generator(path: Path) -> tuple[Generator, int]:
    """A generator in evaluation mode and the size it was trained at; WrongUse for other files."""
    tensors, settings = load_weights(path, kind="generator")
    generator = Generator(GeneratorSettings(**settings["generator"]))
    fill(generator, tensors, path)
    return generator.eval(), settings["size"]


def _conv(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
    padding = (kernel - 1) // 2
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.InstanceNorm2d(outputs, affine=True),
        nn.ReLU(inplace=True),
    ]


def _enlarge(inputs: int, outputs: int, upsampling: str) -> list[nn.Module]:
    if upsampling == "nearest":
        return [nn.Upsample(scale_factor=2, mode="nearest"), *_conv(inputs, outputs, 3, 1)]
    return [
        nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False),
        nn.InstanceNorm2d(outputs, affine=True),
        nn.ReLU(inplace=True),
    ]


class _Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm1 = nn.InstanceNorm2d(width, affine=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.InstanceNorm2d(width, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
