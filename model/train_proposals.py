"""Train the network of pipeline/faces/proposals.py on photographs with one main face each.

    python -m ganim.model.train_proposals --photos photos/ --out proposals.safetensors

The detector's own boxes are the labels. Photographs of the test split are left out. Faces are
pasted at random sizes, turned and blurred, onto backgrounds made of other photographs.
"""

from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from ..pipeline import shards
from ..pipeline.faces import detect
from ..pipeline.faces.proposals import LAYERS, STRIDE
from ..pipeline.images.decode import UnreadableImage, read_image

WIDTHS = (1, 12, 24, 32, 32, 32, 2)
SIDE = 128
"""Side of a training picture, in input pixels."""
SIZES = (20.0, 28.3, 40.0)
"""Bounds of the two ranges of face widths, in input pixels."""
TEST_FRACTION = 0.1


@dataclass(frozen=True)
class Photograph:
    """A photograph in grey at a half and a quarter of its size, and its face in the first."""

    half: np.ndarray
    quarter: np.ndarray
    x: float
    y: float
    width: float


def load_photographs(folder: Path, most: int, seed: int) -> list[Photograph]:
    """Photographs of the training split in which the detector finds a face."""
    paths = sorted(folder.rglob("*.jpg"))
    loaded: list[Photograph] = []
    for index in np.random.default_rng(seed).permutation(len(paths)):
        name = paths[index].relative_to(folder).as_posix()
        if shards.split_of(name, TEST_FRACTION) == "test" or len(loaded) == most:
            continue
        try:
            picture = read_image(paths[index])
        except UnreadableImage:
            continue
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        found = detect.detect_faces(picture)
        if found:
            box = found[0].box
            half, quarter = (
                cv2.resize(grey, None, fx=f, fy=f, interpolation=cv2.INTER_AREA)
                for f in (0.5, 0.25)
            )
            x, y = (box.left + box.right) / 4, (box.top + box.bottom) / 4
            loaded.append(Photograph(half, quarter, x, y, box.width / 2))
    return loaded


