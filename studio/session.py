"""What the studio holds for one person: a photograph, the face that is edited, and its AUs."""

import io
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..model.animation.animator import SHIPPED, Animator
from ..model.animation.faces import Face
from ..model.animation.render import StillFace
from ..pipeline.action_units import Edit, apply_edits
from ..pipeline.faces.frame import CropRegion, Frame
from ..pipeline.faces.identity import describe_landmarks
from .photograph import Photograph
from .sliders import edits, positions_of

RENDERING = threading.Lock()
"""Held while a face is rendered: one at a time, whoever asks."""
_QUALITY = 92
"""Of the JPEG pictures that the page shows."""


class Shown(NamedTuple):
    """A picture that the page shows."""

    number: int
    """How many were shown before."""
    target: np.ndarray
    """(17,) in 0-1: the AUs that were asked for."""
    pixels: np.ndarray
    """(h, w, 3) uint8 RGB."""


class Session:
    """One person's photograph, and the face of it that the sliders edit.

    What the generator computes of the face alone is computed once.

    Args:
        animator: shared by many sessions.
        photograph: as `open_photograph` gives it.
        which: the face, from 0, the largest first.

    Attributes:
        face: in pixels of the photograph.
        region: what the generator sees of it, in pixels of the preview.
        view: the part from which its AUs were read, in pixels of the preview.
        latest: what the page shows now.
        cancelled: set to end what is made of the photograph and takes long.
    """

    def __init__(self, animator: Animator, photograph: Photograph, which: int = 0) -> None:
        self.animator = animator
        self.photograph = photograph
        self.which = which
        self.face: Face = photograph.faces[which]
        assert self.face.region is not None and self.face.view is not None
        self.region = photograph.in_preview(self.face.region)
        view = photograph.in_preview(self.face.view)
        assert isinstance(view, CropRegion | Frame)
        self.view = view
        rgb = photograph.preview if photograph.scale == 1.0 else photograph.picture().rgb
        self._still = StillFace(animator, rgb, self.face)
        self.cancelled = threading.Event()
        self.latest = Shown(0, self.own_aus, photograph.preview)

    @property
    def weights(self) -> str | None:
        """The file of the generator's weights; None: those that ship."""
        weights = self.animator.weights
        return None if weights == SHIPPED else str(weights)

    @property
    def own_aus(self) -> np.ndarray:
        """(17,) float32 in 0-1: the AUs that the face shows."""
        return self._still.own_aus

    @property
    def positions(self) -> list[float]:
        """The positions of the sliders at the face's own AUs."""
        return positions_of(self.own_aus)

    @property
    def preview_face(self) -> Face:
        """The face in pixels of the preview, as the generator needs it."""
        return replace(self.face, region=self.region)

    @cached_property
    def descriptor(self) -> np.ndarray:
        """dlib's descriptor (128,) of the face in the photograph's preview."""
        scale = self.photograph.scale
        assert self.face.landmarks is not None
        landmarks = (self.face.landmarks + 0.5) * scale - 0.5
        return describe_landmarks(self.photograph.preview, landmarks)

    def edits(self, positions: Sequence[float]) -> list[Edit]:
        """What the positions of the sliders ask for, of the AUs that the generator knows."""
        known = self.animator.renderer.aus
        return [edit for edit in edits(positions, self.own_aus) if edit.number in known]

    def target(self, positions: Sequence[float]) -> np.ndarray:
        """The AUs (17,) in 0-1 that the positions of the sliders ask for."""
        return apply_edits(self.own_aus, self.edits(positions))

    def preview(self, target: np.ndarray) -> np.ndarray:
        """The preview (h, w, 3) uint8 RGB with the face at AUs (17,) in 0-1.

        At the face's own AUs it is the photograph's, to the bit.
        """
        pixels = self.photograph.preview
        if not np.array_equal(target, self.own_aus):
            with RENDERING:
                (change,) = self._still.changes(target[None])
            pixels = self.region.paste(pixels, change)
        self.latest = Shown(self.latest.number + 1, target, pixels)
        return pixels


def to_jpeg(pixels: np.ndarray) -> bytes:
    """A picture (h, w, 3) uint8 RGB for the page."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
