"""Decode the frames of a video clip with PyAV."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import numpy as np
from av.container import InputContainer

from ..errors import reason
from .decode import MAX_PIXELS, TooLarge, UnreadableImage

# FFmpeg must try no other format, whatever a file is called: playlists open other files.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpeg,mpegvideo,mpegts"
# A clip is truncated if its last frame ends earlier than its declared end by more than this.
_MISSING_SECONDS = 0.3


@dataclass(frozen=True)
class Frame:
    """A frame of a clip."""

    index: int
    """Its number in the clip, from 0."""
    seconds: float
    """Its time since the clip's first frame, exact to the microsecond."""
    pixels: np.ndarray
    """(height, width, 3) uint8 RGB, upright."""
    time: Fraction = Fraction(0)
    """`seconds`, exact."""
    duration: Fraction = Fraction(0)
    """How long it is shown, in seconds; 0 if the file does not say."""


def open_clip(clip: Path | BinaryIO) -> InputContainer:
    """Open a file as a clip, whatever it is called. Raises av.error.FFmpegError."""
    file = str(clip) if isinstance(clip, Path) else clip
    return av.open(file, "r", options={"format_whitelist": _FORMATS})


def frames(clip: Path | BinaryIO, every: float = 0.0) -> Iterator[Frame]:
    """Yield the first frame of each interval of `every` seconds (0: every frame).

    The intervals begin at multiples of `every`, so the frames do not drift from them, whatever
    the clip's frame rate and whether it is constant. Raises UnreadableImage, or TooLarge for
    frames of more than MAX_PIXELS pixels. Frames before the damage are yielded first.
    """
    if isinstance(clip, Path):
        with clip.open("rb") as file:
            yield from frames(file, every)
        return
    end = 0.0
    try:
        with open_clip(clip) as container:
            if not container.streams.video:
                raise UnreadableImage("it holds sound, but no pictures")
            stream = container.streams.video[0]
            if stream.width * stream.height > MAX_PIXELS:
                raise TooLarge(f"frames of more than {MAX_PIXELS / 1e6:g} megapixels")
            stream.codec_context.thread_count = 1  # one worker process runs per core
            start, last = None, -1
            for index, frame in enumerate(container.decode(stream)):
                base = frame.time_base or Fraction(0)
                time = frame.pts * base if frame.pts is not None else Fraction(end)
                start = time if start is None else start
                duration = (frame.duration or 0) * base
                end = float(time - start + duration)
                seconds = round(float(time - start), 6)
                interval = math.floor(seconds / every + 1e-6) if every else index
                if interval > last and not frame.is_corrupt:
                    last = interval
                    yield Frame(index, seconds, _to_upright(frame), time - start, duration)
            declared = _declared_seconds(container, stream)
    except UnreadableImage:
        raise
    except Exception as error:  # decoders raise nearly any exception on damaged files
        after = f", from {end:.2f} s on" if end else ""
        raise UnreadableImage(f"not a clip that can be read{after}: {reason(error)}") from error
    if start is None:
        raise UnreadableImage("the clip holds no frame")
    # Some formats declare the end relative to the first frame, some relative to zero. Both count
    # as complete.
    if declared - (float(start) + end) > _MISSING_SECONDS:
        raise UnreadableImage(f"the clip is cut off at {end:.2f} of {declared:.2f} s")


def _declared_seconds(container: Any, stream: Any) -> float:
    """The duration of the video stream that the file declares, 0 if it declares none."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1
    return container.duration / av.time_base if alone and container.duration else 0.0


def _to_upright(frame: av.VideoFrame) -> np.ndarray:
    """Convert a frame to RGB, rotated and mirrored by its display matrix.

    The matrix maps (x, y) to (ax + cy, bx + dy). Only multiples of 90 degrees are applied.
    """
    pixels = frame.to_ndarray(format="rgb24")
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return pixels
    a, b, _, c, d = np.frombuffer(cast(Any, matrix), np.int32)[:5].tolist()
    if abs(a) < abs(b):
        pixels = pixels.swapaxes(0, 1)
        a, d = c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
