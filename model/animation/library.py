"""The Python interface: `ganim.load()` gives what is here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ...pipeline.action_units import Edit, au_number, parse_edits
from ...pipeline.errors import WrongUse
from ...pipeline.expressions import Request, parse_expression
from ...pipeline.files import write_whole
from ...pipeline.images.picture import Picture, picture_of_array, picture_of_image
from ...pipeline.images.write import FORMATS, encode
from .animator import SHIPPED, Animator
from .faces import Face, choose
from .stills import labelled, read

Photo = str | Path | bytes | np.ndarray | Image.Image | Picture
"""A photograph: the path of a file or its bytes; an array (h, w) grey, (h, w, 3) RGB or (h, w, 4)
with transparency, uint8 or uint16; or a picture of Pillow's or of ganim's."""
AUs = Mapping[int | str, float] | str
"""What is asked for: `{12: 1.0, "cheek_raiser": 0.7}`, or text as after `--au`: `12=1,6=+0.3`."""


@dataclass(frozen=True)
class Animated:
    """A photograph with edited faces."""

    picture: Picture
    """In the photograph's own colours and depth, with its metadata."""

    @property
    def pixels(self) -> np.ndarray:
        """(h, w, channels) uint8 or uint16, as in the photograph."""
        return self.picture.pixels

    @property
    def image(self) -> Image.Image:
        """As Pillow's, in sRGB."""
        return Image.fromarray(self.picture.rgb)

    def save(self, path: str | Path, quality: int | None = None) -> list[str]:
        """Write a PNG, JPEG, WebP, TIFF or AVIF file, by the ending of its name.

        quality: 1-100, of JPEG, WebP and AVIF; 95 by default.

        Returns a sentence about each thing that the format cannot hold. Raises WrongUse for another
        ending, and CannotWrite. An existing file is replaced.
        """
        path = Path(path)
        if path.suffix.lower() not in FORMATS:
            raise WrongUse(f"{path.name} ends in none of {', '.join(FORMATS)}.")
        content, notes = encode(self.picture, path.suffix.lower(), quality)
        write_whole(path, lambda beside: beside.write_bytes(content))
        return notes


class Ganim:
    """A generator, loaded once, for any number of photographs.

    Args:
        weights: a file of generator weights; None: those that ship.
        device: where the generator computes, such as `cpu` or `cuda`.
    """

    def __init__(self, weights: str | Path | None = None, device: str = "cpu") -> None:
        self.animator = Animator(Path(weights or SHIPPED), torch.device(device))

    def faces(self, photo: Photo) -> list[Face]:
        """The faces of a photograph, largest first, with their AUs, landmarks and pose.

        Raises NothingUsable for a file that cannot be read.
        """
        return self.animator.faces(to_picture(photo).rgb)

    def animate(
        self,
        photo: Photo,
        aus: AUs | None = None,
        *,
        expression: str | None = None,
        like: Photo | None = None,
        face: int | Face | None = 1,
        label: bool = True,
    ) -> Animated:
        """Edit the faces of a photograph.

        Args:
            photo: the photograph.
            aus: what is changed; the other AUs stay as they are.
            expression: the whole expression by name, such as `happy` or `sadly angry`.
            like: another photograph, whose expression is taken.
            face: which face, by size from 1, or one of `faces`; None: all.
            label: whether files say that they are synthetic.

        Raises WrongUse for AUs that there are not, and NothingUsable if there is no face.
        """
        picture = to_picture(photo)
        request = self._request(aus, expression, like)
        self.animator.check(request)
        if isinstance(face, Face):
            chosen = [face]
        else:
            chosen = choose(self.animator.faces(picture.rgb), face)
        targets = [request.target(one.own_aus) for one in chosen]
        edited = self.animator.edit(picture, chosen, targets)
        if label and edited is not picture:
            edited = labelled(edited, chosen, targets)
        return Animated(edited)

    def _request(self, aus: AUs | None, expression: str | None, like: Photo | None) -> Request:
        if expression is not None and like is not None:
            raise WrongUse("expression and like each set the whole face: give one.")
        whole = None if expression is None else parse_expression(expression)
        if like is not None:
            whole = self.animator.find(to_picture(like).rgb).own_aus
        return Request(_edits(aus or {}), whole)


def to_picture(photo: Photo) -> Picture:
    """A photograph in any of its forms. Raises NothingUsable for a file that cannot be read."""
    if isinstance(photo, Picture):
        return photo
    if isinstance(photo, Image.Image):
        return picture_of_image(photo)
    if isinstance(photo, np.ndarray):
        return picture_of_array(photo)
    return read(Path(photo) if isinstance(photo, str) else photo)


def _edits(aus: AUs) -> list[Edit]:
    if isinstance(aus, str):
        return parse_edits([aus])
    edits = [Edit(au_number(str(name)), float(value)) for name, value in aus.items()]
    for edit in edits:
        if not 0 <= edit.value <= 1:
            raise WrongUse(f"AU{edit.number}: {edit.value:g} is not from 0 to 1.")
    return edits
