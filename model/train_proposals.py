"""Train the face proposal network of pipeline/faces/proposals.py.

    python -m ganim.model.train_proposals --photos photos/ --out proposals.safetensors

The photographs show one main face each; those of the test split are not used. The labels are the
boxes of dlib's detector. Training images are synthetic: faces are pasted at random sizes and angles
onto backgrounds made of other photographs.
"""

from pathlib import Path

import click
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file
from torch import nn

from ..pipeline import shards
from ..pipeline.faces import detect
from ..pipeline.faces.proposals import LAYERS
from ..pipeline.images.decode import UnreadableImage, read_image
from .proposal_scenes import Photograph, Scenes

WIDTHS = (1, 12, 24, 32, 32, 32, 2)
"""Channels of the input and of each layer's output."""
TEST_FRACTION = 0.1
"""Fraction of the photographs that are not used, as in `ganim prepare`."""


def load_photographs(folder: Path, most: int, seed: int) -> list[Photograph]:
    """Load photographs in random order, until `most` have a face that the detector finds.

    Photographs of the test split and files that cannot be read are skipped.
    """
    paths = sorted(folder.rglob("*.jpg"))
    loaded: list[Photograph] = []
    for index in np.random.default_rng(seed).permutation(len(paths)):
        name = paths[index].relative_to(folder).as_posix()
        if shards.split_of(name, TEST_FRACTION) == "test" or len(loaded) == most:
            continue
        try:
            image = read_image(paths[index])
        except UnreadableImage:
            continue
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        found = detect.detect_faces(image)
        if found:
            box = found[0].box
            half, quarter = (
                cv2.resize(grey, None, fx=f, fy=f, interpolation=cv2.INTER_AREA)
                for f in (0.5, 0.25)
            )
            x, y = (box.left + box.right) / 4, (box.top + box.bottom) / 4
            loaded.append(Photograph(half, quarter, x, y, box.width / 2))
    return loaded


def network() -> nn.Sequential:
    """The network of pipeline/faces/proposals.py in torch.

    Input: images (n, 1, h, w) in -0.5..0.5. Output: logits (n, 2, h / STRIDE, w / STRIDE).
    """
    layers: list[nn.Module] = []
    for index, (kernel, stride) in enumerate(LAYERS):
        padding = (kernel - stride + 1) // 2
        layers += [
            nn.ZeroPad2d((padding, kernel - stride - padding) * 2),
            nn.Conv2d(WIDTHS[index], WIDTHS[index + 1], kernel, stride),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers[:-1])


@click.command(help=__doc__)
@click.option("--photos", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--most", type=int, default=8000, help="Photographs to train on.")
@click.option("--steps", type=int, default=4000)
@click.option("--batch", type=int, default=48)
@click.option("--start", type=click.Path(path_type=Path), help="Weights to start from.")
def main(photos: Path, out: Path, most: int, steps: int, batch: int, start: Path | None) -> None:
    """Train; print the mean loss and write the weights every 200 steps."""
    torch.manual_seed(0)
    photographs = load_photographs(photos, most, seed=0)
    print(f"{len(photographs)} photographs", flush=True)
    scenes, net = Scenes(photographs, seed=steps), network()
    if start is not None:
        load(net, start)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    losses = []
    for step in range(1, steps + 1):
        images, targets, weights = scenes.batch(batch)
        loss = F.binary_cross_entropy_with_logits(
            net(images), targets, weights, reduction="sum"
        ) / (3 * targets.sum().clamp(min=1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 200 == 0:
            print(f"step {step}  loss {np.mean(losses[-200:]):.4f}", flush=True)
            save(net, out)


def load(net: nn.Sequential, path: Path) -> None:
    """Load weights that `save` wrote into the network."""
    tensors = {name: torch.from_numpy(array) for name, array in load_file(path).items()}
    convolutions = [layer for layer in net if isinstance(layer, nn.Conv2d)]
    for index, layer in enumerate(convolutions):
        state = {"weight": tensors[f"{index}.weight"].permute(3, 2, 0, 1)}
        layer.load_state_dict(state | {"bias": tensors[f"{index}.bias"]})


def save(net: nn.Sequential, out: Path) -> None:
    """Write the weights as pipeline/faces/proposals.py reads them: kernels as (k, k, in, out)."""
    convolutions = [layer for layer in net if isinstance(layer, nn.Conv2d)]
    tensors = {}
    for index, layer in enumerate(convolutions):
        state = layer.state_dict()
        kernel = state["weight"].permute(2, 3, 1, 0).numpy()
        tensors[f"{index}.weight"] = np.ascontiguousarray(kernel, np.float32)
        tensors[f"{index}.bias"] = state["bias"].numpy().copy()
    save_file(tensors, out)


if __name__ == "__main__":
    main()
