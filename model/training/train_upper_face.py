"""Train the network that finds brows and eyes (editing/brows.py) of a trained generator.

    python -m ganim.model.training.train_upper_face shards/ --weights WEIGHTS --out NEW_WEIGHTS

It learns from photographs with landmarks. The other weights of the generator stay as they are.
"""

from pathlib import Path

import torch

from ..config import TrainSettings
from ..data import load_faces
from ..editing.brows import LAYERS
from ..editing.layer_network import LayerNetwork
from ..networks.load import load_flow_generator
from .framing import find_landmarks
from .part_command import part_command, print_means, save_generator
from .train_layers import train_layers
from .upper_face_examples import cut_upper_faces

_SHOWN = 50
"""After how many steps a line is printed."""


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
    save_generator(generator, weights, out)


if __name__ == "__main__":
    main()
