"""The generator: from a face and target AUs to an attention mask, a colour mask and a new face.

Pumarola et al., GANimation (ECCV 2018; IJCV 2019), section 4.1. An attention of 1 keeps the input,
as in the journal paper and the original code.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import positions
from ..config import GeneratorSettings
from ..editing.masks import Masks
from ..warp import warped
from .motion import Motion

_STYLE = 64  # dimensions of the embedding of the AUs for AdaIN


class Generator(nn.Module):
    """The generator network.

    Its call takes faces (n, 3, h, w) in -1..1, where h and w are multiples of 4, target AUs (n, 17)
    and the faces' own AUs (n, 17) in 0-1, and returns Masks. Only the AUs in `settings.aus` have an
    effect. The own AUs are needed by a generator with `relative` or `motion`, which raises
    ValueError without them; other generators ignore them.

    Instance normalisation has no running statistics, so that the network computes the same in
    training and in evaluation mode.
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
                _Upsample(width * 4, width * 2, settings.upsampling, norm),
                _Upsample(width * 2, width, settings.upsampling, norm),
            ]
        )
        # One convolution for both masks is equivalent to two and takes half the time on a CPU,
        # where one or three channels are as slow as sixteen.
        self.to_masks = nn.Conv2d(width, settings.attention + 3, 7, 1, 3, bias=False)
        if settings.colour == "residual":
            nn.init.zeros_(self.to_masks.weight)
        self.motion = Motion() if settings.motion else None

    def forward(self, faces: Tensor, aus: Tensor, own_aus: Tensor | None = None) -> Masks:
        flow = None
        if self.settings.relative or self.motion is not None:
            if own_aus is None:
                raise ValueError("a generator with `relative` or `motion` needs the own AUs")
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


def _conv(inputs: int, outputs: int, kernel: int, stride: int, affine: bool) -> list[nn.Module]:
    """A convolution with instance normalisation and ReLU."""
    padding = (kernel - 1) // 2
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.InstanceNorm2d(outputs, affine=affine),
        nn.ReLU(inplace=True),
    ]


class _Norm(nn.Module):
    """Instance normalisation with learned scale and shift, or with those that a linear layer
    computes from a style (AdaIN; Huang & Belongie 2017, equation 8)."""

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
    """A residual block of two 3x3 convolutions."""

    def __init__(self, width: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = norm(width)

    def forward(self, x: Tensor, style: Tensor | None) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x), style))
        return x + self.norm2(self.conv2(y), style)


class _Upsample(nn.Module):
    """Doubles the resolution by a transposed convolution, or by nearest-neighbour upsampling and a
    convolution (Odena et al. 2016)."""

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
