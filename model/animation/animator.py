"""Animate the face of a photograph: read its AUs, change some, put the change back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...pipeline.action_units import Edit, apply_edits, in_words
from ...pipeline.errors import NothingUsable, WrongUse
from ...pipeline.faces import detect
from ...pipeline.faces.crop import Box, crop_box, cut_crop
from ...pipeline.faces.paste import paste_change
from ...pipeline.files import write_whole
from ..checkpoint import WEIGHTS
from ..estimator import annotator
from ..estimator.network import load_estimator
from ..networks.generator import load_generator
from ..pixels import to_model

SHIPPED = WEIGHTS / "generator.safetensors"
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".gif": "GIF"}
_GIF_SIDE = 640
_FRAME_MS = 60
_LAST_FRAME_MS = 800


@dataclass(frozen=True)
class FoundFace:
    """The main face of a photograph, as the generator sees it."""

    crop: Box
    """Where it stands in the photograph, in pixels."""
    picture: np.ndarray
    """(size, size, 3) uint8 RGB, at the generator's size."""
    own_aus: np.ndarray
    """(17,) in 0-1, as the estimator reads them."""


class Animator:
    """A generator and the estimator, loaded once for any number of photographs."""

    def __init__(self, weights: Path = SHIPPED, estimator_weights: Path = annotator.SHIPPED):
        self._generator, self._size = load_generator(weights)
        self._estimator = load_estimator(estimator_weights)

    def find(self, photograph: np.ndarray) -> FoundFace:
        """The largest face of an RGB photograph (h, w, 3) uint8; NothingUsable without one."""
        found = detect.detect_faces(photograph, most=1)
        if not found:
            raise NothingUsable(
                "No face was found in the photograph: it should show one from the front, "
                "80 pixels wide or more."
            )
        crop = crop_box(found[0].box)
        seen = cut_crop(photograph, crop, annotator.SIZE)
        own = self._estimator.read(_batch(seen)).aus[0].numpy()
        return FoundFace(crop, cut_crop(photograph, crop, self._size), own)

    @torch.inference_mode()
    def render(self, photograph: np.ndarray, face: FoundFace, aus: np.ndarray) -> np.ndarray:
        """The full photograph with these AUs (17 values, 0-1), of which those count that the
        generator knows; outside the crop its pixels are untouched."""
        inputs = to_model(_batch(face.picture))
        target = torch.from_numpy(np.asarray(aus, np.float32))[None]
        own = torch.from_numpy(face.own_aus)[None]
        (change,) = self._generator(inputs, target, own).changes()
        return paste_change(photograph, face.crop, change)

    def frames(self, photograph: np.ndarray, edits: Sequence[Edit], count: int) -> list[np.ndarray]:
        """`count` pictures from the photograph as it is to the edits, AUs moving evenly.

        Each is generated from a*target + (1-a)*own, a from 0 to 1 (Pumarola et al. 2018,
        section 6.3); the first is the photograph itself. A count of 1 gives the target alone.
        Raises WrongUse for an AU that the generator does not know.
        """
        self.check(edits)
        face = self.find(photograph)
        target = apply_edits(face.own_aus, edits)
        if count == 1:
            return [self.render(photograph, face, target)]
        steps = np.linspace(0.0, 1.0, count)[1:]
        moving = [a * target + (1 - a) * face.own_aus for a in steps]
        return [photograph, *(self.render(photograph, face, aus) for aus in moving)]

    def check(self, edits: Sequence[Edit]) -> None:
        """Raise WrongUse for an AU that the generator does not know."""
        known = self._generator.settings.aus
        unknown = sorted({edit.number for edit in edits} - set(known))
        if unknown:
            raise WrongUse(
                f"These weights do not know {in_words(unknown)}: they know {in_words(known)} alone."
            )


def check_format(path: Path) -> None:
    """Raise WrongUse for an output name whose ending is not one of FORMATS."""
    if path.suffix.lower() not in FORMATS:
        raise WrongUse(
            f"{path.name} ends in none of {', '.join(FORMATS)}: name the output one of these."
        )


def save(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Write one frame as PNG or JPEG, or several as a GIF of at most 640 pixels a side."""
    check_format(path)
    kind = FORMATS[path.suffix.lower()]
    pictures = [Image.fromarray(frame) for frame in frames]
    if kind == "GIF":
        for picture in pictures:
            picture.thumbnail((_GIF_SIDE, _GIF_SIDE))
        durations = [_FRAME_MS] * (len(pictures) - 1) + [_LAST_FRAME_MS]
        options = {
            "save_all": True,
            "append_images": pictures[1:],
            "duration": durations,
            "loop": 0,
        }
    else:
        options = {"quality": 95} if kind == "JPEG" else {}
    write_whole(path, lambda beside: pictures[0].save(beside, format=kind, **options))


def _batch(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]
