"""Glasses that are drawn over held-out faces: are they found, and do they stay where they are?

    python bench/occlusions.py --shards shards/

Prints how much of the frames is found, and how far they move and how much they are painted when AUs
are asked for by 1: as the weights are used, and as they would be if nothing were found.
"""

from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F

from ganim.model.animation.animator import SHIPPED
from ganim.model.networks.load import load_flow_generator
from ganim.model.pixels import from_model, to_model
from ganim.model.training.framing import sampled
from ganim.model.training.occluders import with_glasses
from ganim.model.training.train_occlusion import load_photographs
from ganim.pipeline.action_units import COUNT, positions

ASKED = ((1, 2), (4,), (5,), (6, 12), (9,), (45,))
FRAME = 0.7
"""Covered share of a pixel of a frame."""


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--weights", type=click.Path(path_type=Path, exists=True), default=SHIPPED)
@click.option("--faces", type=click.IntRange(min=1), default=100, help="The most faces to use.")
@torch.no_grad()
def main(shards: Path, weights: Path, faces: int) -> None:
    generator, size = load_flow_generator(weights)
    photographs = load_photographs(shards, "test", size, generator.reference)
    random = np.random.default_rng(0)
    chosen = torch.from_numpy(random.permutation(len(photographs))[:faces])
    plain = sampled(photographs.images[chosen], photographs.maps[chosen], size)
    pixels = from_model(plain).round().byte().permute(0, 2, 3, 1).numpy()
    landmarks = (photographs.landmarks[chosen].numpy() + 1) * size / 2 - 0.5
    drawn = [with_glasses(*each, random) for each in zip(pixels, landmarks, strict=True)]
    worn = to_model(torch.from_numpy(np.stack([face for face, _ in drawn])).permute(0, 3, 1, 2))
    masks = torch.from_numpy(np.stack([mask for _, mask in drawn]))[:, None]

    face = generator.encode(worn)
    found, halves = face.occlusion, F.avg_pool2d(masks, 2)
    both = (found * halves).sum()
    print(f"{len(worn)} faces of {size} px, each with drawn glasses")
    print(f"of the frames {both / halves.sum():.0%} is found; {both / found.sum():.0%} of what is")
    print("found is a frame")
    unfound = face._replace(
        occlusion=torch.zeros_like(face.occlusion), bounds=torch.zeros_like(face.bounds)
    )
    frames = masks > FRAME
    own = torch.zeros(len(worn), COUNT)
    for numbers in ASKED:
        aus = own.index_fill(1, torch.tensor(positions(numbers)), 1.0)
        texts = []
        for features in (face, unfound):
            made = generator.animate(features, aus, own)
            assert made.flow is not None
            moved = made.flow.norm(dim=1, keepdim=True)[frames].mean() * size / 2
            texts.append(
                f"moved by {moved:.2f} px, painted {1 - made.attention[frames].mean():.0%}"
            )
        name = "+".join(map(str, numbers))
        print(f"AU{name}: {texts[0]}; if nothing were found {texts[1]}")


if __name__ == "__main__":
    main()
