"""Turn one photograph or clip into rows of a shard. Runs in worker processes."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .. import shards
from ..faces import landmarks
from ..faces.crop import decode_crop
from ..faces.extract import Extraction, FaceCrop, extract_faces, extract_faces_from_image
from ..images import video
from ..images.decode import TooLarge, UnreadableImage
from . import sources
from .names import frame_name
from .settings import FaceSettings

Row = dict[str, Any]
"""A row of a shard, as column to value; columns that are left out are null."""


@dataclass(frozen=True)
class Task:
    """A file to read."""

    root: Path
    """The source folder."""
    path: str
    """The file's path below it."""
    name: str
    """The file's name in the shards (`names.source_name`)."""
    settings: FaceSettings
    series: str | None = None
    """The name of its series, if it has one."""
    landmarks: np.ndarray | None = field(default=None, compare=False)
    """(points, 2): known landmarks of its largest face, in pixels of the upright photograph."""
    use_dlib: bool = False
    """Whether dlib finds the landmarks of its largest face."""
    follow_links: bool = False
    """Whether it may be outside the folder."""


def file_rows(task: Task) -> list[Row]:
    """Return a row for each face of a file; if there is none, a single row with the reason."""
    return _clip_rows(task) if sources.is_clip(task.path) else _photograph_rows(task)


def _photograph_rows(task: Task) -> list[Row]:
    try:
        content = sources.read_photograph(task.root, task.path, task.follow_links)
    except UnreadableImage as reason:
        return [failed(task.name, _status(reason), str(reason))]
    file = {"source_hash": hashlib.blake2b(content, digest_size=16).hexdigest()}
    settings = task.settings
    try:
        most = 1 if settings.faces == "largest" else None
        extraction = extract_faces(content, settings.size, settings.margin, most)
    except UnreadableImage as reason:
        return [failed(task.name, _status(reason), str(reason)) | file]
    return [row | file for row in _face_rows(task, task.name, extraction)]


def _clip_rows(task: Task) -> list[Row]:
    """Return the rows of a clip's frames; if the clip is damaged, a last row has the reason."""
    rows: list[Row] = []
    file: Row = {}
    try:
        with sources.open_source(task.root, task.path, task.follow_links) as opened:
            file["source_hash"] = _hash(opened)
            for frame in video.frames(opened, task.settings.every):
                rows += _frame_rows(task, frame)
        if not rows:
            raise UnreadableImage("none of its frames can be decoded")
    except UnreadableImage as reason:
        rows.append(failed(task.name, _status(reason), str(reason)))
    return [row | file for row in rows]


def _frame_rows(task: Task, frame: video.Frame) -> list[Row]:
    settings = task.settings
    most = 1 if settings.faces == "largest" else None
    extraction = extract_faces_from_image(frame.pixels, settings.size, settings.margin, most)
    name = frame_name(task.name, frame.seconds)
    return [row | {"frame": frame.index + 1} for row in _face_rows(task, name, extraction)]


def _face_rows(task: Task, name: str, extraction: Extraction) -> list[Row]:
    """The rows of a photograph or frame. Its largest face alone is that of the series."""
    settings = task.settings
    size = {"source_width": extraction.width, "source_height": extraction.height}
    if not extraction.faces:
        return [failed(name, shards.NO_FACE, "the HOG detector found no face") | size]
    large = [face for face in extraction.faces if face.box.width >= settings.min_face]
    if not large:
        width = extraction.faces[0].box.width
        reason = f"its largest face is {width} px wide, less than {settings.min_face}"
        return [failed(name, shards.TOO_SMALL, reason) | size]
    rows: list[Row] = [
        size
        | {
            "key": f"{name}#{index}",
            "image": {"bytes": face.jpeg, "path": None},
            "source": name,
            "face_index": index,
            "box": face.box.as_list(),
            "crop": face.crop.as_list(),
            "detection_score": face.score,
            "faces_seen": extraction.seen,
            "status": shards.OK,
        }
        for index, face in enumerate(large)
    ]
    rows[0] |= {"series": task.series, "landmarks": _landmarks(task, large[0])}
    return rows


def _landmarks(task: Task, face: FaceCrop) -> np.ndarray | None:
    """The landmarks of a face as the column has them: flat, in coordinates of the crop."""
    if task.landmarks is not None:
        points = landmarks.to_crop(task.landmarks, face.crop)
        # Beyond the crop, they are those of another face, or of a photograph of another size.
        return points.ravel() if np.abs(np.nanmean(points, 0)).max() < 1 else None
    if task.use_dlib:
        size, margin = task.settings.size, task.settings.margin
        crop = decode_crop(face.jpeg, size)
        return landmarks.find_landmarks(crop, landmarks.box_in_crop(size, margin)).ravel()
    return None


def failed(name: str, status: str, error: str) -> Row:
    """Return the row of a source without a usable face."""
    return {"key": f"{name}#", "source": name, "status": status, "error": error}


def _status(reason: UnreadableImage) -> str:
    return shards.TOO_LARGE if isinstance(reason, TooLarge) else shards.UNREADABLE


def _hash(file: BinaryIO) -> str:
    """Hash the bytes of a file, and return to its beginning."""
    try:
        digest = hashlib.blake2b(digest_size=16)
        while part := file.read(1 << 20):
            digest.update(part)
        file.seek(0)
    except OSError as error:
        raise UnreadableImage(f"the file cannot be read: {error}") from error
    return digest.hexdigest()
