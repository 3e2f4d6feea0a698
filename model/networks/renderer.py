"""The interface of a generator in use, whatever computes it, and where the shipped weights are.

Nothing here imports torch, so that a generator in ONNX Runtime needs none.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ...pipeline.faces.paste import Change

SHIPPED = Path(__file__).parents[1] / "weights" / "generator.safetensors"
"""The generator that the package contains."""


class Edits(NamedTuple):
    """What a generator makes of n faces."""

    changes: list[Change]
    """Of each face; `paste_change` can apply them at another resolution."""
    attention: np.ndarray
    """(n, size, size) float32, 0-1; 1 keeps the (moved) face."""


class Renderer(Protocol):
    """A generator, whatever runtime it uses."""

    @property
    def size(self) -> int:
        """The side in pixels of the faces on which it was trained."""

    @property
    def aus(self) -> tuple[int, ...]:
        """The numbers of the AUs that it knows; others have no effect."""

    @property
    def reference(self) -> np.ndarray | None:
        """(68, 2): where the landmarks of a mean face lie in the frame of its faces, -1..1. None if
        it sees crops around the HOG box."""

    def render(self, faces: np.ndarray, aus: np.ndarray, own_aus: np.ndarray) -> Edits:
        """What it makes of faces (n, size, size, 3) uint8 RGB that are asked for AUs (n, 17), and
        show `own_aus` (n, 17), all float32 in 0-1."""

    def still(self, face: np.ndarray, own_aus: np.ndarray) -> Callable[[np.ndarray], Edits]:
        """A function from AUs (k, 17) that are asked of one face (size, size, 3), which shows
        `own_aus` (17,), to what it makes of it. What depends on the face alone is computed once."""


def still_by_render(
    renderer: Renderer, face: np.ndarray, own_aus: np.ndarray
) -> Callable[[np.ndarray], Edits]:
    """`Renderer.still` of a generator of which nothing depends on the face alone."""

    def render(aus: np.ndarray) -> Edits:
        count = len(aus)
        return renderer.render(np.repeat(face[None], count, 0), aus, np.tile(own_aus, (count, 1)))

    return render
