"""The settings of prepare. Nothing here imports a detector: the command line shows the help."""

from dataclasses import dataclass

from ..faces import CROP_SIZE, MARGIN
from ..settings import Settings, setting


@dataclass(frozen=True)
class FaceSettings(Settings):
    """What decides which faces a photograph or clip gives, and how they are cropped."""

    size: int = setting(CROP_SIZE, "Side of the square crops, in pixels.", at_least=64)
    margin: float = setting(
        MARGIN,
        "Margin on each side of the HOG box, as a fraction of its side.",
        at_least=0,
        at_most=1,
    )
    faces: str = setting(
        "largest", "Which faces of a photograph are used.", choices=("largest", "all")
    )
    min_face: int = setting(
        0, "Narrowest HOG box that is used, in pixels of the photograph.", at_least=0
    )
    every: float = setting(1.0, "Seconds between the frames taken from a clip.", at_least=0.01)


@dataclass(frozen=True)
class PrepareSettings(FaceSettings):
    """What decides the content of the shards. A shard set has one value of each setting."""

    test_fraction: float = setting(
        0.1, "Fraction of the photographs and clips in the test split.", at_least=0, below=1
    )
    """A hash of the name of the series, or else of the path, decides the split."""
    series: str | None = setting(
        None,
        "Which photographs show one person under the same conditions: 'folder' if those of each "
        "folder do, or a .csv or .parquet with the columns photo and series. Each "
        "person of a clip is a series.",
        parse=str,
        metavar="folder|TABLE",
    )
    landmarks: str | None = setting(
        None,
        "A .parquet with the columns photo and landmarks: x and y of 68 or 478 points in turn, in "
        "pixels of the photograph. Without it, faces of a series get dlib's 68 points.",
        parse=str,
        metavar="TABLE",
    )
    shard_rows: int = setting(512, "Rows of a full shard.", at_least=1, option=False)
    """For each split, a process that is killed loses at most so many rows."""
