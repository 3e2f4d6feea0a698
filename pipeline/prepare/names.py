"""Names of sources: the text in the column `source`, for a file or a frame of a clip."""

import os
import re

from ..images import video

_ESCAPE = re.compile(r"\\x[0-9a-f]{2}")
_FRAME = re.compile(rf"(.*\.(?:{'|'.join(s[1:] for s in video.SUFFIXES)}))@\d+\.\d\ds", re.I | re.S)


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
    """Return the name of a clip's frame, such as `clip.mp4@12.40s`."""
    return f"{clip}@{seconds:.2f}s"


def file_of(source: str) -> str:
    """Return the name of the file that a source is from: of a frame, the name of its clip."""
    match = _FRAME.fullmatch(source)
    return match[1] if match else source
