"""Render faces with other action units (AUs), in photographs and in batches of crops."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...pipeline.action_units import in_words
from ...pipeline.errors import WrongUse
from ...pipeline.expressions import Request
from ...pipeline.faces.crop import CROP_SIZE, Box
from ...pipeline.faces.edit import edit_picture
from ...pipeline.faces.frame import CropRegion, Region
from ...pipeline.images.picture import Picture
from ..checkpoint import WEIGHTS
from ..estimator.network import load_estimator
from ..landmarks.frame import find_landmarks, place_frame
from ..networks.flow_generator import FlowGenerator
from ..networks.load import load_generator
from ..networks.masks import Masks
from ..pixels import to_model
from .faces import Face, choose, find_faces

SHIPPED = WEIGHTS / "generator.safetensors"
"""The generator that the package contains."""
CPU = torch.device("cpu")


class Rendered(NamedTuple):
    """The result of `Animator.render_batch` for n pictures."""

    pictures: list[np.ndarray]
    """n arrays (h, w, 3) uint8 RGB, each of the size of its input."""
    attention: np.ndarray
    """(n, size, size) float32, 0-1, at the size of the generator; 1 keeps the input."""


class Animator:
    """A generator, loaded once and applied to any number of faces.

    Args:
        weights: a file of generator weights. Raises WrongUse for any other file.
        device: where the generator computes.

    Attributes:
        weights: the file.
        generator: the network.
        size: the side of the crops in pixels on which it was trained.
    """

    def __init__(self, weights: Path = SHIPPED, device: torch.device = CPU) -> None:
        self.weights = weights
        self.generator, self.size = load_generator(weights)
        self.generator.to(device)
        self._device = device

    @cached_property
    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the weights file."""
        return hashlib.sha256(self.weights.read_bytes()).hexdigest()[:16]

    def faces(self, photograph: np.ndarray, most: int | None = None) -> list[Face]:
        """Find the `most` largest faces (None: all) of a photograph (h, w, 3) uint8 RGB, largest
        first, at any angle in its plane, and read their AUs."""
        return [
            replace(face, region=self._region(photograph, face))
            for face in find_faces(photograph, most)
        ]

    def find(self, photograph: np.ndarray) -> Face:
        """Find the largest face of a photograph (h, w, 3) uint8 RGB and read its AUs.

        Raises NothingUsable if no face is found.
        """
        return choose(self.faces(photograph, most=1), 1)[0]

    def _region(self, picture: np.ndarray, face: Face) -> Region:
        """The part of a picture that the generator sees of a face."""
        if not isinstance(self.generator, FlowGenerator):
            return face.view or CropRegion(face.crop)
        landmarks = face.landmarks
        if landmarks is None:
            landmarks = find_landmarks(load_estimator().aligner, picture, face.crop)
        return place_frame(landmarks, self.generator.reference.cpu().numpy())

    @torch.inference_mode()
    def render_batch(
        self,
        pictures: Sequence[np.ndarray] | np.ndarray,
        faces: Sequence[Face],
        target_aus: np.ndarray,
    ) -> Rendered:
        """Render one face of each picture with other AUs.

        The generator sees a region around the face at the size at which it was trained. The change
        that it makes is resized to the region, faded out towards its edge, and applied to the
        picture. Pixels outside the region keep their values.

        Args:
            pictures: n arrays (h, w, 3) uint8 RGB, of any sizes.
            faces: one face of each picture.
            target_aus: (n, 17), 0-1; AUs that the generator does not know are ignored.
        """
        regions, masks = self.generate(pictures, faces, target_aus)
        return Rendered(
            paste(pictures, regions, masks), masks.attention.squeeze(1).float().cpu().numpy()
        )

    def generate(
        self,
        pictures: Sequence[np.ndarray] | np.ndarray,
        faces: Sequence[Face],
        target_aus: np.ndarray,
    ) -> tuple[list[Region], Masks]:
        """What the generator makes of one face of each picture, and the regions where it belongs.

        The arguments are those of `render_batch`.
        """
        regions, inputs = self.cut(pictures, faces)
        targets, own = (
            torch.from_numpy(np.asarray(aus, np.float32)).to(self._device)
            for aus in (target_aus, np.stack([face.own_aus for face in faces]))
        )
        return regions, self.generator(inputs, targets, own)

    def cut(
        self, pictures: Sequence[np.ndarray] | np.ndarray, faces: Sequence[Face]
    ) -> tuple[list[Region], Tensor]:
        """What the generator sees of one face of each picture: n regions, and their pixels
        (n, 3, size, size) in -1..1 on the device of the generator."""
        regions = [
            face.region or self._region(picture, face)
            for picture, face in zip(pictures, faces, strict=True)
        ]
        squares = np.stack(
            [
                region.cut(picture, self.size)
                for picture, region in zip(pictures, regions, strict=True)
            ]
        )
        return regions, to_model(torch.from_numpy(squares).permute(0, 3, 1, 2)).to(self._device)

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

    @torch.inference_mode()
    def edit(
        self, picture: Picture, faces: Sequence[Face], targets: Sequence[np.ndarray]
    ) -> Picture:
        """Do the same to a picture in its own colours and depth; its faces are those of `rgb`."""
        for face, target in zip(faces, targets, strict=True):
            if not np.array_equal(target, face.own_aus):
                (region,), masks = self.generate([picture.rgb], [face], target[None])
                picture = edit_picture(picture, region, masks.changes()[0])
        return picture

    def check(self, request: Request) -> None:
        """Raise WrongUse if the generator does not know an AU that is asked for."""
        known = self.generator.settings.aus
        unknown = sorted(set(request.numbers) - set(known))
        if unknown:
            raise WrongUse(
                f"These weights do not know {in_words(unknown)}: they know only {in_words(known)}."
            )


def paste(
    pictures: Sequence[np.ndarray] | np.ndarray, regions: Sequence[Region], masks: Masks
) -> list[np.ndarray]:
    """Apply what a generator made of n regions to their pictures, at the pictures' resolution."""
    return [
        region.paste(picture, change)
        for picture, region, change in zip(pictures, regions, masks.changes(), strict=True)
    ]


def faces_of_crops(own_aus: np.ndarray) -> list[Face]:
    """Faces for `Animator.render_batch` that fill crops of 128 px; own_aus: (n, 17), 0-1."""
    return [Face(Box(0, 0, CROP_SIZE, CROP_SIZE), aus) for aus in own_aus]
