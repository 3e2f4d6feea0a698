"""Annotate a clip: write a CSV with one row per frame, as OpenFace's FeatureExtraction does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..action_units import COLUMNS
from ..annotator import Annotator, Crop, Reading
from ..errors import NothingUsable
from ..faces.extract import extract_faces_from_image
from ..files import write_whole
from ..images import video
from ..images.decode import UnreadableImage
from ..openface.output import BadCsv, read_csv
from .batches import batched

_HEADER = ["frame", "face_id", "timestamp", "confidence", "success", *COLUMNS]


@dataclass(frozen=True)
class ClipSummary:
    """The counts of frames after a clip was annotated."""

    frames: int
    with_aus: int
    problem: str | None = None
    """Why the clip was not read to its end; None if it was."""


def annotate_clip(
    clip: Path,
    out: Path,
    annotator: Annotator,
    on_frame: Callable[[str], None] = lambda status: None,
) -> ClipSummary:
    """Read the AUs of the largest face in every frame of a clip, and write the CSV `out`.

    Frames are counted from 1, timestamps are in seconds from the start of the clip, AUs are 0-5.
    A frame without a face, or whose face has no AUs, has zeros and success 0, as in OpenFace's
    CSVs. The CSV of an annotator that reads clips itself is kept unchanged, and `on_frame` is not
    called. Raises NothingUsable if the clip cannot be read, or, after the CSV is written, if no
    frame has AUs.

    on_frame: called with the status of each frame, `ok` or `no_aus`.
    """
    problems: list[str] = []
    try:
        if next(video.frames(clip), None) is None:
            raise UnreadableImage("it has no frames")
        text = annotator.read_clip(clip)
    except (UnreadableImage, BadCsv) as reason:
        raise NothingUsable(f"{clip} cannot be read: {reason}.") from reason
    if text is None:
        text = _read_frames(clip, annotator, problems, on_frame)
    summary = _write(text, out, clip)
    return replace(summary, problem="; ".join(problems) or None)


def _read_frames(
    clip: Path, annotator: Annotator, problems: list[str], on_frame: Callable[[str], None]
) -> str:
    """The CSV from the crops of the frames. Adds to `problems` why the clip was not read to its
    end, if it was not."""
    lines = [", ".join(_HEADER)]
    for batch in batched(_largest_faces(clip, problems), annotator.batch):
        crops = [crop for _, crop in batch if crop is not None]
        readings = iter(annotator.read(crops) if crops else [])
        for frame, crop in batch:
            reading = Reading(None, error="no face") if crop is None else next(readings)
            lines.append(_line(frame, reading))
            on_frame("ok" if reading.aus is not None else "no_aus")
    return "\n".join(lines) + "\n"


def _write(text: str, out: Path, clip: Path) -> ClipSummary:
    """Write the CSV of a clip, and count its frames."""
    write_whole(out, lambda beside: beside.write_text(text))
    rows = read_csv(out)
    with_aus = sum(row.success for row in rows)
    if not with_aus:
        raise NothingUsable(f"No face was read in the {len(rows)} frames of {clip}; see {out}.")
    return ClipSummary(len(rows), with_aus)


def _largest_faces(clip: Path, problems: list[str]) -> Iterator[tuple[video.Frame, Crop | None]]:
    """The readable frames, each with the crop of its largest face, or None if it has no face.

    If the clip breaks off, the reason is appended to `problems`.
    """
    try:
        for frame in video.frames(clip):
            faces = extract_faces_from_image(frame.pixels).faces
            if not faces:
                yield frame, None
                continue
            left, top, right, bottom = faces[0].box.as_list()
            key = f"{clip}#{frame.index}"
            yield frame, Crop(key, str(clip), faces[0].jpeg, (left, top, right, bottom))
    except UnreadableImage as reason:
        problems.append(str(reason))


def _line(frame: video.Frame, reading: Reading) -> str:
    """The row of a frame in the CSV."""
    confidence = reading.confidence
    if confidence is None:
        # nan if the annotator gives no confidence; 0 without AUs, as in OpenFace's CSVs.
        confidence = float("nan") if reading.aus is not None else 0.0
    aus = [0.0] * len(COLUMNS) if reading.aus is None else [float(value) for value in reading.aus]
    success = int(reading.aus is not None)
    start = [str(frame.index + 1), "0", f"{frame.seconds:.3f}", f"{confidence:.2f}", str(success)]
    return ", ".join([*start, *(f"{value:.2f}" for value in aus)])
