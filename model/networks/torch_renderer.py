"""A generator in torch, in use: pixels in, changes of pixels out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..pixels import to_model
from .flow_generator import FlowGenerator
from .load import AnyGenerator, load_generator
from .masks import Masks
from .renderer import Edits


class TorchRenderer:
    """A `renderer.Renderer` from a file of generator weights.

    Args:
        path: Raises WrongUse for any other file.
        device: where the generator computes.

    Attributes:
        network: the generator.
    """

    def __init__(self, path: Path, device: str | torch.device = "cpu") -> None:
        generator, size = load_generator(path)
        self._hold(generator, size, device)

    @classmethod
    def of(
        cls, generator: AnyGenerator, size: int, device: str | torch.device = "cpu"
    ) -> "TorchRenderer":
        """A generator that is in memory, and the size of its faces."""
        renderer = cls.__new__(cls)
        renderer._hold(generator.eval(), size, device)
        return renderer

    def _hold(self, generator: AnyGenerator, size: int, device: str | torch.device) -> None:
        self.network = generator.to(device)
        self.size = size
        self.aus = tuple(generator.settings.aus)
        self._device = torch.device(device)

    @property
    def reference(self) -> np.ndarray | None:
        if not isinstance(self.network, FlowGenerator):
            return None
        return self.network.reference.cpu().numpy()

    def inputs(self, faces: np.ndarray) -> Tensor:
        """Faces (n, size, size, 3) uint8 RGB as the network takes them: (n, 3, size, size) in
        -1..1, on its device."""
        return to_model(torch.from_numpy(faces).permute(0, 3, 1, 2)).to(self._device)

    @torch.inference_mode()
    def render(self, faces: np.ndarray, aus: np.ndarray, own_aus: np.ndarray) -> Edits:
        return edits(self.network(self.inputs(faces), self._tensor(aus), self._tensor(own_aus)))

    @torch.inference_mode()
    def still(self, face: np.ndarray, own_aus: np.ndarray) -> Callable[[np.ndarray], Edits]:
        network, pixels, own = self.network, self.inputs(face[None]), self._tensor(own_aus)
        if not isinstance(network, FlowGenerator):
            return lambda aus: self.render(
                np.repeat(face[None], len(aus), 0), aus, np.tile(own_aus, (len(aus), 1))
            )
        features = network.encode(pixels)

        @torch.inference_mode()
        def render(aus: np.ndarray) -> Edits:
            asked = self._tensor(aus)
            repeated = features.repeated(len(asked))
            return edits(network.animate(repeated, asked, own.expand_as(asked)))

        return render

    def _tensor(self, aus: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(aus, np.float32)).to(self._device)


def edits(masks: Masks) -> Edits:
    """The output of a generator in numpy."""
    return Edits(masks.changes(), masks.attention.squeeze(1).float().cpu().numpy())
