"""Landmark detection in a crop, and the aligned view from which the estimator reads.

The position and scale of a face in its HOG box vary by about a tenth of the crop from one
photograph to the next. OpenFace therefore aligns every face by its landmarks before it reads
action units (Baltrusaitis et al. 2018, "OpenFace 2.0", section 4.4). The estimator does the same
with a landmark network of its own.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .points import MIRRORED, POINTS, RIGID, SIZE

VIEW = 112
"""Side of the aligned view in px. A face has the same size in px as in a crop of 128 px."""


def unit(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution with batch normalisation and ReLU.

    Args:
        inputs, outputs: numbers of channels.
        kernel: odd side of the kernel; the padding keeps the resolution at stride 1.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def fitted(crops: Tensor) -> Tensor:
    """Resize crops (n, 3, size, size) to (n, 3, 128, 128), the input of aligner and estimator."""
    if crops.shape[-1] == SIZE:
        return crops
    return F.interpolate(crops, (SIZE, SIZE), mode="bicubic", align_corners=False)


class Aligner(nn.Module):
    """A convolutional network from crops to landmarks.

    Input: crops (n, 3, 128, 128) in -1..1, which are read at half of their resolution.
    Output: landmarks (n, 68, 2), x and y in -1..1 across the crop, float32.
    """

    def __init__(self, widths: Sequence[int] = (24, 48, 64, 96)) -> None:
        super().__init__()
        first, *others = widths
        layers: list[nn.Module] = [unit(3, first, 5, 2)]
        for inputs, outputs in zip(widths, others, strict=False):
            layers += [unit(inputs, outputs, 3, 2), unit(outputs, outputs, 3)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1] * 4 * 4, POINTS * 2)
        nn.init.zeros_(self.head.weight)

    def forward(self, crops: Tensor) -> Tensor:
        features = self.layers(F.avg_pool2d(crops, 2))
        return self.head(features.flatten(1)).float().view(-1, POINTS, 2)


class UprightView(nn.Module):
    """Similarity alignment: maps the rigid landmarks of a face onto those of a mean face.

    Args:
        mean_face: (68, 2), x and y in -1..1 across the view.
    """

    mean_face: Tensor
    _pixels: Tensor

    def __init__(self, mean_face: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean_face", mean_face)
        line = (torch.arange(VIEW) * 2 + 1) / VIEW - 1
        y, x = torch.meshgrid(line, line, indexing="ij")
        self.register_buffer("_pixels", torch.stack([x, y], -1).view(-1, 2), persistent=False)

    def similarity(self, landmarks: Tensor) -> tuple[Tensor, Tensor]:
        """The similarity transform from the view to the crop for landmarks (n, 68, 2).

        Returns the scaled rotation (n, 2, 2) and the translation (n, 2) that minimise the squared
        distance over the rigid landmarks (Umeyama 1991). In two dimensions the solution has a
        closed form without a singular value decomposition.
        """
        rigid = list(RIGID)
        fixed = self.mean_face[rigid]
        centre = fixed.mean(0)
        fixed = fixed - centre
        found = landmarks[:, rigid]
        middle = found.mean(1)
        found = found - middle[:, None]
        power = fixed.square().sum()
        a = (found * fixed).sum((1, 2)) / power
        b = (fixed[:, 0] * found[:, :, 1] - fixed[:, 1] * found[:, :, 0]).sum(1) / power
        turn = torch.stack([torch.stack([a, -b], -1), torch.stack([b, a], -1)], -2)
        return turn, middle - _apply(turn, centre.expand(turn.shape[0], 1, 2))[:, 0]

    def forward(self, crops: Tensor, landmarks: Tensor) -> Tensor:
        """Resample crops (n, 3, h, w) to aligned views (n, 3, VIEW, VIEW).

        Outside of the crop its border pixels repeat.
        """
        turn, shift = self.similarity(landmarks)
        grid = _apply(turn, self._pixels[None]) + shift[:, None]
        grid = grid.view(-1, VIEW, VIEW, 2)
        return F.grid_sample(crops, grid, padding_mode="border", align_corners=False)

    def straighten(self, landmarks: Tensor) -> Tensor:
        """Landmarks (n, 68, 2) of the crop, in the coordinates of the view."""
        turn, shift = self.similarity(landmarks)
        power = turn[:, 0].square().sum(1)[:, None, None]
        return _apply(turn.transpose(1, 2), landmarks - shift[:, None]) / power


def _apply(turn: Tensor, points: Tensor) -> Tensor:
    """Multiply points (n, p, 2) by matrices (n, 2, 2).

    The product is written out, because autocast computes matrix products in bfloat16, whose
    rounding error is half a pixel here.
    """
    return points[:, :, :1] * turn[:, None, :, 0] + points[:, :, 1:] * turn[:, None, :, 1]


def mean_face(landmarks: Tensor) -> Tensor:
    """The mean shape (68, 2) of landmarks (n, 68, 2), in the coordinates of the view.

    Generalised Procrustes analysis (Gower 1975): in each of four rounds all faces are aligned to
    the mean of the round before. The result is symmetric, and scaled and centred so that brows,
    eyes and mouth fill the view.
    """
    rigid = list(RIGID)
    mean = landmarks.mean(0)
    for _ in range(4):
        view = UprightView(mean)
        mean = view.straighten(landmarks).mean(0)
        # Without this, the mean could shrink from round to round.
        size = (landmarks[:, rigid] - landmarks[:, rigid].mean(1, keepdim=True)).norm(dim=-1).mean()
        centred = mean - mean[rigid].mean(0)
        mean = centred * (size / centred[rigid].norm(dim=-1).mean())
    mirrored = mean[list(MIRRORED)] * torch.tensor([-1.0, 1.0])
    mean = (mean + mirrored - (mean + mirrored).mean(0) * torch.tensor([1.0, 0.0])) / 2
    mean = mean * (SIZE / VIEW)
    return mean - (mean.amin(0) + mean.amax(0)) / 2
