"""Write a generator as an ONNX file, for programs without torch, and check it against torch.

docs/onnx.md documents the inputs and outputs.
"""

import logging
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ...pipeline.action_units import COUNT
from ...pipeline.errors import NothingUsable, WrongUse
from ...pipeline.files import write_whole
from ..pixels import to_model
from .flow_generator import FlowGenerator
from .load import AnyGenerator
from .onnx_renderer import AUS_KEY, INPUTS, OUTPUTS, REFERENCE_KEY, SIZE_KEY

_CHECKED_BATCHES = (1, 3)
_LEVELS = 255.0
_MOST = 0.5
"""In levels of 8 bits: what a result of ONNX Runtime may differ from torch's."""


class Difference(NamedTuple):
    """The most by which outputs of ONNX Runtime and of torch differ, over the faces checked."""

    levels: float
    """`difference`, and `attention` and `blur` times 255, in levels of 8 bits."""
    pixels: float
    """`flow`, in pixels of the generator's input."""

    def __str__(self) -> str:
        return f"{self.levels:.1g} levels of 255 and {self.pixels:.1g} pixels of flow"


class _Pixels(nn.Module):
    """A generator from faces (n, size, size, 3) uint8 RGB and AUs (n, 17) to the OUTPUTS."""

    def __init__(self, generator: FlowGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, faces: Tensor, aus: Tensor, own_aus: Tensor) -> tuple[Tensor, ...]:
        masks = self.generator(to_model(faces.permute(0, 3, 1, 2)), aus, own_aus)
        assert masks.flow is not None and masks.blur is not None
        difference, flow = (each.permute(0, 2, 3, 1) for each in (masks.difference(), masks.flow))
        return masks.attention.squeeze(1), difference, flow, masks.blur.squeeze(1)


def export(generator: AnyGenerator, size: int, path: Path) -> Difference:
    """Write a generator, which sees faces of `size` px, to an ONNX file for any number of faces.

    The file is kept only if ONNX Runtime gives what torch gives. Raises WrongUse if the extra
    `onnx` is not installed or the generator is not of the architecture `flow`, NothingUsable if
    the results differ, and CannotWrite.
    """
    if not isinstance(generator, FlowGenerator):
        raise WrongUse(
            "These weights are of the architecture ganimation: export writes generators that were "
            "trained with --architecture flow, as the one that ships."
        )
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - torch.onnx needs it, and says so in many lines
    except ImportError as error:
        raise WrongUse("An export needs the extra onnx: pip install 'ganim[onnx]'") from error
    network = _Pixels(generator).eval()
    logging.getLogger("onnx_ir").setLevel(logging.ERROR)  # of attributes that are empty
    with warnings.catch_warnings():
        # It warns that the inputs have one batch size, as is meant.
        warnings.filterwarnings("ignore", message="# The axis name")
        program = torch.onnx.export(
            network,
            # Two faces: the exporter would treat a batch of one as a constant.
            tuple(torch.from_numpy(example) for example in _examples(2, size)),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: torch.export.Dim("n")},) * len(INPUTS),
            dynamo=True,
            verbose=False,
            # ONNX Runtime does it below, in two seconds instead of some minutes.
            optimize=False,
        )
    assert program is not None
    program.model.metadata_props[SIZE_KEY] = str(size)
    program.model.metadata_props[AUS_KEY] = " ".join(map(str, generator.settings.aus))
    reference = " ".join(f"{x:.6f}" for x in generator.reference.flatten().tolist())
    program.model.metadata_props[REFERENCE_KEY] = reference
    differences = []

    def write_checked(beside: Path) -> None:
        _save_optimized(program, beside)
        session = onnxruntime.InferenceSession(str(beside), providers=["CPUExecutionProvider"])
        for batch in _CHECKED_BATCHES:
            examples = _examples(batch, size)
            found = session.run(list(OUTPUTS), dict(zip(INPUTS, examples, strict=True)))
            differences.append(_difference(network, examples, found))
        if not all(each.levels <= _MOST and each.pixels <= _MOST for each in differences):
            raise NothingUsable(
                f"ONNX Runtime's results differ from torch's by up to {_worst(differences)}: "
                "nothing was written. Another version of torch or onnxruntime may do better."
            )

    write_whole(path, write_checked)
    return _worst(differences)


def _save_optimized(program: torch.onnx.ONNXProgram, path: Path) -> None:
    """Write a program without what can be computed beforehand, by ONNX Runtime's basic
    optimizations, after which it has standard operators alone."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    with TemporaryDirectory() as folder:
        whole = str(Path(folder) / "whole.onnx")
        program.save(whole)
        onnxruntime.InferenceSession(whole, options, providers=["CPUExecutionProvider"])
    model = onnx.load(path)
    # It declares operators of its own, too, which other programs may not know.
    standard = [each for each in model.opset_import if not each.domain]
    del model.opset_import[:]
    model.opset_import.extend(standard)
    onnx.save(model, path)


@torch.inference_mode()
def _difference(
    network: nn.Module, examples: tuple[np.ndarray, ...], found: list[np.ndarray]
) -> Difference:
    expected = network(*(torch.from_numpy(example) for example in examples))
    attention, difference, flow, blur = (
        float(np.abs(one - other.numpy()).max()) for one, other in zip(found, expected, strict=True)
    )
    side = examples[0].shape[1]
    levels = max(attention * _LEVELS, difference, blur * _LEVELS)
    return Difference(levels, flow * side / 2)


def _worst(differences: list[Difference]) -> Difference:
    return Difference(*(max(column) for column in zip(*differences, strict=True)))


def _examples(count: int, size: int) -> tuple[np.ndarray, ...]:
    """Faces as smooth as photographs, and random AUs."""
    import cv2

    draw = np.random.default_rng(0)
    faces = [
        cv2.resize(draw.integers(0, 256, (16, 16, 3), np.uint8), (size, size)) for _ in range(count)
    ]
    aus, own = draw.random((2, count, COUNT), np.float32)
    return np.stack(faces), aus, own
