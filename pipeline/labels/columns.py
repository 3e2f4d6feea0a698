"""Which column of a label table means what. Columns are found by their names, in any case."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..action_units import NUMBERS

PHOTOGRAPH = (
    *("photo", "source", "file_name", "filename", "file"),
    *("image_path", "image", "path", "input", "name"),
)
"""Names of the column with the photograph; the first that a table has is used."""
POINTS = 68

_AU = re.compile(r"(?:au)?[ _-]?0*(\d{1,2})(?:_r|_intensity)?")
_NOT_AUS = frozenset((0, 3))
"""Numbers of no action unit of adults: columns so named are counted, not named by AUs."""
_CORNERS = ("left", "top", "right", "bottom")
_PYFEAT_BOX = ("facerectx", "facerecty", "facerectwidth", "facerectheight")


class BadLabels(Exception):
    """A label file cannot be used. The message says why, without a subject: `has no column …`."""


@dataclass(frozen=True)
class Columns:
    """The names of the columns of a table; None or empty: it has none."""

    aus: dict[int, str]
    """By the position of the AU among the 17."""
    photograph: str | None = None
    confidence: str | None = None
    success: str | None = None
    frame: str | None = None
    seconds: str | None = None
    face_id: str | None = None
    landmarks: tuple[str, ...] = ()
    """x of the 68 points, then y."""
    corners: tuple[str, ...] = ()
    """Left, top, right, bottom of the face's box."""
    rectangle: tuple[str, ...] = ()
    """Left, top, width, height of the face's box."""
    box: str | None = None
    """Left, top, right, bottom as a list, as in shards."""
    tool: str = ""
    """What wrote the table, if its columns show it: `OpenFace` or `py-feat`."""

    @property
    def absent(self) -> tuple[int, ...]:
        """The positions of the AUs that the table does not have."""
        return tuple(index for index in range(len(NUMBERS)) if index not in self.aus)

    @property
    def numbers(self) -> list[str]:
        """The columns that hold numbers, except those of AUs."""
        alone = (self.confidence, self.success, self.frame, self.seconds, self.face_id)
        given = [name for name in alone if name is not None]
        return [*given, *self.landmarks, *self.corners, *self.rectangle]

    @property
    def used(self) -> list[str]:
        """All columns that are to be read."""
        texts = [name for name in (self.photograph, self.box) if name is not None]
        return [*texts, *self.numbers, *self.aus.values()]


def find_columns(header: Sequence[str]) -> Columns:
    """Find the columns of a table by its header. Raises BadLabels if two columns may be one AU, or
    if columns named by bare numbers are not numbers of AUs."""
    by_name: dict[str, str] = {}
    for name in header:
        by_name.setdefault(name.strip().lower(), name)

    def given(*names: str) -> str | None:
        return next((by_name[name] for name in names if name in by_name), None)

    def all_given(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(by_name[name] for name in names) if set(names) <= set(by_name) else ()

    aus = _find_aus(header)
    from_pyfeat = "facescore" in by_name and "facerectx" in by_name
    from_openface = "confidence" in by_name and all(
        name.strip().lower().endswith("_r") for name in aus.values()
    )
    return Columns(
        aus,
        photograph=given(*PHOTOGRAPH),
        confidence=given("confidence", "facescore", "au_confidence"),
        success=given("success"),
        frame=given("frame"),
        seconds=given("timestamp"),
        face_id=given("face_id"),
        landmarks=all_given([f"{axis}_{point}" for axis in "xy" for point in range(POINTS)]),
        corners=all_given(_CORNERS),
        rectangle=all_given(_PYFEAT_BOX),
        box=given("box"),
        tool="py-feat" if from_pyfeat else "OpenFace" if from_openface and aus else "",
    )


def _find_aus(header: Sequence[str]) -> dict[int, str]:
    """The column of each AU, by its position. `AU12_r` goes before `AU12`."""
    found: dict[int, list[str]] = {}
    bare: set[int] = set()
    for name in header:
        lower = name.strip().lower()
        match = _AU.fullmatch(lower)
        if match is None:
            continue
        number = int(match[1])
        if lower.isdigit():
            bare.add(number)
        if number in NUMBERS:
            found.setdefault(NUMBERS.index(number), []).append(name)
    if bare & _NOT_AUS:
        raise BadLabels(
            f"has columns named {', '.join(map(str, sorted(bare)))}, and there is no "
            f"AU{min(bare & _NOT_AUS)}: they may be counted. Name them AU01, AU02, AU04 and so on"
        )
    aus = {}
    for index, names in sorted(found.items()):
        intensities = [name for name in names if name.strip().lower().endswith("_r")]
        names = intensities or names
        if len(names) > 1:
            raise BadLabels(
                f"has several columns of AU{NUMBERS[index]}: {', '.join(names)}. Leave one of them"
            )
        aus[index] = names[0]
    return aus
