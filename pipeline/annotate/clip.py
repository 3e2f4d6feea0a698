"""Annotate a clip: write a CSV with the AUs of its people, as OpenFace's FeatureExtraction does."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..action_units import COLUMNS
from ..annotator import Annotator, Crop, Reading
from ..errors import NothingUsable, WrongUse
from ..faces.extract import extract_faces_from_image
from ..faces.tracking import FaceTracker
from ..files import write_whole
from ..images import is_clip, video
from ..images.decode import UnreadableImage
from ..openface.output import BadCsv, read_csv
from .batches import batched

_BOX = ["left", "top", "right", "bottom"]
_HEADER = ["frame", "face_id", "timestamp", "confidence", "success", *COLUMNS, *_BOX]


@dataclass(frozen=True)
class ClipSummary:
    """The counts of frames after a clip was annotated."""

    frames: int
    with_aus: int
    problem: str | None = None
    """Why the clip was not read to its end; None if it was."""
    people: int | None = None
    """How many persons the clip shows; None if the annotator's program does not say."""


@dataclass(frozen=True)
class _Frame:
    """A frame of a clip, and its faces."""

    index: int
    seconds: float
    faces: list[tuple[int, Crop]]
    """The number of the person, and the crop."""


@dataclass(frozen=True)
class _Read:
    """What was read of a frame. It stays in memory to the end of the clip, so without crops."""

    index: int
    seconds: float
    faces: dict[int, tuple[tuple[int, int, int, int], Reading]]
    """The HOG box and the reading, by the number of the person."""


def annotate_clip(
    clip: Path,
    out: Path,
    annotator: Annotator,
    face: int | None = 1,
    on_frame: Callable[[str], None] = lambda status: None,
) -> ClipSummary:
    """Read the AUs of a person in every frame of a clip, and write the CSV `out`.

    Frames are counted from 1, timestamps are in seconds from the start of the clip, AUs are 0-5.
    After the AUs stands the HOG box in pixels. A frame without the person, or in which no AUs were
    read, has zeros and success 0, as in OpenFace's CSVs. The CSV of an annotator that reads clips
    itself is kept unchanged, and `on_frame` is not called. Raises NothingUsable if the clip cannot
    be read, or, after the CSV is written, if no frame has AUs; WrongUse if the person is not there,
    or if one is asked for and the annotator that reads clips itself cannot choose.

    face: which person, by size over all frames: 1, whose `face_id` is 0, is the largest. None: all,
    each with a row in the frames that show them.
    on_frame: called with the status of each frame, `ok` or `no_aus`.
    """
    if annotator.reads_clips and face != 1:
        raise WrongUse(
            f"{annotator.name} chooses the face of a clip itself: for --face, choose "
            "--annotator estimator."
        )
    problems: list[str] = []
    text = None
    try:
        if next(video.frames(clip), None) is None:
            raise UnreadableImage("it has no frames")
        if annotator.reads_clips:
            text = annotator.read_clip(clip)
    except (UnreadableImage, BadCsv) as reason:
        more = "" if is_clip(clip.name) else " If it is a photograph, give it an ending like .jpg."
        raise NothingUsable(f"{clip} cannot be read: {reason}.{more}") from reason
    people = None
    if text is None:
        tracker = FaceTracker()
        frames = list(_read(clip, annotator, tracker, problems, on_frame))
        person_of = tracker.joined()
        frames = [
            replace(read, faces={person_of[number]: face for number, face in read.faces.items()})
            for read in frames
        ]
        ranks = _by_size(frames)
        people = len(ranks)
        if face is not None and face > max(people, 1):
            raise WrongUse(f"{clip} shows {people} persons, so there is no --face {face}.")
        text = "\n".join([", ".join(_HEADER), *_lines(frames, ranks, face)]) + "\n"
    summary = _write(text, out, clip)
    return replace(summary, problem="; ".join(problems) or None, people=people)


