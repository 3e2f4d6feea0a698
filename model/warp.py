"""Resampling of crops: by an affine map, by a flow field, and at a lower resolution."""

import torch
import torch.nn.functional as F
from torch import Tensor


def moved(crops: Tensor, turn: Tensor, shift: Tensor) -> Tensor:
    """Resample crops by an affine map from output to input coordinates.

    Args:
        crops: (n, channels, h, w).
        turn: (n, 2, 2), the linear part, in coordinates of -1..1 across the crop.
        shift: (n, 2), the translation, in half sides.

    Returns crops of the same shape. Outside of a crop its border pixels repeat.
    """
    theta = torch.cat([turn, shift[:, :, None]], 2)
    grid = F.affine_grid(theta, list(crops.shape), align_corners=False)
    return F.grid_sample(crops, grid, padding_mode="border", align_corners=False)


def warped(faces: Tensor, flow: Tensor) -> Tensor:
    """Resample faces by a flow field.

    Args:
        faces: (n, channels, h, w).
        flow: (n, 2, h, w), the offset (right, down) from each output pixel to the input pixel that
            it shows, in half sides.

    Returns faces of the same shape. Outside of a face its border pixels repeat.
    """
    identity = torch.eye(2, 3, device=faces.device)[None]
    # One grid for all: torch.export would take a grid of each face for one of so many faces.
    grid = F.affine_grid(identity, [1, *faces.shape[1:]], align_corners=False)
    grid = grid + flow.permute(0, 2, 3, 1)
    return F.grid_sample(faces, grid, padding_mode="border", align_corners=False)


def coordinates(x: Tensor) -> Tensor:
    """(n, 2, h, w): x and y of each pixel of x (n, any, h, w) in -1..1."""
    identity = torch.eye(2, 3, device=x.device)[None]
    grid = F.affine_grid(identity, [1, *x.shape[1:]], align_corners=False)
    return grid.permute(0, 3, 1, 2).expand(x.shape[0], -1, -1, -1)


def resized(values: Tensor, like: Tensor) -> Tensor:
    """Values (n, channels, any, any) at the height and width of another tensor (n, any, h, w)."""
    return F.interpolate(values, like.shape[2:], mode="bilinear", align_corners=False)


def at_resolution(crops: Tensor, side: int) -> Tensor:
    """Reduce crops (n, channels, size, size) to `side` px and enlarge them to their size again."""
    return F.interpolate(F.interpolate(crops, side, mode="area"), crops.shape[-1], mode="bilinear")
