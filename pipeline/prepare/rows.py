"""Turn one photograph or clip into rows of a shard. Runs in worker processes."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .. import shards
from ..faces import landmarks
from ..faces.crop import decode_crop
from ..faces.extract import Extraction, FaceCrop, extract_faces, extract_faces_from_image
from ..faces.tracking import FaceTracker
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
    rows = _face_rows(task, task.name, extraction)
    if faces := _used(task, extraction):  # the largest face alone is that of the series
        rows[0] |= {"series": task.series, "landmarks": _landmarks(task, faces[0])}
    return [row | file for row in rows]


def _clip_rows(task: Task) -> list[Row]:
    """Return the rows of a clip's frames; if the clip is damaged, a last row has the reason."""
    rows: list[Row] = []
    file: Row = {}
    tracker = FaceTracker(task.settings.margin)
    numbers: list[int | None] = []
    try:
        with sources.open_source(task.root, task.path, task.follow_links) as opened:
            file["source_hash"] = _hash(opened)
            for frame in video.frames(opened, task.settings.every):
                faces, of_frame = _frame_rows(task, frame)
                rows += of_frame
                numbers += tracker.follow(faces) or [None]
        if not rows:
            raise UnreadableImage("none of its frames can be decoded")
    except UnreadableImage as reason:
        rows.append(failed(task.name, _status(reason), str(reason)))
    series = _series_of_people(task.name, rows, tracker.joined(), numbers)
    return [row | file | {"series": series.get(index)} for index, row in enumerate(rows)]


def _series_of_people(
    clip: str, rows: Sequence[Row], person_of: Sequence[int], numbers: Sequence[int | None]
) -> dict[int, str]:
    """The series of each row of a clip that has a face: one for each person, who is numbered from 1
    by size over all frames. Of one person, it is the name of the clip.

    numbers: what the tracker called the face of each row; None: it has none. person_of: the person
    of each such number.
    """
    people = {row: person_of[one] for row, one in enumerate(numbers) if one is not None}
    sizes: Counter[int] = Counter()
    for row, person in people.items():
        left, top, right, bottom = rows[row]["box"]
        sizes[person] += (right - left) * (bottom - top)
    ranks = {person: rank for rank, (person, _) in enumerate(sizes.most_common(), 1)}
    return {
        row: clip if len(ranks) == 1 else f"{clip}#{ranks[person]}"
        for row, person in people.items()
    }


def _frame_rows(task: Task, frame: video.Frame) -> tuple[list[FaceCrop], list[Row]]:
    """The faces of a frame that are used, and its rows: one each, or one with a reason."""
    settings = task.settings
    most = 1 if settings.faces == "largest" else None
    extraction = extract_faces_from_image(frame.pixels, settings.size, settings.margin, most)
    name = frame_name(task.name, frame.seconds)
    faces = _used(task, extraction)
    rows = [row | {"frame": frame.index + 1} for row in _face_rows(task, name, extraction)]
    for row, face in zip(rows, faces, strict=False):
        row["landmarks"] = _landmarks(task, face)
    return faces, rows


def _used(task: Task, extraction: Extraction) -> list[FaceCrop]:
    """The faces of a photograph or frame that are not too small, the largest first."""
    return [face for face in extraction.faces if face.box.width >= task.settings.min_face]


def _face_rows(task: Task, name: str, extraction: Extraction) -> list[Row]:
    """The rows of a photograph or frame: one for each face that is used, or one with a reason."""
    size = {"source_width": extraction.width, "source_height": extraction.height}
    if not extraction.faces:
        return [failed(name, shards.NO_FACE, "the HOG detector found no face") | size]
    used = _used(task, extraction)
    if not used:
        width = extraction.faces[0].box.width
        reason = f"its largest face is {width} px wide, less than {task.settings.min_face}"
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
            "faces_seen": extraction.seen,
            "status": shards.OK,
        }
        for index, face in enumerate(used)
    ]


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
