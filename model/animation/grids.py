"""Preview pictures of a generator: several faces with some edits, and one face with each AU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ...pipeline.action_units import Edit, apply_edits
from ...pipeline.files import write_whole
from ..networks.load import AnyGenerator
from ..pixels import from_model, to_model

if TYPE_CHECKING:
    from ..data import Faces

GRID_FACES = 8
"""Number of faces in a grid."""
SHOWN_EDITS: dict[str, list[Edit]] = {
    "AU12": [Edit(12, 1.0)],
    "AU4": [Edit(4, 1.0)],
    "AU1+2": [Edit(1, 0.8), Edit(2, 0.8)],
    "AU25+26": [Edit(25, 0.8), Edit(26, 0.8)],
}
"""The edits in a grid, by the heading of their column. The grid shows the masks and the cycle
reconstruction for the first."""
SWEEP_LEVELS = (0.0, 0.33, 0.67, 1.0)
"""The values of each AU in a sweep."""
_HEADING_HEIGHT = 16  # px


@torch.inference_mode()
def save_grid(path: Path, generator: AnyGenerator, faces: "Faces") -> None:
    """Write a PNG with one row for each of the first GRID_FACES faces.

    The columns are the input; the attention mask, the colour mask, the output and the cycle
    reconstruction for the first edit of SHOWN_EDITS; and the output for each other edit.
    """
    device = next(generator.parameters()).device
    images = to_model(faces.images[:GRID_FACES]).to(device)
    own = faces.aus[:GRID_FACES].to(device)
    columns = {"input": images}
    for name, edits in known_edits(SHOWN_EDITS, generator.settings.aus).items():
        aus = _edited(own, edits)
        masks = generator(images, aus, own)
        output = masks.blend()
        if len(columns) == 1:
            columns["attention"] = masks.attention.expand_as(images) * 2 - 1
            columns["colour"] = masks.colour
            columns[name] = output
            columns["cycle"] = generator(output, own, aus).blend()
        else:
            columns[name] = output
    _save(path, torch.stack(list(columns.values()), 1), list(columns))


@torch.inference_mode()
def save_sweep(path: Path, generator: AnyGenerator, faces: "Faces") -> None:
    """Write a PNG of the first face with one AU changed: a column per AU that the generator knows,
    a row per value of SWEEP_LEVELS."""
    device = next(generator.parameters()).device
    known = generator.settings.aus
    images = to_model(faces.images[:1]).to(device).expand(len(known), -1, -1, -1)
    own = faces.aus[:1].to(device)
    rows = []
    for level in SWEEP_LEVELS:
        aus = torch.cat([_edited(own, [Edit(number, level)]) for number in known])
        rows.append(generator(images, aus, own.expand_as(aus)).blend())
    _save(path, torch.stack(rows), [f"AU{number}" for number in known])


def known_edits(
    edits_by_label: Mapping[str, list[Edit]], known: Sequence[int]
) -> dict[str, list[Edit]]:
    """Reduce labelled edits to the AUs that a generator knows.

    An edit that loses some of its AUs is labelled with those that are left. If none is left at
    all, the result sets each of the first known AUs to 1, at most as many as there were edits.
    """
    kept: dict[str, list[Edit]] = {}
    for label, edits in edits_by_label.items():
        left = [edit for edit in edits if edit.number in known]
        if left != edits:
            label = "AU" + "+".join(str(edit.number) for edit in left)
        if left:
            kept.setdefault(label, left)
    return kept or {f"AU{number}": [Edit(number, 1.0)] for number in known[: len(edits_by_label)]}


def _edited(own: Tensor, edits: list[Edit]) -> Tensor:
    """Apply edits to AUs (n, 17)."""
    aus = [apply_edits(values, edits) for values in own.cpu().numpy()]
    return torch.from_numpy(np.stack(aus)).to(own.device)


def _save(path: Path, pictures: Tensor, headings: list[str]) -> None:
    """Write pictures (rows, columns, 3, side, side) in -1..1 as one PNG, with a heading over each
    column."""
    side = pictures.shape[-1]
    pixels = from_model(pictures).round().byte().cpu().permute(0, 3, 1, 4, 2)
    grid = pixels.reshape(pictures.shape[0] * side, pictures.shape[1] * side, 3).numpy()
    whole = Image.new("RGB", (grid.shape[1], grid.shape[0] + _HEADING_HEIGHT), "white")
    whole.paste(Image.fromarray(grid), (0, _HEADING_HEIGHT))
    draw = ImageDraw.Draw(whole)
    for number, heading in enumerate(headings):
        draw.text((number * side + side / 2, _HEADING_HEIGHT / 2), heading, "black", anchor="mm")
    write_whole(path, lambda beside: whole.save(beside, "PNG"))
