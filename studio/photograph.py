"""A photograph that somebody gave to the studio: checked, decoded, its faces found, in memory."""

from dataclasses import dataclass
from pathlib import PurePath

import cv2
import numpy as np

from ..model.animation.animator import Animator
from ..model.animation.faces import Face
from ..pipeline.errors import NothingUsable
from ..pipeline.faces.frame import CropRegion, Frame, Region
from ..pipeline.images.decode import UnreadableImage, opened
from ..pipeline.images.picture import Picture, read_picture

MAX_BYTES = 30_000_000
"""Larger files are refused."""
MAX_PIXELS = 50_000_000
"""Pictures with more pixels are refused before they are decoded."""
_PREVIEW_PIXELS = 1_200_000
"""The page shows larger photographs reduced to this."""
_MAX_FACES = 20


@dataclass(frozen=True)
class Photograph:
    """A photograph with at least one face. It keeps the file, and of its pixels the preview."""

    name: str
    """The name of the file, without folders."""
    content: bytes
    """The file."""
    preview: np.ndarray
    """(h, w, 3) uint8 RGB: what the page shows."""
    scale: float
    """Pixels of the preview per pixel of the photograph, at most 1."""
    faces: list[Face]
    """Largest first, in pixels of the photograph, with their regions."""

    def picture(self) -> Picture:
        """The whole photograph, decoded once more."""
        return read_picture(self.content)

    def in_preview(self, region: Region) -> Region:
        """Where a region of the photograph lies in the preview."""
        if self.scale == 1.0:
            return region
        assert isinstance(region, CropRegion | Frame)
        frame = region if isinstance(region, Frame) else region.frame
        # The centre of the first pixel is at 0, 0, so its corner is at -0.5.
        return Frame(frame.matrix * self.scale, (frame.centre + 0.5) * self.scale - 0.5)

    def boxes(self) -> list[tuple[float, float, float, float]]:
        """Left, top, width and height of the faces' crops, in percent of the photograph."""
        height, width = self.preview.shape[:2]
        across, down = (100 * self.scale / side for side in (width, height))
        return [
            (box.left * across, box.top * down, box.width * across, box.height * down)
            for box in (face.crop for face in self.faces)
        ]


def open_photograph(content: bytes, name: str, animator: Animator) -> Photograph:
    """Decode a file as `ganim animate` does, and find its faces.

    Raises NothingUsable, with a sentence, for a file that is too large or cannot be read, and for a
    photograph without a face.
    """
    name = PurePath(name.replace("\\", "/")).name or "photograph"
    if len(content) > MAX_BYTES:
        raise NothingUsable(f"{name} is larger than {MAX_BYTES / 1e6:g} MB: save it smaller.")
    try:
        with opened(content) as image:
            width, height = image.size
        if width * height > MAX_PIXELS:
            raise NothingUsable(
                f"{name} has {width * height / 1e6:.0f} megapixels, more than "
                f"{MAX_PIXELS / 1e6:g}: save it smaller."
            )
        rgb = read_picture(content).rgb
    except UnreadableImage as reason:
        raise NothingUsable(f"{name} cannot be read: {reason}.") from reason
    faces = animator.faces(rgb, most=_MAX_FACES)
    if not faces:
        raise NothingUsable(
            f"No face was found in {name}: it should show one from the front, 80 pixels wide "
            "or more."
        )
    preview, scale = _reduced(rgb)
    return Photograph(name, content, preview, scale, faces)


def _reduced(rgb: np.ndarray) -> tuple[np.ndarray, float]:
    height, width = rgb.shape[:2]
    scale = min(1.0, (_PREVIEW_PIXELS / (width * height)) ** 0.5)
    if scale == 1.0:
        return rgb, scale
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), scale
