"""ganim export: a generator as an ONNX file."""

from pathlib import Path

import click

from ..pipeline.errors import WrongUse
from .console import say
from .options import FILE


@click.command()
@click.option(
    "--weights", type=FILE, show_default="the one that ships", help="Weights of a generator."
)
@click.option("-o", "--output", type=FILE, default=Path("generator.onnx"), help="The ONNX file.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
def export(weights: Path | None, output: Path, overwrite: bool) -> None:
    """Write a generator as ONNX, for programs without torch.

    The file takes any number of faces at a time. It is checked against torch before it is kept.
    docs/onnx.md describes inputs and outputs. Needs the extra onnx.
    """
    if output.suffix.lower() != ".onnx":
        raise WrongUse(f"{output.name} does not end in .onnx: name the output so.")
    if output.exists() and not overwrite:
        raise WrongUse(f"{output} exists: --overwrite replaces it.")
    from ..model.animation.animator import SHIPPED
    from ..model.networks import export as work
    from ..model.networks.load import load_generator

    generator, size = load_generator(weights or SHIPPED)
    difference = work.export(generator, size, output)
    say(f"Wrote {output}: at most {difference} from torch's results")
