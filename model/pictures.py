"""Grids of pictures that show what a generator does."""

from pathlib import Path

import torch
from torch import Tensor
from torchvision.utils import save_image

from ..pipeline.action_units import COUNT, Edit, apply_edits
from ..pipeline.files import write_whole
from .data import Faces, to_model
from .generator import Generator

GRID_FACES = 8
SHOWN_EDITS: dict[str, list[Edit]] = {
    "AU12": [Edit(12, 1.0)],
    "AU4": [Edit(4, 1.0)],
    "AU1+2": [Edit(1, 0.8), Edit(2, 0.8)],
    "AU25+26": [Edit(25, 0.8), Edit(26, 0.8)],
}
"""What a grid shows, column by column, after the input."""


@torch.inference_mode()
def save_grid(path: Path, generator: Generator, faces: Faces) -> None:
    """Write a PNG: a row for each of the first GRID_FACES: input, each edit, AU12's masks."""
    device = next(generator.parameters()).device
    images = to_model(faces.images[:GRID_FACES]).to(device)
    own = faces.aus[:GRID_FACES].numpy()
    columns = [images]
    for edits in SHOWN_EDITS.values():
        aus = torch.stack([torch.from_numpy(apply_edits(values, edits)) for values in own])
        assert aus.shape[1] == COUNT
        masks = generator(images, aus.to(device))
        columns.append(masks.blend(images))
        if len(columns) == 2:
            shown_masks = [masks.attention.expand_as(images) * 2 - 1, masks.colour]
    grid: Tensor = torch.stack([*columns, *shown_masks], 1).flatten(0, 1)
    write_whole(
        path,
        lambda beside: save_image(
            grid, beside, format="png", nrow=len(columns) + 2, normalize=True, value_range=(-1, 1)
        ),
    )
