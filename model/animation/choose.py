"""Which faces of a photograph are animated: by number, and those that are seen from the front."""

from collections.abc import Sequence

from ...pipeline.errors import NothingUsable, WrongUse
from .faces import Face

WARNED_YAW, MOST_YAW = 25.0, 45.0
"""Degrees to the side from which a face is animated with a warning, and is not animated."""


def choose(faces: Sequence[Face], which: int | None) -> list[Face]:
    """The face of a number from 1, as `--face` counts them; None: all.

    Raises NothingUsable if there is none, and WrongUse for a number that there is not.
    """
    if not faces:
        raise NothingUsable(
            "No face was found in the photograph: it should show one from the front, "
            "50 pixels wide or more."
        )
    if which is None:
        return list(faces)
    if not 1 <= which <= len(faces):
        count = "one face was" if len(faces) == 1 else f"{len(faces)} faces were"
        raise WrongUse(f"There is no face {which}: {count} found. See --list-faces.")
    return [faces[which - 1]]


def chosen_faces(faces: Sequence[Face], which: int | None) -> tuple[list[Face], list[str]]:
    """The face of a number from 1 (None: all), if it can be animated, and sentences about those
    that cannot or were not chosen.

    Raises NothingUsable if there is none, and WrongUse for a number that there is not.
    """
    kept, notes = usable(choose(faces, which))
    others = 0 if which is None else len(faces) - 1
    if others:
        notes.append(f"{others} more face{'s were' if others > 1 else ' was'} found: --face all.")
    return kept, notes


def usable(faces: Sequence[Face]) -> tuple[list[Face], list[str]]:
    """The faces that are not turned too far to the side, and sentences about those that are.

    Raises NothingUsable if none is left.
    """
    kept, notes = [], []
    for face in faces:
        which = f"The face at {round(face.centre[0])}, {round(face.centre[1])}"
        turned = f"{which} is turned to the side by about {abs(face.yaw):.0f} degrees"
        if abs(face.yaw) > MOST_YAW:
            notes.append(f"{turned}: too far to be animated.")
            continue
        if abs(face.yaw) > WARNED_YAW:
            notes.append(f"{turned}: look at the result, faces from the front come out better.")
        kept.append(face)
    if not kept:
        raise NothingUsable(" ".join(notes))
    return kept, notes
