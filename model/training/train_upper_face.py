"""Train the networks that find brows and eyes (editing/brows.py) and irises
(editing/iris_network.py) of a trained generator.

    python -m ganim.model.training.train_upper_face shards/ --weights WEIGHTS --out NEW_WEIGHTS

They learn from photographs with landmarks, irises from those of MediaPipe. The other weights of the
generator stay as they are.
"""

from pathlib import Path

import torch

from ..config import TrainSettings
from ..data import Faces, load_faces
from ..editing.brows import LAYERS
from ..editing.layer_network import LayerNetwork
from ..networks.flow_generator import FlowGenerator
from ..networks.load import load_flow_generator
from .framing import find_landmarks, framed
from .part_command import part_command, print_means, save_generator
from .train_irises import train_irises, with_mesh
from .train_layers import train_layers
from .upper_face_examples import cut_upper_faces

_SHOWN = 50
"""After how many steps a line is printed."""
_OF_IRISES = 0.7
"""Steps in which irises are learned, relative to those of brows and eyes."""


@part_command(__doc__, steps=4400)
def main(shards: Path, weights: Path, out: Path, steps: int, batch: int, seed: int) -> None:
    generator, size = load_flow_generator(weights)
    decoded = TrainSettings(size=size, paired=1, generator=generator.settings).loaded_size
    faces = load_faces(shards, "train", decoded)
    seen = cut_upper_faces(faces, find_landmarks(faces), generator.reference, size, seed)
    print(f"{len(seen.pixels)} pictures\n  step error in px", flush=True)

    torch.manual_seed(seed)
    layers = LayerNetwork(LAYERS)
    errors: list[tuple[float]] = []
    for error in train_layers(layers, *seen[:2], steps, batch, seen.often):
        errors.append((error,))
        print_means(errors, _SHOWN)
    generator.upper_face.layers = layers
    generator.upper_face.trained.fill_(1)
    _train_irises(generator, faces, size, steps)
    save_generator(generator, weights, out)


def _train_irises(generator: FlowGenerator, faces: Faces, size: int, steps: int) -> None:
    seen = with_mesh(faces)
    if not len(seen):
        print("No photograph has landmarks of MediaPipe: irises are taken to be where most are.")
        return
    print(f"{len(seen)} pictures with irises\n  step error in widths of the eye", flush=True)
    seen = framed(seen, generator.reference, size)
    errors: list[tuple[float]] = []
    for error in train_irises(generator.upper_face, seen, round(steps * _OF_IRISES)):
        errors.append((error,))
        print_means(errors, _SHOWN)


if __name__ == "__main__":
    main()
