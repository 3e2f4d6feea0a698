"""Train the network that finds brows and eyes (editing/brows.py) of a trained generator.

    python -m ganim.model.training.train_upper_face shards/ --weights WEIGHTS --out NEW_WEIGHTS

It learns from photographs with landmarks. The other weights of the generator stay as they are.
"""

from pathlib import Path

import click
import torch

from ...pipeline.errors import GanimError
from ..checkpoint import load_weights, save_weights
from ..config import TrainSettings
from ..data import load_faces
from ..editing.brows import LAYERS
from ..editing.layer_network import LayerNetwork
from ..networks.load import load_flow_generator
from .framing import find_landmarks
from .train_layers import train_layers
from .upper_face_examples import cut_upper_faces

_SHOWN = 50
"""After how many steps a line is printed."""


@click.command(help=__doc__)
@click.argument("shards", type=click.Path(path_type=Path, exists=True))
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--steps", type=click.IntRange(min=1), default=4400)
@click.option("--batch", type=click.IntRange(min=2), default=16)
@click.option("--seed", type=int, default=0)
def main(shards: Path, weights: Path, out: Path, steps: int, batch: int, seed: int) -> None:
    try:
        _run(shards, weights, out, steps, batch, seed)
    except GanimError as error:
        raise click.ClickException(str(error)) from error


def _run(shards: Path, weights: Path, out: Path, steps: int, batch: int, seed: int) -> None:
    generator, size = load_flow_generator(weights)
    decoded = TrainSettings(size=size, paired=1, generator=generator.settings).loaded_size
    faces = load_faces(shards, "train", decoded)
    seen = cut_upper_faces(faces, find_landmarks(faces), generator.reference, size, seed)
    print(f"{len(seen.pixels)} pictures\n  step error in px", flush=True)

    torch.manual_seed(seed)
    layers = LayerNetwork(LAYERS)
    errors: list[float] = []
    for error in train_layers(layers, *seen[:2], steps, batch, seen.often):
        errors.append(error)
        if len(errors) % _SHOWN == 0:
            print(f"{len(errors):6d} {sum(errors[-_SHOWN:]) / _SHOWN:10.4f}", flush=True)
    generator.upper_face.layers = layers
    generator.upper_face.trained.fill_(1)
    _, settings = load_weights(weights, "generator")
    save_weights(out, generator.state_dict(), "generator", settings)


if __name__ == "__main__":
    main()