def _write(text: str, out: Path, clip: Path) -> ClipSummary:
    """Write the CSV of a clip, and count its frames."""
    write_whole(out, lambda beside: beside.write_text(text))
    rows = read_csv(out)
    frames = len({row.frame for row in rows})
    with_aus = len({row.frame for row in rows if row.success})
    if not with_aus:
        raise NothingUsable(f"No face was read in the {frames} frames of {clip}; see {out}.")
    return ClipSummary(frames, with_aus)


def _read(
    clip: Path,
    annotator: Annotator,
    tracker: FaceTracker,
    problems: list[str],
    on_frame: Callable[[str], None],
) -> Iterator[_Read]:
    """Read the faces of all frames. Adds to `problems` why the clip was not read to its end, if it
    was not."""
    for frames in batched(_follow(clip, tracker, problems), annotator.batch):
        crops = [crop for frame in frames for _, crop in frame.faces]
        readings = iter(
            [
                reading
                for part in batched(crops, annotator.batch)
                for reading in annotator.read(part)
            ]
        )
        for frame in frames:
            faces = {person: (crop.box, next(readings)) for person, crop in frame.faces}
            has_aus = any(reading.aus is not None for _, reading in faces.values())
            on_frame("ok" if has_aus else "no_aus")
            yield _Read(frame.index, frame.seconds, faces)


def _follow(clip: Path, tracker: FaceTracker, problems: list[str]) -> Iterator[_Frame]:
    """The readable frames with all their faces.

    If the clip breaks off, the reason is appended to `problems`.
    """
    try:
        for frame in video.frames(clip):
            found = extract_faces_from_image(frame.pixels, most=None).faces
            faces = []
            for person, one in zip(tracker.follow(found), found, strict=True):
                left, top, right, bottom = one.box.as_list()
                key = f"{clip}#{frame.index}.{person}"
                faces.append((person, Crop(key, str(clip), one.jpeg, (left, top, right, bottom))))
            yield _Frame(frame.index, frame.seconds, faces)
    except UnreadableImage as reason:
        problems.append(str(reason))


def _by_size(frames: list[_Read]) -> list[int]:
    """The numbers of the persons, those with the largest area over all frames first."""
    areas: dict[int, int] = defaultdict(int)
    for read in frames:
        for person, ((left, top, right, bottom), _) in read.faces.items():
            areas[person] += (right - left) * (bottom - top)
    return sorted(areas, key=lambda person: -areas[person])


def _lines(frames: list[_Read], ranks: list[int], face: int | None) -> Iterator[str]:
    """The rows of the CSV: of one person, or of all."""
    no_face = Reading(None, error="no face")
    chosen = ranks if face is None else ranks[face - 1 : face]
    for read in frames:
        here = [person for person in chosen if person in read.faces]
        for person in here:
            box, reading = read.faces[person]
            yield _line(read, ranks.index(person), reading, box)
        if not here:
            yield _line(read, 0 if face is None else face - 1, no_face, (0, 0, 0, 0))


def _line(frame: _Read, face_id: int, reading: Reading, box: tuple[int, int, int, int]) -> str:
    """The row of a face in the CSV."""
    confidence = reading.confidence
    if confidence is None:
        # nan if the annotator gives no confidence; 0 without AUs, as in OpenFace's CSVs.
        confidence = float("nan") if reading.aus is not None else 0.0
    aus = [0.0] * len(COLUMNS) if reading.aus is None else [float(value) for value in reading.aus]
    success = int(reading.aus is not None)
    # To the microsecond, and as OpenFace with three decimals where these say it all.
    seconds = f"{frame.seconds:.6f}"
    seconds = seconds[:-3] + seconds[-3:].rstrip("0")
    start = [str(frame.index + 1), str(face_id), seconds, f"{confidence:.2f}", str(success)]
    return ", ".join([*start, *(f"{value:.2f}" for value in aus), *map(str, box)])
