"""The Python interface: `ganim.load()` gives what is here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from ... import __version__
from ...pipeline.action_units import Edit, au_number, parse_edits
from ...pipeline.errors import WrongUse
from ...pipeline.expressions import Request, parse_expression
from ...pipeline.files import write_whole
from ...pipeline.images import is_clip
from ...pipeline.images.metadata import labelled_xmp
from ...pipeline.images.picture import Picture, picture_of_array, picture_of_image
from ...pipeline.images.write import FORMATS, encode
from .animator import SHIPPED, Animator
from .choose import chosen_faces, usable
from .faces import Face
from .keyframes import EASES, parse_keys
from .networks import Runtime
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
    notes: list[str]
    """Sentences about faces that were left out or may come out badly, and about what of the
    photograph could not be kept."""

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
        device: where the generator computes in torch, such as `cpu` or `cuda`.
        runtime: `torch`, or `onnx`, which starts faster and imports no torch.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        device: str = "cpu",
        runtime: Runtime = "torch",
    ) -> None:
        if runtime not in get_args(Runtime):
            raise WrongUse(f"There is no runtime {runtime!r}: it is torch or onnx.")
        self.animator = Animator(Path(weights or SHIPPED), device, runtime)

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

        Raises WrongUse for AUs that there are not, and NothingUsable if there is no face, or none
        that is turned to the camera.
        """
        picture = to_picture(photo)
        request = self._request(aus, expression, like)
        self.animator.check(request)
        if isinstance(face, Face):
            chosen, notes = usable([face])
        else:
            chosen, notes = chosen_faces(self.animator.faces(picture.rgb), face)
        targets = [request.target(one.own_aus) for one in chosen]
        edited = self.animator.edit(picture, chosen, targets)
        if label and edited is not picture:
            edited = labelled(edited, chosen, targets)
        return Animated(edited, [*notes, *picture.notes])

    def video(
        self,
        source: Photo,
        path: str | Path,
        aus: AUs | None = None,
        *,
        expression: str | None = None,
        like: Photo | None = None,
        keys: Sequence[str] = (),
        drive: str | Path | None = None,
        drive_neutral: float | None = None,
        face: int | None = 1,
        frames: int = 24,
        fps: float = 25,
        ease: str = "in-out",
        ping_pong: bool = False,
        plays: int = 0,
        label: bool = True,
    ) -> list[str]:
        """Write an animation as a GIF, APNG, WebP, MP4 or WebM file, a folder of PNGs, or a strip.

        Args:
            source: a photograph; or the path of a clip, whose faces are animated in every frame.
            path: the file, by its ending as for `-o`. What exists is replaced.
            aus, expression, like, face: as for `animate`.
            keys: keyframes in place of these, such as `"1.0:12=1,6=0.5"`, as for `--key`.
            drive: a clip or a CSV of OpenFace, whose expressions a photograph shows instead.
            drive_neutral: when its person shows no expression, in seconds; None: the median.
            frames, fps: the pictures of a photograph's animation, and how many a second.
            ease: `linear`, `in`, `out` or `in-out`: which ends are slow.
            ping_pong: whether a photograph's animation goes back again.
            plays: how often a GIF, WebP or APNG is shown; 0 is without end.
            label: whether the file says that it is synthetic.

        Returns sentences about what is missing. Raises WrongUse, NothingUsable or CannotWrite.
        """
        from . import motion, save

        path = Path(path)
        save.check_target(path, overwrite=True)
        request = self._request(aus, expression, like)
        if frames < 2 or fps <= 0 or plays < 0 or ease not in EASES:
            raise WrongUse(
                f"frames is from 2, fps above 0, plays from 0, and ease one of {', '.join(EASES)}."
            )
        keyframes = parse_keys(keys) if keys else ()
        settings = motion.Motion(frames, Fraction(str(fps)), ease, ping_pong, keyframes)
        clip = isinstance(source, str | Path) and is_clip(str(source))
        animation = motion.animate(
            self.animator,
            Path(str(source)) if clip else to_picture(source).rgb,
            face,
            request,
            settings,
            None if drive is None else Path(drive),
            drive_neutral,
        )
        said = str(drive or "; ".join(keys) or expression or aus or "")
        packet = labelled_xmp(None, __version__, said) if label else None
        return [*animation.notes, *save.save(path, animation, plays, packet)]

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
