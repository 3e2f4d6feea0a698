"""Where a network sees a face: a crop along the pixels, or an upright frame.

`prepare` cuts a square crop around the HOG box. A generator of `--architecture flow` sees the face
in a frame instead: a square at any position, scale and angle, placed by the landmarks, so that the
face is upright and always of the same size. What a network changes in either is made in the
photograph, at its full resolution.
"""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from .crop import Box, cut_crop
from .paste import BLUR, Change, added, blurred, changed_part, feather, paste_change, with_part
from .texture import CHEEKS_BELOW, with_texture_of_cheeks

_BLUR_BELOW = 0.6
"""A photograph that is reduced by more than this factor is blurred first, against aliasing."""
_BLUR = 0.45
"""Standard deviation of that blur, in pixels of the frame."""
_TAPS = 4
"""Pixels on each side that Lanczos looks at."""
_BELOW = 0.2
"""Over which share of the frame below it motion fades out. A frame ends at the chin, which moves:
within the frame it would be stretched to streaks."""
_FADING = 0.05
"""Share of the frame above its middle in which skin gets less of the texture of the cheeks."""
_STILL = 1e-3
"""Pixels that move less than this, in pixels of the photograph, are not resampled."""


def _upper_half(size: int) -> np.ndarray:
    """(size, size, 1) in 0-1: 1 from eyes to forehead, falling to 0 in the middle of a frame."""
    rows = np.clip((0.5 - (np.arange(size) + 0.5) / size) / _FADING, 0, 1)
    return np.repeat(rows[:, None, None], size, 1).astype(np.float32)


class Region(Protocol):
    """A part of a picture that a network sees as a square."""

    def cut(self, picture: np.ndarray, size: int) -> np.ndarray:
        """Return the region, resampled, (size, size, 3) uint8. Outside the picture its edge pixels
        repeat. picture: (h, w, 3) uint8."""

    def changed(self, picture: np.ndarray, change: Change) -> tuple[Box, np.ndarray]:
        """The part of the picture that the region touches, and its pixels with a change that was
        computed for the region.

        The change is enlarged to the region and fades out at its edge. The part lies inside the
        picture, and may be empty.
        """

    def paste(self, picture: np.ndarray, change: Change) -> np.ndarray:
        """Return a copy of the picture with the change. Pixels outside the region keep their
        values, but for those below a frame, where its motion fades out."""


