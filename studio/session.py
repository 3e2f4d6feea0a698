"""What the studio holds for one person: a photograph, the face that is edited, and its AUs."""

import io
import threading
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..model.animation.animator import Animator
from ..model.animation.faces import Face
from ..model.animation.render import StillFace
from ..pipeline.action_units import Edit, apply_edits
from .photograph import Photograph
from .sliders import edits, positions_of

RENDERING = threading.Lock()
"""Held while a face is rendered: one at a time, whoever asks."""
_QUALITY = 92
"""Of the JPEG pictures that the page shows."""


class Session:
    """One person's photograph, and the face of it that the sliders edit.

    What the generator computes of the face alone is computed once.

    Args:
        animator: shared by all sessions.
        photograph: as `open_photograph` gives it.
        which: the face, from 0, the largest first.

    Attributes:
        face: in pixels of the photograph.
        region: what the generator sees of it, in pixels of the preview.
    """

    def __init__(self, animator: Animator, photograph: Photograph, which: int = 0) -> None:
        self.photograph = photograph
        self.which = which
        self.face: Face = photograph.faces[which]
        self.region = photograph.preview_region(self.face)
        rgb = photograph.preview if photograph.scale == 1.0 else photograph.picture().rgb
        self._still = StillFace(animator, rgb, self.face)

    @property
    def own_aus(self) -> np.ndarray:
        """(17,) float32 in 0-1: the AUs that the face shows."""
        return self._still.own_aus

    @property
    def positions(self) -> list[float]:
        """The positions of the sliders at the face's own AUs."""
        return positions_of(self.own_aus)

    def edits(self, positions: Sequence[float]) -> list[Edit]:
        """What the positions of the sliders ask for."""
        return edits(positions, self.own_aus)

    def target(self, positions: Sequence[float]) -> np.ndarray:
        """The AUs (17,) in 0-1 that the positions of the sliders ask for."""
        return apply_edits(self.own_aus, self.edits(positions))

    def preview(self, target: np.ndarray) -> np.ndarray:
        """The preview (h, w, 3) uint8 RGB with the face at AUs (17,) in 0-1.

        At the face's own AUs it is the photograph's, to the bit.
        """
        if np.array_equal(target, self.own_aus):
            return self.photograph.preview
        with RENDERING:
            (change,) = self._still.changes(target[None])
        return self.region.paste(self.photograph.preview, change)


def to_jpeg(pixels: np.ndarray) -> bytes:
    """A picture (h, w, 3) uint8 RGB for the page."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
