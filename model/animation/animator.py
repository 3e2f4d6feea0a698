"""Render faces with other action units (AUs), in photographs and in batches of crops."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...pipeline.action_units import in_words
from ...pipeline.errors import WrongUse
from ...pipeline.expressions import Request
from ...pipeline.faces.crop import CROP_SIZE, Box
from ...pipeline.faces.edit import edit_picture
from ...pipeline.faces.frame import CropRegion, Frame, Region
from ...pipeline.faces.paste import Change
from ...pipeline.images.picture import Picture
from ..estimator.reader import landmarks_in
from ..landmarks.placing import FIXED, place_frame
from ..networks.renderer import SHIPPED, Edits
from .choose import choose
from .faces import Face, find_faces, upright_view
from .networks import Networks, Runtime, load_networks

if TYPE_CHECKING:
    import torch

_FEWEST_FIXED = 6
"""If fewer landmarks that place the frame lie in the picture, those outside count as well."""


class Rendered(NamedTuple):
    """The result of `Animator.render_batch` for n pictures."""

    pictures: list[np.ndarray]
    """n arrays (h, w, 3) uint8 RGB, each of the size of its input."""
    attention: np.ndarray
    """(n, size, size) float32, 0-1, at the size of the generator; 1 keeps the input."""


class Animator:
    """A generator, loaded once and applied to any number of faces, and the estimator it needs.

    Args:
        weights: a file of generator weights. Raises WrongUse for any other file.
        device: where the generator computes in torch.
        runtime: `torch`, or `onnx`, which needs no torch (see `networks.load_networks`).

    Attributes:
        weights: the file.
        renderer: the generator.
        reader: the estimator.
    """

    def __init__(
        self,
        weights: Path = SHIPPED,
        device: "str | torch.device" = "cpu",
        runtime: Runtime = "torch",
    ) -> None:
        self._hold(weights, load_networks(weights, runtime, device))

    @classmethod
    def of(cls, networks: Networks, weights: Path = SHIPPED) -> "Animator":
        """An animator with networks that are in memory."""
        animator = cls.__new__(cls)
        animator._hold(weights, networks)
        return animator

    def _hold(self, weights: Path, networks: Networks) -> None:
        self.weights = weights
        self.renderer, self.reader = networks

    @cached_property
    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the weights file."""
        return hashlib.sha256(self.weights.read_bytes()).hexdigest()[:16]

    def faces(self, photograph: np.ndarray, most: int | None = None) -> list[Face]:
        """Find the `most` largest faces (None: all) of a photograph (h, w, 3) uint8 RGB, largest
        first, at any angle in its plane, and read their AUs."""
        return [
            replace(face, region=self.region(photograph, face))
            for face in find_faces(self.reader, photograph, most)
        ]

    def find(self, photograph: np.ndarray) -> Face:
        """Find the largest face of a photograph (h, w, 3) uint8 RGB and read its AUs.

        Raises NothingUsable if no face is found.
        """
        return choose(self.faces(photograph, most=1), 1)[0]

    def region(self, picture: np.ndarray, face: Face) -> Region:
        """The part of a picture that the generator sees of a face."""
        if self.renderer.reference is None:
            return face.view or CropRegion(face.crop)
        landmarks = face.landmarks
        if landmarks is None:
            landmarks = landmarks_in(self.reader, picture, face.crop)
        # Those beyond the edge of the picture are guesses.
        low, high = np.full(2, -0.5), np.array(picture.shape[1::-1]) - 0.5
        fixed = [i for i in FIXED if (low <= landmarks[i]).all() and (landmarks[i] < high).all()]
        few = len(fixed) < _FEWEST_FIXED
        return place_frame(landmarks, self.renderer.reference, FIXED if few else fixed)

    def frame(self, landmarks: np.ndarray) -> Frame:
        """What the generator sees of a face, by its landmarks (68, 2) in pixels alone."""
        if self.renderer.reference is None:
            return upright_view(landmarks, self.reader.mean_face)
        return place_frame(landmarks, self.renderer.reference)

    def render_batch(
        self,
        pictures: Sequence[np.ndarray] | np.ndarray,
        faces: Sequence[Face],
        target_aus: np.ndarray,
    ) -> Rendered:
        """Render one face of each picture with other AUs.

        The generator sees a region around the face at the size at which it was trained. The change
        that it makes is resized to the region, faded out towards its edge, and applied to the
        picture. Motion fades out below a frame; other pixels outside the region keep their values.

        Args:
            pictures: n arrays (h, w, 3) uint8 RGB, of any sizes.
            faces: one face of each picture.
            target_aus: (n, 17), 0-1; AUs that the generator does not know are ignored.
        """
        regions, edits = self.generate(pictures, faces, target_aus)
        return Rendered(paste(pictures, regions, edits.changes), edits.attention)

    def generate(
        self,
        pictures: Sequence[np.ndarray] | np.ndarray,
        faces: Sequence[Face],
        target_aus: np.ndarray,
    ) -> tuple[list[Region], Edits]:
        """What the generator makes of one face of each picture, and the regions where it belongs.

        The arguments are those of `render_batch`.
        """
        regions, squares = self.cut(pictures, faces)
        own = np.stack([face.own_aus for face in faces])
        return regions, self.renderer.render(squares, target_aus, own)

    def cut(
        self, pictures: Sequence[np.ndarray] | np.ndarray, faces: Sequence[Face]
    ) -> tuple[list[Region], np.ndarray]:
        """What the generator sees of one face of each picture: n regions, and their pixels
        (n, size, size, 3) uint8 RGB."""
        regions = [
            face.region or self.region(picture, face)
            for picture, face in zip(pictures, faces, strict=True)
        ]
        squares = [
            region.cut(picture, self.renderer.size)
            for picture, region in zip(pictures, regions, strict=True)
        ]
        return regions, np.stack(squares)

    def render(self, photograph: np.ndarray, face: Face, target_aus: np.ndarray) -> np.ndarray:
        """Render one face of one photograph (h, w, 3) uint8 RGB with other AUs (17,), 0-1.

        Returns a new photograph of the same size.
        """
        return self.render_batch([photograph], [face], target_aus[None]).pictures[0]

    def render_faces(
        self, photograph: np.ndarray, faces: Sequence[Face], targets: Sequence[np.ndarray]
    ) -> np.ndarray:
        """Render several faces of one photograph (h, w, 3) uint8 RGB, each with its AUs (17,).

        A face that is asked for its own AUs stays as it is, to the bit.
        """
        return self.edit(Picture(photograph, "RGB"), faces, targets).pixels

    def edit(
        self, picture: Picture, faces: Sequence[Face], targets: Sequence[np.ndarray]
    ) -> Picture:
        """Do the same to a picture in its own colours and depth; its faces are those of `rgb`."""
        for face, target in zip(faces, targets, strict=True):
            if not np.array_equal(target, face.own_aus):
                (region,), edits = self.generate([picture.rgb], [face], target[None])
                picture = edit_picture(picture, region, edits.changes[0])
        return picture

    def check(self, request: Request) -> None:
        """Raise WrongUse if the generator does not know an AU that is asked for."""
        known = self.renderer.aus
        unknown = sorted(set(request.numbers) - set(known))
        if unknown:
            raise WrongUse(
                f"These weights do not know {in_words(unknown)}: they know only {in_words(known)}."
            )


def paste(
    pictures: Sequence[np.ndarray] | np.ndarray,
    regions: Sequence[Region],
    changes: Sequence[Change],
) -> list[np.ndarray]:
    """Apply what a generator made of n regions to their pictures, at the pictures' resolution."""
    return [
        region.paste(picture, change)
        for picture, region, change in zip(pictures, regions, changes, strict=True)
    ]


def faces_of_crops(own_aus: np.ndarray) -> list[Face]:
    """Faces for `Animator.render_batch` that fill crops of 128 px; own_aus: (n, 17), 0-1."""
    return [Face(Box(0, 0, CROP_SIZE, CROP_SIZE), aus) for aus in own_aus]
