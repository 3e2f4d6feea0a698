"""Pictures that show what a generator does: a grid of faces, and one face through every AU."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ...pipeline.action_units import Edit, apply_edits
from ...pipeline.files import write_whole
from ..data import Faces
from ..networks.generator import Generator
from ..pixels import from_model, to_model

GRID_FACES = 8
SHOWN_EDITS: dict[str, list[Edit]] = {
    "AU12": [Edit(12, 1.0)],
    "AU4": [Edit(4, 1.0)],
    "AU1+2": [Edit(1, 0.8), Edit(2, 0.8)],
    "AU25+26": [Edit(25, 0.8), Edit(26, 0.8)],
}
"""What a grid shows; of the first it also shows the masks and the way back."""
SWEEP_LEVELS = (0.0, 0.33, 0.67, 1.0)
_HEADING = 16  # px


@torch.inference_mode()
def save_grid(path: Path, generator: Generator, faces: Faces) -> None:
    """Write a PNG, a row for each of the first GRID_FACES: input; attention, colour, output and
    reconstruction for the first edit, AU12; the output of the others."""
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
            columns["and back"] = generator(output, own, aus).blend()
        else:
            columns[name] = output
    _save(path, torch.stack(list(columns.values()), 1), list(columns))


@torch.inference_mode()
def save_sweep(path: Path, generator: Generator, faces: Faces) -> None:
    """Write a PNG: the first face with each AU alone, in columns, at SWEEP_LEVELS, in rows."""
    device = next(generator.parameters()).device
    known = generator.settings.aus
    images = to_model(faces.images[:1]).to(device).expand(len(known), -1, -1, -1)
    own = faces.aus[:1].to(device)
    rows = []
    for level in SWEEP_LEVELS:
        aus = torch.cat([_edited(own, [Edit(number, level)]) for number in known])
        rows.append(generator(images, aus, own.expand_as(aus)).blend())
    _save(path, torch.stack(rows), [f"AU{number}" for number in known])


def known_edits(shown: Mapping[str, list[Edit]], known: Sequence[int]) -> dict[str, list[Edit]]:
    """What can be shown of a generator that knows some AUs: the edits of these, or, where there
    are none, its first AUs."""
    kept: dict[str, list[Edit]] = {}
    for name, edits in shown.items():
        left = [edit for edit in edits if edit.number in known]
        if left != edits:
            name = "AU" + "+".join(str(edit.number) for edit in left)
        if left:
            kept.setdefault(name, left)
    return kept or {f"AU{number}": [Edit(number, 1.0)] for number in known[: len(shown)]}


def _edited(own: Tensor, edits: list[Edit]) -> Tensor:
    aus = [apply_edits(values, edits) for values in own.cpu().numpy()]
    return torch.from_numpy(np.stack(aus)).to(own.device)


def _save(path: Path, pictures: Tensor, headings: list[str]) -> None:
    """Pictures (rows, columns, 3, h, w) in -1..1 as one PNG with a heading over each column."""
    side = pictures.shape[-1]
    shown = from_model(pictures).round().byte().cpu().permute(0, 3, 1, 4, 2)
    grid = shown.reshape(pictures.shape[0] * side, pictures.shape[1] * side, 3).numpy()
    whole = Image.new("RGB", (grid.shape[1], grid.shape[0] + _HEADING), "white")
    whole.paste(Image.fromarray(grid), (0, _HEADING))
    draw = ImageDraw.Draw(whole)
    for number, heading in enumerate(headings):
        draw.text((number * side + side / 2, _HEADING / 2), heading, "black", anchor="mm")
    write_whole(path, lambda beside: whole.save(beside, "PNG"))
