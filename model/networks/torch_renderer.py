"""A generator in torch, in use: pixels in, changes of pixels out."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..editing.masks import Masks
from ..pixels import to_model
from ..precision import computes_bf16
from .flow_generator import FlowGenerator
from .load import AnyGenerator
from .renderer import Edits, still_by_render


class TorchRenderer:
    """A `renderer.Renderer` of a generator.

    Args:
        generator: as `load_generator` gives it, with `size`.
        size: the side of its faces in pixels.
        device: where it computes.

    Attributes:
        network: the generator.
    """

    def __init__(
        self, generator: AnyGenerator, size: int, device: str | torch.device = "cpu"
    ) -> None:
        self.network = generator.eval().to(device)
        self.size = size
        self.aus = tuple(generator.settings.aus)
        self._device = torch.device(device)
        # In half the time. Differences are off by 0.13 levels in the mean, flows by 0.02 pixels at
        # most: see docs/animation.md.
        self._reduced = partial(
            torch.autocast,
            self._device.type,
            torch.bfloat16,
            enabled=computes_bf16(self._device),
        )

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
        network = self.network
        if not isinstance(network, FlowGenerator):
            return still_by_render(self, face, own_aus)
        own = self._tensor(own_aus)
        with self._reduced():
            features = network.encode(self.inputs(face[None]))

        @torch.inference_mode()
        def render(aus: np.ndarray) -> Edits:
            asked = self._tensor(aus)
            repeated = features.repeated(len(asked))
            with self._reduced():
                return edits(network.animate(repeated, asked, own.expand_as(asked)))

        return render

    def _tensor(self, aus: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(aus, np.float32)).to(self._device)


def edits(masks: Masks) -> Edits:
    """The output of a generator in numpy."""
    return Edits(masks.changes(), masks.attention.squeeze(1).float().cpu().numpy())