@dataclass(frozen=True)
class CropRegion:
    """The crop of a box."""

    box: Box

    @property
    def bounds(self) -> Box:
        """The box."""
        return self.box

    @property
    def frame(self) -> "Frame":
        """The same square as a frame."""
        centre = np.array([self.box.left + self.box.right, self.box.top + self.box.bottom]) - 1
        return Frame(np.eye(2) * (self.box.width / 2), centre / 2)

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Convert points (..., 2) from -1..1 across the crop to pixels of the picture."""
        return self.frame.to_picture(points)

    def cut(self, picture: np.ndarray, size: int) -> np.ndarray:
        return cut_crop(picture, self.box, size)

    def changed(self, picture: np.ndarray, change: Change) -> tuple[Box, np.ndarray]:
        return changed_part(picture, self.box, change)

    def paste(self, picture: np.ndarray, change: Change) -> np.ndarray:
        return paste_change(picture, self.box, change)


@dataclass(frozen=True)
class Frame:
    """A square of any position, scale and angle.

    matrix: (2, 2), a rotation times a scale, from frame coordinates (-1..1 across the square) to
    pixels right and down. centre: (2,), x and y of the square's centre; the centre of the first
    pixel of the picture is at 0, 0.
    """

    matrix: np.ndarray
    centre: np.ndarray

    @property
    def scale(self) -> float:
        """Pixels of the picture per half side of the frame."""
        return float(np.hypot(*self.matrix[:, 0]))

    @property
    def roll(self) -> float:
        """The angle of the frame in degrees, clockwise."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))

    @property
    def bounds(self) -> Box:
        """The square of the frame's size and centre that lies along the pixels."""
        left, top = (int(side) for side in np.rint(self.centre - self.scale + 0.5))
        side = round(2 * self.scale)
        return Box(left, top, left + side, top + side)

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Convert points (..., 2) from frame coordinates to pixels of the picture."""
        return points @ self.matrix.T + self.centre

    def from_picture(self, pixels: np.ndarray) -> np.ndarray:
        """Convert points (..., 2) from pixels of the picture to frame coordinates."""
        return (pixels - self.centre) @ np.linalg.inv(self.matrix).T

    def cut(self, picture: np.ndarray, size: int) -> np.ndarray:
        zoom = size / 2 / self.scale
        part, frame = picture, self
        if zoom < _BLUR_BELOW:
            left, top, right, bottom = self._bounds(picture, margin=self.scale / 4)
            if right > left and bottom > top:
                part = cv2.GaussianBlur(picture[top:bottom, left:right], (0, 0), _BLUR / zoom)
                frame = Frame(self.matrix, self.centre - np.array([left, top]))
        # The centre of column i of the result is at (2i + 1) / size - 1.
        first = frame.to_picture(np.full(2, 1 / size - 1))
        return cv2.warpAffine(
            part,
            np.c_[self.matrix * (2 / size), first],
            (size, size),
            flags=cv2.WARP_INVERSE_MAP | (cv2.INTER_CUBIC if zoom > 1 else cv2.INTER_LINEAR),
            borderMode=cv2.BORDER_REPLICATE,
        )

    def paste(self, picture: np.ndarray, change: Change) -> np.ndarray:
        return with_part(picture, *self.changed(picture, change))

    def changed(self, picture: np.ndarray, change: Change) -> tuple[Box, np.ndarray]:
        size = change.difference.shape[0]
        below = 0 if change.flow is None else round(_BELOW * size)
        left, top, right, bottom = self._bounds(picture, below=2 * below / size)
        part = Box(left, top, right, bottom)
        region = picture[top:bottom, left:right]
        if not region.size:
            return part, region
        pixels = region.astype(np.float32)
        # From pixels of the region to pixels of the change: the inverse of what `cut` does.
        linear = np.linalg.inv(self.matrix) * (size / 2)
        first = (self.from_picture(np.array([left, top], np.float64)) + 1) * (size / 2) - 0.5
        onto_change = np.c_[linear, first]

        def enlarged(values: np.ndarray, below: int = 0) -> np.ndarray:
            values = np.pad(values.astype(np.float32), ((0, below), (0, 0), (0, 0)), "edge")
            return cv2.warpAffine(
                values * feather(size, below)[:, :, None],
                onto_change,
                (right - left, bottom - top),
                flags=cv2.WARP_INVERSE_MAP | cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_CONSTANT,
            )

        if change.flow is not None:
            offsets = enlarged(change.flow, below) @ self.matrix.T.astype(np.float32)
            down, across = np.indices(region.shape[:2], np.float32)
            x, y = across + offsets[:, :, 0] + left, down + offsets[:, :, 1] + top
            # From the pixels around alone: OpenCV moves no picture of 32,767 pixels a side.
            reach = float(np.ceil(np.abs(offsets).max())) + _TAPS
            first_x, first_y, end_x, end_y = self._bounds(picture, reach, 2 * below / size)
            moved = cv2.remap(
                picture[first_y:end_y, first_x:end_x].astype(np.float32),
                x - first_x,
                y - first_y,
                cv2.INTER_LANCZOS4,
                borderMode=cv2.BORDER_REPLICATE,
            )
            moves = (np.abs(offsets[:, :, 0]) >= _STILL) | (np.abs(offsets[:, :, 1]) >= _STILL)
            cv2.copyTo(moved.reshape(region.shape), moves.astype(np.uint8), pixels)
        if change.blur is not None:
            share = enlarged(change.blur[:, :, None]).reshape(region.shape[:2])
            enlargement = 2 * self.scale / size
            pixels = blurred(pixels, share, enlargement)
            across_cheeks, down_cheeks = np.rint(self.matrix @ [0, CHEEKS_BELOW]).astype(int)
            pixels = with_texture_of_cheeks(
                pixels,
                share * enlarged(_upper_half(size)).reshape(region.shape[:2]),
                picture,
                part,
                (across_cheeks, down_cheeks),
                BLUR * enlargement,
            )
        return part, added(pixels, enlarged(change.difference), region.dtype)

    def _bounds(
        self, picture: np.ndarray, margin: float = 0.0, below: float = 0.0
    ) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the part of the picture that the frame touches, and what
        lies up to `below` half sides below it."""
        height, width = picture.shape[:2]
        end = 1 + below
        corners = self.to_picture(np.array([[-1, -1], [1, -1], [1, end], [-1, end]], np.float64))
        low = np.clip(np.floor(corners.min(0) - margin), 0, [width, height])
        high = np.clip(np.ceil(corners.max(0) + margin) + 1, low, [width, height])
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])
