"""`ganim annotate face.jpg`: print the AUs of the faces of one photograph."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..pipeline.errors import NothingUsable
from .console import say

if TYPE_CHECKING:
    from ..pipeline.annotator import Annotator


def is_photograph(path: Path) -> bool:
    """Whether a path is that of a photograph by its ending."""
    from ..pipeline.images.decode import SUFFIXES

    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def annotate_photograph(photograph: Path, out: Path | None, annotator: "Annotator") -> None:
    """Print the AUs of each face, the largest first, and write a CSV if `out` names one.

    Raises NothingUsable if the photograph cannot be read or no face of it has AUs.
    """
    from ..model.animation.choose import choose
    from ..model.animation.faces import find_faces
    from ..model.animation.stills import read
    from ..model.estimator.annotator import load_reader
    from ..pipeline.annotate.faces_table import to_csv, to_text
    from ..pipeline.annotator import Crop
    from ..pipeline.faces.crop import CROP_SIZE, encode_jpeg
    from ..pipeline.files import write_whole

    picture = read(photograph).rgb
    crops = []
    for number, face in enumerate(choose(find_faces(load_reader(), picture), None)):
        assert face.view is not None
        image = encode_jpeg(face.view.cut(picture, CROP_SIZE))
        left, top, right, bottom = face.crop.as_list()
        crops.append(
            Crop(f"{photograph}#{number}", str(photograph), image, (left, top, right, bottom))
        )
    readings = [
        reading
        for start in range(0, len(crops), annotator.batch)
        for reading in annotator.read(crops[start : start + annotator.batch])
    ]
    say(to_text(readings))
    for number, reading in enumerate(readings, start=1):
        if reading.error is not None:
            say(f"Face {number} has no AUs: {reading.error}.", err=True)
    if all(reading.aus is None for reading in readings):
        raise NothingUsable(f"No face of {photograph} has AUs.")
    if out is not None:
        text = to_csv(crops, readings)
        write_whole(out, lambda beside: beside.write_text(text))
        say(f"Wrote {out}")
