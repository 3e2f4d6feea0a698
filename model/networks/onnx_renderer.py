"""A generator in ONNX Runtime, in use. Nothing here imports torch.

docs/onnx.md documents the inputs and outputs of the file.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...pipeline.errors import WrongUse
from ...pipeline.faces.paste import Change
from ..onnx_session import open_session
from .renderer import Edits, still_by_render

SIZE_KEY, REFERENCE_KEY, AUS_KEY = "ganim_generator_size", "ganim_reference", "ganim_aus"
"""Keys of the file's metadata: `Renderer.size`; `Renderer.reference`, x and y in turn; and
`Renderer.aus`."""
INPUTS = ("faces", "aus", "own_aus")
OUTPUTS = ("attention", "difference", "flow", "blur")


class OnnxRenderer:
    """A `renderer.Renderer` from a file that `ganim export` wrote.

    Raises WrongUse if ONNX Runtime or the file is missing, or if the file is not a generator.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise WrongUse(f"{path} does not exist. Write it with ganim export -o {path}")
        self._session, known = open_session(path, "a generator of ganim", SIZE_KEY)
        outputs = {output.name for output in self._session.get_outputs()}
        if AUS_KEY not in known or not outputs.issuperset(OUTPUTS):
            raise WrongUse(
                f"{path} is of an older version of ganim: write it anew with ganim export -o {path}"
            )
        self.size = int(known[SIZE_KEY])
        self.aus = tuple(int(number) for number in known[AUS_KEY].split())
        self.reference = np.array(known[REFERENCE_KEY].split(), np.float64).reshape(-1, 2)

    def render(self, faces: np.ndarray, aus: np.ndarray, own_aus: np.ndarray) -> Edits:
        given = (faces, np.asarray(aus, np.float32), np.asarray(own_aus, np.float32))
        found = self._session.run(OUTPUTS, dict(zip(INPUTS, given, strict=True)))
        attention, *of_changes = found
        return Edits([Change(*each) for each in zip(*of_changes, strict=True)], attention)

    def still(self, face: np.ndarray, own_aus: np.ndarray) -> Callable[[np.ndarray], Edits]:
        return still_by_render(self, face, own_aus)
