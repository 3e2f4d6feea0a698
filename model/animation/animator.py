"""Render faces with other action units (AUs), in photographs and in batches of crops."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...pipeline.action_units import Edit, apply_edits, in_words
from ...pipeline.errors import NothingUsable, WrongUse
from ...pipeline.faces import detect
from ...pipeline.faces.crop import CROP_SIZE, Box, crop_box, cut_crop
from ...pipeline.faces.frame import CropRegion, Region
from ..checkpoint import WEIGHTS
from ..estimator.network import load_estimator
from ..landmarks.frame import find_landmarks, place_frame
from ..networks.flow_generator import FlowGenerator
from ..networks.load import load_generator
from ..networks.masks import Masks
from ..pixels import to_model

SHIPPED = WEIGHTS / "generator.safetensors"
"""The generator that the package contains."""
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Face:
    """A face in a picture."""

    crop: Box
    """The crop around its HOG box, in pixels of the picture."""
    own_aus: np.ndarray
    """(17,) float, 0-1: the AUs that the face shows."""
    region: Region | None = None
    """What the generator sees; None: it is found when the face is rendered."""


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

    def find(self, photograph: np.ndarray) -> Face:
        """Detect the largest face of a photograph (h, w, 3) uint8 RGB and estimate its AUs.

        Raises NothingUsable if no face is detected.
        """
        found = detect.detect_faces(photograph, most=1)
        if not found:
            raise NothingUsable(
                "No face was found in the photograph: it should show one from the front, "
                "80 pixels wide or more."
            )
        crop = crop_box(found[0].box)
        pixels = torch.from_numpy(cut_crop(photograph, crop, CROP_SIZE)).permute(2, 0, 1)[None]
        own_aus = load_estimator().read(pixels).aus[0].numpy()
        return Face(crop, own_aus, self._region(photograph, crop))

    def _region(self, picture: np.ndarray, crop: Box) -> Region:
        """The part of a picture that the generator sees of the face in a crop."""
        if not isinstance(self.generator, FlowGenerator):
            return CropRegion(crop)
        landmarks = find_landmarks(load_estimator().aligner, picture, crop)
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
        regions, inputs = self.cut(pictures, faces)
        targets, own = (
            torch.from_numpy(np.asarray(aus, np.float32)).to(self._device)
            for aus in (target_aus, np.stack([face.own_aus for face in faces]))
        )
        masks = self.generator(inputs, targets, own)
        return Rendered(
            paste(pictures, regions, masks), masks.attention.squeeze(1).float().cpu().numpy()
        )

    def cut(
        self, pictures: Sequence[np.ndarray] | np.ndarray, faces: Sequence[Face]
    ) -> tuple[list[Region], Tensor]:
        """What the generator sees of one face of each picture: n regions, and their pixels
        (n, 3, size, size) in -1..1 on the device of the generator."""
        regions = [
            face.region or self._region(picture, face.crop)
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

    def frames(self, photograph: np.ndarray, edits: Sequence[Edit], count: int) -> list[np.ndarray]:
        """Render `count` pictures between the photograph and the edited face.

        Frame by frame, alpha rises evenly from 0 to 1 in `alpha * target + (1 - alpha) * own AUs`
        (Pumarola et al. 2018, section 6.3). The first frame is the photograph. A count of 1 gives
        the edited face only.

        Raises WrongUse if the generator does not know an edited AU, and NothingUsable if no face
        is detected.
        """
        self.check(edits)
        face = self.find(photograph)
        target = apply_edits(face.own_aus, edits)
        if count == 1:
            return [self.render(photograph, face, target)]
        alphas = np.linspace(0.0, 1.0, count)[1:]
        between = [alpha * target + (1 - alpha) * face.own_aus for alpha in alphas]
        return [photograph, *(self.render(photograph, face, aus) for aus in between)]

    def check(self, edits: Sequence[Edit]) -> None:
        """Raise WrongUse if the generator does not know an edited AU."""
        known = self.generator.settings.aus
        unknown = sorted({edit.number for edit in edits} - set(known))
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
