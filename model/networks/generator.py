"""The generator: a face and target AUs to an attention mask, a colour mask and a new face.

Pumarola et al., GANimation (ECCV 2018; IJCV 2019), section 4.1. Attention 1 keeps the
photograph, as in the journal paper and the original code.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import positions
from ...pipeline.faces.paste import Change
from ..checkpoint import build, fill, load_weights
from ..config import GeneratorSettings
from ..pixels import from_model
from .motion import Motion, warped

_STYLE = 64  # numbers in the embedding of the AUs, for AdaIN


class Masks(NamedTuple):
    """What the generator regresses, and the face that it is for."""

    attention: Tensor
    """(n, 1, h, w), 0-1: how much of the input is kept."""
    colour: Tensor
    """(n, 3, h, w), -1..1: what stands where it is not."""
    face: Tensor
    """(n, 3, h, w), -1..1: the input, moved by the flow."""
    flow: Tensor | None = None
    """(n, 2, h, w), of a generator with `motion`: where each pixel of it was fetched from."""

    def blend(self) -> Tensor:
        """I_out = A*I + (1-A)*C, equation 1 of the paper in the journal's orientation."""
        return self.attention * self.face + (1 - self.attention) * self.colour

    def changes(self) -> list[Change]:
        """What was done to each face, to be done to it at another resolution."""
        painted = from_model(self.blend()) - from_model(self.face)
        differences = painted.permute(0, 2, 3, 1).cpu().numpy()
        if self.flow is None:
            return [Change(difference) for difference in differences]
        flows = self.flow.permute(0, 2, 3, 1).cpu().numpy()
        return [Change(*both) for both in zip(differences, flows, strict=True)]


