"""Sheets of pictures in rows and columns with headings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ganim.model.animation.faces import Face
from ganim.pipeline.files import write_whole

SIDE = 128
_HEADING, _GAP = 18, 4
_AROUND = 0.15
"""How much of its side a face's crop is wider on each side in a sheet."""


def tile(picture: np.ndarray, face: Face) -> np.ndarray:
    """The face of a picture (h, w, 3) uint8 with some of what is around it, SIDE px."""
    crop = face.crop
    margin = crop.width * _AROUND
    box = (crop.left - margin, crop.top - margin, crop.right + margin, crop.bottom + margin)
    size = (SIDE, SIDE)
    cut = Image.fromarray(picture).transform(
        (4 * SIDE, 4 * SIDE), Image.Transform.EXTENT, box, Image.Resampling.BICUBIC
    )
    return np.asarray(cut.resize(size, Image.Resampling.LANCZOS))


def labelled(picture: np.ndarray, text: str) -> np.ndarray:
    """A picture with a line of text below."""
    height, width = picture.shape[:2]
    whole = Image.new("RGB", (width, height + _HEADING), "white")
    whole.paste(Image.fromarray(picture), (0, 0))
    ImageDraw.Draw(whole).text((width / 2, height + _HEADING / 2), text, "black", anchor="mm")
    return np.asarray(whole)


def write(
    path: Path,
    rows: Sequence[Sequence[np.ndarray]],
    headings: Sequence[str],
    titles: Sequence[str] = (),
) -> None:
    """Write a sheet as PNG or JPEG.

    rows: of pictures (h, w, 3) uint8 of one size. headings: of the columns. titles: of the rows, at
    their left.
    """
    height, width = rows[0][0].shape[:2]
    top, left = _HEADING if headings else 0, 0
    if titles:
        measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
        left = round(max(measure.textlength(title) for title in titles)) + 2 * _GAP
    columns = max(map(len, rows))
    whole = Image.new(
        "RGB",
        (left + columns * (width + _GAP) - _GAP, top + len(rows) * (height + _GAP) - _GAP),
        "white",
    )
    draw = ImageDraw.Draw(whole)
    for number, heading in enumerate(headings):
        x = left + number * (width + _GAP) + width / 2
        draw.text((x, _HEADING / 2), heading, "black", anchor="mm")
    for index, row in enumerate(rows):
        y = top + index * (height + _GAP)
        if titles:
            draw.text((_GAP, y + height / 2), titles[index], "black", anchor="lm")
        for number, picture in enumerate(row):
            whole.paste(Image.fromarray(picture), (left + number * (width + _GAP), y))
    kind = "PNG" if path.suffix == ".png" else "JPEG"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda beside: whole.save(beside, kind, quality=88))
