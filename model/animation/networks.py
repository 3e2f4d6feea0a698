"""The two networks that animate a face: an estimator and a generator, in torch or ONNX Runtime."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ...pipeline.errors import WrongUse
from ..estimator.reader import SHIPPED as SHIPPED_ESTIMATOR
from ..estimator.reader import Reader
from ..networks.renderer import Renderer

if TYPE_CHECKING:
    import torch

Runtime = Literal["torch", "onnx"]


class Networks(NamedTuple):
    """What an animation needs, whatever computes it."""

    renderer: Renderer
    reader: Reader


def load_networks(weights: Path, runtime: Runtime, device: "str | torch.device") -> Networks:
    """Load a generator, and the estimator that ships.

    weights: a file of generator weights; for `onnx` also one that `ganim export` wrote. Others are
        exported once, see `onnx_files`.
    device: where the generator computes in torch.

    Raises WrongUse if the file is not the weights of a generator, or needs what is not installed.
    """
    if runtime == "torch":
        from ..estimator.network import load_estimator
        from ..networks.load import load_generator
        from ..networks.torch_renderer import TorchRenderer

        if weights.suffix == ".onnx":
            raise WrongUse(f"{weights} is for --runtime onnx.")
        return Networks(TorchRenderer(*load_generator(weights), device), load_estimator())
    from ..estimator.onnx import OnnxEstimator
    from ..networks.onnx_renderer import OnnxRenderer
    from .onnx_files import exported_estimator, exported_generator

    generator = weights if weights.suffix == ".onnx" else exported_generator(weights)
    return Networks(OnnxRenderer(generator), OnnxEstimator(exported_estimator(SHIPPED_ESTIMATOR)))