class Generator(nn.Module):
    """Faces (n, 3, h, w) in -1..1, target AUs (n, 17) and the faces' own, in 0-1, to Masks.

    h and w: multiples of 4. Of the 17 AUs it looks at those of its settings. The own AUs matter to
    a generator with `relative` or `motion` alone; another may be called without. Instance
    normalisation has no running statistics, so that training and use agree.
    """

    def __init__(self, settings: GeneratorSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or GeneratorSettings()
        settings.validate()
        width = settings.width
        adain, count = settings.conditioning == "adain", len(settings.aus)
        self._known: Tensor
        self.register_buffer("_known", torch.tensor(positions(settings.aus)), persistent=False)
        self.embedding = nn.Sequential(nn.Linear(count, _STYLE), nn.ReLU()) if adain else None
        self.encoder = nn.Sequential(
            *_conv(3 if adain else 3 + count, width, 7, 1, settings.affine),
            *_conv(width, width * 2, 4, 2, settings.affine),
            *_conv(width * 2, width * 4, 4, 2, settings.affine),
        )
        norm = partial(_Norm, style=_STYLE if adain else None, affine=settings.affine)
        self.bottleneck = nn.ModuleList(_Residual(width * 4, norm) for _ in range(settings.blocks))
        self.decoder = nn.ModuleList(
            [
                _Enlarge(width * 4, width * 2, settings.upsampling, norm),
                _Enlarge(width * 2, width, settings.upsampling, norm),
            ]
        )
        # Both masks by one convolution: the same maths as two, at half the cost on a CPU, which
        # computes one or three channels as slowly as sixteen.
        self.to_masks = nn.Conv2d(width, settings.attention + 3, 7, 1, 3, bias=False)
        if settings.colour == "residual":
            nn.init.zeros_(self.to_masks.weight)
        self.motion = Motion() if settings.motion else None

    def forward(self, faces: Tensor, aus: Tensor, own_aus: Tensor | None = None) -> Masks:
        flow = None
        if self.settings.relative or self.motion is not None:
            if own_aus is None:
                raise ValueError("this generator must be told the faces' own AUs")
            change = aus - own_aus
            if self.motion is not None:
                flow = self.motion(faces, change[:, self._known], self._known)
                faces = warped(faces, flow)
            if self.settings.relative:
                aus = change
        aus = aus[:, self._known]
        if self.embedding is None:
            style = None
            tiled = aus[:, :, None, None].expand(-1, -1, *faces.shape[2:])
            features = self.encoder(torch.cat([faces, tiled], 1))
        else:
            style = self.embedding(aus)
            features = self.encoder(faces)
        for layer in (*self.bottleneck, *self.decoder):
            features = layer(features, style)
        masks = self.to_masks(features).float()
        colour = torch.tanh(masks[:, -3:])
        if self.settings.colour == "residual":
            colour = (faces + 2 * colour).clamp(-1.0, 1.0)
        if not self.settings.attention:
            return Masks(torch.zeros_like(colour[:, :1]), colour, faces, flow)
        return Masks(torch.sigmoid(masks[:, :1]), colour, faces, flow)


def for_aus(generator: Generator, aus: tuple[int, ...]) -> Generator:
    """The same generator for other AUs, to be trained on.

    What it knows of an AU is a column of its first layer's weights (of the embedding, or of the
    first convolution). Those of AUs in both are kept, new ones start at zero: the faces it makes
    are the same as before with the AUs that it no longer knows at 0, whatever the new ones are.
    """
    known = generator.settings.aus
    other = Generator(replace(generator.settings, aus=aus))
    # Behind the three colours, where AUs are channels of the input.
    name, first = ("encoder.0.weight", 3) if other.embedding is None else ("embedding.0.weight", 0)
    weights = generator.state_dict()
    before = weights[name]
    after = before.new_zeros(before.shape[0], first + len(aus), *before.shape[2:])
    after[:, :first] = before[:, :first]
    for column, number in enumerate(aus, first):
        if number in known:
            after[:, column] = before[:, first + known.index(number)]
    other.load_state_dict(weights | {name: after})
    return other


def with_motion(generator: Generator) -> Generator:
    """The same generator, to be trained on moved faces; its `motion` has not learned any yet."""
    other = Generator(replace(generator.settings, motion=True))
    other.load_state_dict(other.state_dict() | generator.state_dict())
    return other


def load_generator(path: Path) -> tuple[Generator, int]:
    """A generator in evaluation mode and the size it was trained at; WrongUse for other files."""
    tensors, settings = load_weights(path, kind="generator")
    generator = build(lambda: Generator(GeneratorSettings(**settings["generator"])), path)
    fill(generator, tensors, path)
    return generator.eval(), settings["size"]


def _conv(inputs: int, outputs: int, kernel: int, stride: int, affine: bool) -> list[nn.Module]:
    padding = (kernel - 1) // 2
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.InstanceNorm2d(outputs, affine=affine),
        nn.ReLU(inplace=True),
    ]


class _Norm(nn.Module):
    """Instance normalisation; scale and shift are learned, or come from a style (AdaIN)."""

    def __init__(self, channels: int, style: int | None, affine: bool) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels, affine=affine and style is None)
        self.from_style = None if style is None else nn.Linear(style, 2 * channels)

    def forward(self, x: Tensor, style: Tensor | None) -> Tensor:
        x = self.norm(x)
        if self.from_style is None:
            return x
        scale, shift = self.from_style(style)[:, :, None, None].chunk(2, 1)
        return x * (1 + scale) + shift


class _Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, width: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = norm(width)

    def forward(self, x: Tensor, style: Tensor | None) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x), style))
        return x + self.norm2(self.conv2(y), style)


class _Enlarge(nn.Module):
    """Twice the resolution, by a transposed convolution or by enlarging and convolving."""

    def __init__(
        self, inputs: int, outputs: int, upsampling: str, norm: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.conv: nn.Module
        if upsampling == "nearest":
            self.conv = nn.Sequential(
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            )
        else:
            self.conv = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
        self.norm = norm(outputs)

    def forward(self, x: Tensor, style: Tensor | None) -> Tensor:
        return F.relu(self.norm(self.conv(x), style))
