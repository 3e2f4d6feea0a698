"""Where the face is in a crop: 68 landmarks, and the upright view the estimator reads from.

A HOG box is loose: the same face sits a tenth of the crop higher or smaller in the next
photograph. OpenFace turns every face to one position by its landmarks before it reads action
units (Baltrusaitis et al. 2018, section 4.4); so does the estimator, by landmarks of its own.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.faces import CROP_SIZE as SIZE

POINTS = 68
"""Landmarks in the order of the iBUG 300-W scheme, which dlib and OpenFace share."""
RIGID = (*range(1, 5), *range(12, 16), *range(27, 37), 39, 40, 41, 42, 45, 46, 47)
"""Those that expressions hardly move: sides of the jaw, nose, corners and lower lids of the eyes.
They decide position, scale and turn."""
VIEW = 112
"""Side of the upright view, px; it is as large in pixels as the face is in a 128 px crop."""

# Each point's partner in the mirror: jaw, brows, nose, eyes, mouth.
MIRRORED = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *(27, 28, 29, 30, 35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
)


def unit(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution with batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def fitted(crops: Tensor) -> Tensor:
    """Crops (n, 3, size, size) at the 128 px that aligner and estimator look at."""
    if crops.shape[-1] == SIZE:
        return crops
    return F.interpolate(crops, (SIZE, SIZE), mode="bicubic", align_corners=False)


class Aligner(nn.Module):
    """Crops (n, 3, 128, 128) in -1..1 to landmarks (n, 68, 2), x and y in -1..1 across the crop.

    It looks at half the resolution, which is enough to say where a face is.
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
    """Cuts the view in which the rigid landmarks lie as near as can be to those of a mean face.

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
        """The turn and scale (n, 2, 2) and the shift (n, 2) that lead from the view to the crop,
        by least squares over the rigid points (Umeyama 1991, without its singular values, which
        two dimensions do not need)."""
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
        """(n, 3, VIEW, VIEW); where the view leaves the crop, edge pixels repeat."""
        turn, shift = self.similarity(landmarks)
        grid = _apply(turn, self._pixels[None]) + shift[:, None]
        grid = grid.view(-1, VIEW, VIEW, 2)
        return F.grid_sample(crops, grid, padding_mode="border", align_corners=False)

    def straighten(self, landmarks: Tensor) -> Tensor:
        """Landmarks (n, 68, 2) as they lie in the view."""
        turn, shift = self.similarity(landmarks)
        power = turn[:, 0].square().sum(1)[:, None, None]
        return _apply(turn.transpose(1, 2), landmarks - shift[:, None]) / power


def _apply(turn: Tensor, points: Tensor) -> Tensor:
    """Points (n, p, 2) through matrices (n, 2, 2), written out, since autocast would round the
    product of matrices to 8 bits, which is half a pixel."""
    return points[:, :, :1] * turn[:, None, :, 0] + points[:, :, 1:] * turn[:, None, :, 1]


def mean_face(landmarks: Tensor) -> Tensor:
    """The mean (68, 2) of landmarks (n, 68, 2) in crops, each first moved, turned and scaled onto
    the mean before (generalised Procrustes), placed so that brows, eyes and mouth fill the view."""
    rigid = list(RIGID)
    mean = landmarks.mean(0)
    for _ in range(4):
        view = UprightView(mean)
        mean = view.straighten(landmarks).mean(0)
        # The mean may shrink or turn from round to round: keep it as large as faces are.
        size = (landmarks[:, rigid] - landmarks[:, rigid].mean(1, keepdim=True)).norm(dim=-1).mean()
        centred = mean - mean[rigid].mean(0)
        mean = centred * (size / centred[rigid].norm(dim=-1).mean())
    mirrored = mean[list(MIRRORED)] * torch.tensor([-1.0, 1.0])
    mean = (mean + mirrored - (mean + mirrored).mean(0) * torch.tensor([1.0, 0.0])) / 2
    mean = mean * (128 / VIEW)
    return mean - (mean.amin(0) + mean.amax(0)) / 2
