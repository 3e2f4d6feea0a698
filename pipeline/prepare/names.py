"""Names of sources: the text in the column `source`, for a file or a frame of a clip."""

import os
import re

from ..images import CLIP_SUFFIXES

_ESCAPE = re.compile(r"\\x[0-9a-f]{2}")
_CLIPS = "|".join(suffix[1:] for suffix in CLIP_SUFFIXES)
_FRAME = re.compile(rf"(.*\.(?:{_CLIPS}))@(\d+\.\d\d\d{{0,4}})s", re.I | re.S)


def source_name(path: str) -> str:
    r"""Return a path as valid Unicode: bytes that are not UTF-8 become \xNN.

    Different paths have different names: the backslashes of a path that contains such bytes, or
    the text \xNN, are doubled.
    """
    raw = os.fsencode(path)
    text = raw.decode("utf-8", "backslashreplace")
    if _ESCAPE.search(text):
        text = raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return text


def frame_name(clip: str, seconds: float) -> str:
    """Return the name of a clip's frame, such as `clip.mp4@12.40s` or `clip.mp4@0.033333s`.

    Its time is exact to the microsecond, with two decimals at least."""
    text = f"{seconds:.6f}"
    return f"{clip}@{text[:-4]}{text[-4:].rstrip('0')}s"


def file_of(source: str) -> str:
    """Return the name of the file that a source is from: of a frame, the name of its clip."""
    match = _FRAME.fullmatch(source)
    return match[1] if match else source


def seconds_of(source: str) -> float | None:
    """Return the time of a frame in its clip, in s; None if the source is no frame.

    Earlier versions of ganim wrote it to 0.01 s only."""
    match = _FRAME.fullmatch(source)
    return float(match[2]) if match else None
