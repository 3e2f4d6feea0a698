"""Write the estimator as an ONNX file, for machines without torch.

python -m ganim.model.estimator.export --out estimator.onnx
"""

from pathlib import Path

import click
import torch
from torch import Tensor, nn

from ...pipeline.files import write_whole
from ..landmarks.points import SIZE
from ..pixels import to_model
from .network import Estimator, load_estimator
from .onnx import MEAN_FACE_KEY, VERSION_KEY
from .reader import SHIPPED


class _Pixels(nn.Module):
    """The estimator from crops (n, 128, 128, 3) uint8 to AUs of both codings (n, 17) in 0-1,
    confidences (n,) in 0-1, and landmarks (n, 68, 2) in -1..1."""

    def __init__(self, estimator: Estimator) -> None:
        super().__init__()
        self.estimator = estimator

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        outputs = self.estimator(to_model(crops.permute(0, 3, 1, 2)))
        confidence = self.estimator.confidence(outputs.doubt)
        aus = (outputs.openface.clamp(0.0, 1.0), outputs.facs.clamp(0.0, 1.0))
        return *aus, confidence, outputs.landmarks


def export(estimator: Estimator, path: Path) -> None:
    """Write the estimator to an ONNX file that takes any number of crops."""
    program = torch.onnx.export(
        _Pixels(estimator).eval(),
        # Two crops: the exporter would treat a batch of one as a constant.
        (torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8),),
        input_names=["crops"],
        output_names=["openface", "facs", "confidence", "landmarks"],
        dynamic_shapes=({0: torch.export.Dim("n")},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props[VERSION_KEY] = str(estimator.settings["version"])
    mean_face = " ".join(f"{x:.6f}" for x in estimator.mean_face.ravel().tolist())
    program.model.metadata_props[MEAN_FACE_KEY] = mean_face
    write_whole(path, lambda beside: program.save(str(beside)))


@click.command(help=__doc__)
@click.option("--weights", type=click.Path(path_type=Path, exists=True), default=SHIPPED)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(weights: Path, out: Path) -> None:
    """Write the file, and print its path and size."""
    export(load_estimator(weights), out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
