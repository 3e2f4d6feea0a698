"""One photograph or clip, file in, rows of a shard out. Runs where the engine runs it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from .. import shards
from ..images import decode, video
from . import cut, sources
from .settings import FaceSettings

Row = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """A file to be read."""

    root: Path
    path: str
    name: str
    settings: FaceSettings


def file_rows(task: Task) -> list[Row]:
    """A row for each face of a file, and one with the reason where there is none; never empty."""
    is_clip = PurePosixPath(task.path).suffix.lower() in video.SUFFIXES
    return _clip_rows(task) if is_clip else _photograph_rows(task)


def _photograph_rows(task: Task) -> list[Row]:
    try:
        content = sources.read_photograph(task.root, task.path)
    except decode.UnreadableImage as reason:
        return [failed(task.name, _status(reason), str(reason))]
    seen = {"source_hash": hashlib.blake2b(content, digest_size=16).hexdigest()}
    settings = task.settings
    try:
        most = 1 if settings.faces == "largest" else None
        cuts = cut.cut_faces(content, settings.size, settings.margin, most)
    except decode.UnreadableImage as reason:
        return [failed(task.name, _status(reason), str(reason)) | seen]
    return [row | seen for row in _face_rows(task.name, cuts, settings)]


def _clip_rows(task: Task) -> list[Row]:
    """The rows of a clip's frames; where it is damaged, one more with the reason for the rest."""
    rows: list[Row] = []
    seen: Row = {}
    try:
        with sources.open_source(task.root, task.path) as file:
            seen["source_hash"] = _hash(file)
            for frame in video.frames(file, task.settings.every):
                rows += _frame_rows(task, frame)
        if not rows:
            raise decode.UnreadableImage("none of its frames is whole")
    except decode.UnreadableImage as reason:
        rows.append(failed(task.name, _status(reason), str(reason)))
    return [row | seen for row in rows]


def _frame_rows(task: Task, frame: video.Frame) -> list[Row]:
    settings = task.settings
    most = 1 if settings.faces == "largest" else None
    cuts = cut.cut_faces_of(frame.picture, settings.size, settings.margin, most)
    return _face_rows(sources.frame_name(task.name, frame.seconds), cuts, settings)


def _face_rows(name: str, cuts: cut.Cuts, settings: FaceSettings) -> list[Row]:
    size = {"source_width": cuts.width, "source_height": cuts.height}
    if not cuts.faces:
        return [failed(name, shards.NO_FACE, "the HOG detector found no face") | size]
    large = [face for face in cuts.faces if face.box.width >= settings.min_face]
    if not large:
        reason = f"its largest face is {cuts.faces[0].box.width} px wide, of {settings.min_face}"
        return [failed(name, shards.TOO_SMALL, reason) | size]
    return [
        size
        | {
            "key": f"{name}#{index}",
            "image": {"bytes": face.jpeg, "path": None},
            "source": name,
            "face_index": index,
            "box": face.box.as_list(),
            "crop": face.crop.as_list(),
            "detection_score": face.score,
            "status": shards.OK,
        }
        for index, face in enumerate(large)
    ]


def failed(name: str, status: str, error: str) -> Row:
    """The row of a source that gave no face."""
    return {"key": f"{name}#", "source": name, "status": status, "error": error}


def _status(reason: decode.UnreadableImage) -> str:
    return shards.TOO_LARGE if isinstance(reason, decode.TooLarge) else shards.UNREADABLE


def _hash(file: BinaryIO) -> str:
    """Of all its bytes; the file stands at its beginning afterwards."""
    try:
        digest = hashlib.blake2b(digest_size=16)
        while part := file.read(1 << 20):
            digest.update(part)
        file.seek(0)
    except OSError as error:
        raise decode.UnreadableImage(f"the file cannot be read: {error}") from error
    return digest.hexdigest()
