"""The 17 sliders: their groups and help, and what positions mean for a face."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from ..pipeline.action_units import NUMBERS, Edit

GROUPS: dict[str, tuple[int, ...]] = {
    "Brows": (1, 2, 4),
    "Eyes and cheeks": (5, 6, 7, 45),
    "Nose": (9,),
    "Mouth": (10, 12, 14, 15, 20, 23, 25),
    "Jaw and chin": (17, 26),
}
"""The AUs by the part of the face that moves."""
HELP: dict[int, str] = {
    1: "Raises the inner ends of the brows, as in worry.",
    2: "Raises the outer ends of the brows.",
    4: "Draws the brows down and together: a frown.",
    5: "Opens the eyes wide.",
    6: "Lifts the cheeks and narrows the eyes, as in a smile that is felt.",
    7: "Tightens the lids: a squint.",
    9: "Wrinkles the nose, as in disgust.",
    10: "Raises the upper lip.",
    12: "Pulls the corners of the lips up: a smile.",
    14: "Presses the corners of the lips in: a dimple.",
    15: "Pulls the corners of the lips down.",
    17: "Pushes chin and lower lip up: a pout.",
    20: "Stretches the lips sideways, as in fear.",
    23: "Makes the lips tight and narrow.",
    25: "Parts the lips.",
    26: "Drops the jaw.",
    45: "Closes the eyes.",
}
"""What one sees of each AU."""
STEP = 0.01


def positions_of(aus: np.ndarray) -> list[float]:
    """Where the sliders stand for AUs (17,) in 0-1."""
    return [round(float(value), 2) for value in aus]


def edits(positions: Sequence[float], own: np.ndarray) -> list[Edit]:
    """What the positions ask of a face that shows AUs `own` (17,), as `--au` says it.

    A slider that stands where the face's own AU put it asks for nothing.
    """
    return [
        Edit(number, float(min(1.0, max(0.0, position))))
        for number, position, at in zip(NUMBERS, positions, positions_of(own), strict=True)
        if abs(position - at) > STEP / 2
    ]


def option(asked: Sequence[Edit]) -> str:
    """Edits as the value of `--au`."""
    return ",".join(f"{edit.number}={edit.value:.2f}" for edit in asked)


def command(name: str, face: int, options: Sequence[str], weights: str | None) -> str:
    """A `ganim animate` command for a photograph. The arguments are those of `Made`."""
    words = ["ganim", "animate", name if name[0] != "-" else f"./{name}"]
    words += ["--face", str(face)] if face > 1 else []
    words += options
    words += ["--weights", weights] if weights else []
    return shlex.join(words)


@dataclass(frozen=True)
class Made:
    """What made a picture, for those who want to make it without the studio."""

    name: str
    """Of the photograph's file."""
    face: int
    """From 1."""
    edits: Sequence[Edit]
    """At least one."""
    weights: str | None = None
    """The file; None: those that ship."""

    @property
    def command(self) -> str:
        """The `ganim animate` command that makes it."""
        return command(self.name, self.face, ["--au", option(self.edits)], self.weights)

    @property
    def python(self) -> str:
        """The lines of Python that make it."""
        words = [repr(self.name), repr(option(self.edits))]
        words += [f"face={self.face}"] if self.face > 1 else []
        return (
            "import ganim\n\n"
            f"animator = ganim.load({repr(self.weights) if self.weights else ''})\n"
            f"result = animator.animate({', '.join(words)})\n"
            f"result.save({f'{PurePath(self.name).stem}-animated.png'!r})"
        )