class Scenes:
    """Pictures to train on, with what the network should say of them."""

    def __init__(self, photographs: list[Photograph], seed: int):
        self._photographs = photographs
        self._rng = np.random.default_rng(seed)

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (count, 1, SIDE, SIDE) in -0.5 to 0.5; targets and weights (count, 2, s, s)."""
        made = [self._scene() for _ in range(count)]
        pictures, targets, weights = (
            torch.from_numpy(np.stack(part)) for part in zip(*made, strict=True)
        )
        return pictures[:, None] / 255 - 0.5, targets, weights

    def _scene(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = self._rng
        canvas = self._background()
        placed: list[tuple[float, float, float]] = []
        for _ in range(rng.integers(0, 5)):
            width = float(np.exp(rng.uniform(np.log(14), np.log(56))))
            for _ in range(6):
                x, y = rng.uniform(-4, SIDE + 4, 2)
                if all(max(abs(x - u), abs(y - v)) > width + w for u, v, w in placed):
                    self._paste(canvas, x, y, width)
                    placed.append((x, y, width))
                    break
        return (self._spoil(canvas), *_answers(placed))

    def _background(self) -> np.ndarray:
        rng = self._rng
        canvas = np.full((SIDE, SIDE), rng.uniform(0, 255), np.float32)
        kind = rng.random()
        if kind < 0.15:
            canvas += np.linspace(-1, 1, SIDE, dtype=np.float32)[:, None] * rng.uniform(-80, 80)
        elif kind < 0.65:  # a detail: skin, hair, cloth, much larger than a face to be found
            for _ in range(2):
                x, y = rng.uniform(-60, SIDE + 60, 2)
                self._paste(canvas, x, y, rng.uniform(90, 400), 9.0)
        else:  # a crowd, too small to be found
            for _ in range(30):
                x, y = rng.uniform(0, SIDE, 2)
                self._paste(canvas, x, y, rng.uniform(5, 13), 9.0)
        return canvas

    def _paste(
        self, canvas: np.ndarray, x: float, y: float, width: float, reach: float | None = None
    ) -> None:
        """A face of `width` px at x, y; beyond `reach` widths from it the canvas stays."""
        rng = self._rng
        chosen = self._photographs[rng.integers(len(self._photographs))]
        source, shrunk = (chosen.half, 1.0) if width > 26 else (chosen.quarter, 0.5)
        scale = width / (chosen.width * shrunk)
        angle = np.radians(rng.normal(0, 9))
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        narrow = rng.uniform(0.66, 1.06)
        turn = turn @ np.array([[narrow * rng.choice([-1, 1]), 0], [rng.normal(0, 0.06), 1]])
        centre = turn @ (np.array([chosen.x, chosen.y]) * shrunk)
        matrix = np.column_stack([turn, np.array([x, y]) - centre])
        warped = cv2.warpAffine(source, matrix, (SIDE, SIDE)).astype(np.float32)
        inside = cv2.warpAffine(np.ones_like(source), matrix, (SIDE, SIDE)).astype(np.float32)
        if reach is None and rng.random() < 0.6:
            reach = rng.uniform(0.6, 1.1)
            rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
            distance = np.hypot(columns - x, (rows - y - 0.1 * width) * 0.85) / width
            inside *= np.clip((reach - distance) / 0.1, 0, 1)
        if rng.random() < 0.3:  # light from one side
            across = (np.arange(SIDE, dtype=np.float32) - x) / width
            warped = warped * np.exp(rng.uniform(-1, 1) * np.clip(across, -1, 1))
        if rng.random() < 0.3:  # a hat, a hand, dark glasses
            left, top = x + width * rng.uniform(-0.6, 0.2), y + width * rng.uniform(-0.7, 0.4)
            right, bottom = (
                left + width * rng.uniform(0.2, 1.0),
                top + width * rng.uniform(0.1, 0.4),
            )
            rows = slice(max(0, round(top)), max(0, round(bottom)))
            warped[rows, max(0, round(left)) : max(0, round(right))] = rng.uniform(0, 255)
        canvas += inside * (warped - canvas)

    def _spoil(self, canvas: np.ndarray) -> np.ndarray:
        """Gamma, contrast, blur, noise, as cameras have them."""
        rng = self._rng
        canvas = 255 * (np.clip(canvas, 0, 255) / 255) ** np.exp(rng.uniform(-0.7, 0.9))
        canvas = canvas * rng.uniform(0.25, 1.1) + rng.uniform(0, 60)
        if rng.random() < 0.3:
            canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 1.0))
        canvas = canvas + rng.normal(0, rng.uniform(0, 8), canvas.shape)
        return np.clip(canvas, 0, 255).astype(np.float32)


def _answers(placed: list[tuple[float, float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Targets and weights (2, s, s): 1 where a face is centred, no weight where it is open."""
    cells = SIDE // STRIDE
    targets, weights = np.zeros((2, 2, cells, cells), np.float32)
    weights[:] = 1
    centres = (np.arange(cells) + 0.5) * STRIDE
    for x, y, width in placed:
        near = np.maximum(abs(centres[:, None] - y), abs(centres[None] - x))
        for channel in (0, 1):
            low, high = SIZES[channel], SIZES[channel + 1]
            if not 0.7 * low < width < 1.4 * high:
                continue
            weights[channel][near < 1.5 * STRIDE] = 0
            if 0.93 * low <= width < 1.07 * high:
                here = near <= 0.55 * STRIDE
                targets[channel][here], weights[channel][here] = 1, 3
    return targets, weights


def network() -> nn.Sequential:
    """The network of pipeline/faces/proposals.py, for training."""
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
@click.option("--start", type=click.Path(path_type=Path), help="Weights to go on from.")
def main(photos: Path, out: Path, most: int, steps: int, batch: int, start: Path | None) -> None:
    """Train, print the loss, write the weights as numpy reads them."""
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
        pictures, targets, weights = scenes.batch(batch)
        loss = F.binary_cross_entropy_with_logits(
            net(pictures), targets, weights, reduction="sum"
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
    """Weights that `save` wrote, into the network."""
    tensors = {name: torch.from_numpy(array) for name, array in load_file(path).items()}
    convolutions = [layer for layer in net if isinstance(layer, nn.Conv2d)]
    for index, layer in enumerate(convolutions):
        state = {"weight": tensors[f"{index}.weight"].permute(3, 2, 0, 1)}
        layer.load_state_dict(state | {"bias": tensors[f"{index}.bias"]})


def save(net: nn.Sequential, out: Path) -> None:
    """Write the weights as numpy multiplies with them: (k, k, in, out)."""
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
