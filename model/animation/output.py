"""Write rendered pictures as PNG, JPEG or GIF files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...pipeline.errors import WrongUse
from ...pipeline.files import write_whole

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".gif": "GIF"}
"""Pillow's name of the format by the ending of the file name."""
_GIF_SIDE = 640  # px, the longer side at most
_FRAME_MS = 60
_LAST_FRAME_MS = 800


def check_format(path: Path) -> None:
    """Raise WrongUse if the file name does not end in one of FORMATS."""
    if path.suffix.lower() not in FORMATS:
        raise WrongUse(
            f"{path.name} ends in none of {', '.join(FORMATS)}: name the output one of these."
        )


def save(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Write pictures (h, w, 3) uint8 RGB to a file, completely or not at all.

    A GIF contains all frames, is repeated without end and is reduced to at most 640 px a side.
    The other formats contain the first frame. Raises WrongUse for a name with another ending.
    """
    check_format(path)
    kind = FORMATS[path.suffix.lower()]
    pictures = [Image.fromarray(frame) for frame in frames]
    options: dict[str, Any] = {}
    if kind == "GIF":
        for picture in pictures:
            picture.thumbnail((_GIF_SIDE, _GIF_SIDE))
        options = {
            "save_all": True,
            "append_images": pictures[1:],
            "duration": [_FRAME_MS] * (len(pictures) - 1) + [_LAST_FRAME_MS],
            "loop": 0,
        }
    elif kind == "JPEG":
        options = {"quality": 95}
    write_whole(path, lambda beside: pictures[0].save(beside, format=kind, **options))
