"""A clip to a CSV of its AUs, a row a frame, with the columns of OpenFace's FeatureExtraction."""

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
from .annotate import batched

_HEADER = ["frame", "face_id", "timestamp", "confidence", "success", *COLUMNS]


@dataclass(frozen=True)
class ClipSummary:
    """How a clip was annotated."""

    frames: int
    with_aus: int
    problem: str | None = None
    """Why the clip could not be read to its end, if it could not."""


def annotate_clip(
    clip: Path,
    out: Path,
    annotator: Annotator,
    on_frame: Callable[[str], None] = lambda status: None,
) -> ClipSummary:
    """Read the largest face of every frame, and write the CSV `out`.

    Frames count from 1, timestamps are seconds from the clip's start, AUs are 0-5. A frame
    without a face, or whose face gives no AUs, has success 0, as OpenFace writes it. The CSV of an
    annotator that reads clips itself is kept as it is, and `on_frame` is not called. Raises
    NothingUsable where the clip cannot be read; where no frame has AUs, with the CSV written.
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
    for batch in batched(_faces(clip, problems), annotator.batch):
        crops = [crop for _, crop in batch if crop is not None]
        readings = iter(annotator.read(crops) if crops else [])
        for frame, crop in batch:
            reading = Reading(None, error="no face") if crop is None else next(readings)
            lines.append(_line(frame, reading))
            on_frame("ok" if reading.aus is not None else "no_aus")
    return "\n".join(lines) + "\n"


def _write(text: str, out: Path, clip: Path) -> ClipSummary:
    """Put the CSV of a clip in place, and count what is in it."""
    write_whole(out, lambda beside: beside.write_text(text))
    rows = read_csv(out)
    with_aus = sum(row.success for row in rows)
    if not with_aus:
        raise NothingUsable(f"No face was read in the {len(rows)} frames of {clip}; see {out}.")
    return ClipSummary(len(rows), with_aus)


def _faces(clip: Path, problems: list[str]) -> Iterator[tuple[video.Frame, Crop | None]]:
    """The frames that can be read, each with the crop of its largest face, if there is one."""
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
    confidence = reading.confidence
    if confidence is None:
        # An annotator that does not say how sure it is; of no face, one is sure of nothing.
        confidence = float("nan") if reading.aus is not None else 0.0
    aus = [0.0] * len(COLUMNS) if reading.aus is None else [float(value) for value in reading.aus]
    success = int(reading.aus is not None)
    start = [str(frame.index + 1), "0", f"{frame.seconds:.3f}", f"{confidence:.2f}", str(success)]
    return ", ".join([*start, *(f"{value:.2f}" for value in aus)])
