"""Read picture files and clips as RGB arrays, and write them."""

from pathlib import PurePosixPath

CLIP_SUFFIXES = frozenset(
    (
        *(".mp4", ".mov", ".m4v", ".3gp", ".avi", ".mkv", ".webm"),
        *(".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    )
)
"""The endings, in lower case, of files that are read as clips. They are here because the decoder
takes long to import."""
STANDARD = "-"
"""Standard input as a source, standard output as a target."""


def is_clip(name: str) -> bool:
    """Whether a file is read as a clip, by the ending of its name."""
    return PurePosixPath(name).suffix.lower() in CLIP_SUFFIXES
