"""Photographs a second of `ganim train`, against the loop that GANimation was published with.

python bench/training.py [--size 128] [--width 64] [--batch 25] [--rounds 2] [--threads 2]

The published loop is a plain statement of the paper's iteration (tests/reference.py): fp32; a
DataLoader that decodes a JPEG file for each face; generator and critic of the same sizes; two
optimiser steps of the critic an iteration, one for its loss and one for the gradient penalty; a
generator pass for each of the two networks' steps. Both loops start from the same weights. Rounds
of five iterations, in one of which the generator steps, alternate between the two, so that other
load on the machine affects both. Processor seconds are reported beside seconds of the clock.

Before the first step both compute the losses of the same batch with the same random draws. At the
end, the time of each kind of iteration is compared with the time that its arithmetic would take as
matrix products alone.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from ganim.model.config import CriticSettings, GeneratorSettings, TrainSettings
from ganim.model.data import Faces
from ganim.model.training.sampler import Batch
from ganim.model.training.trainer import Trainer
from ganim.pipeline.action_units import COUNT
from ganim.tests import reference
from ganim.tests.tiny import smooth_faces

STEPS = 5
_JPEG_QUALITY = 95


class JpegFiles(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Face, its AUs and target AUs, as the published loop reads them, from a file each time."""

    def __init__(self, folder: Path, aus: Tensor) -> None:
        self.paths, self.aus = sorted(folder.glob("*.jpg")), aus

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        with Image.open(self.paths[index]) as picture:
            pixels = np.array(picture.convert("RGB"), np.float32)
        face = torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1
        if np.random.rand() < 0.5:
            face = face.flip(2)
        noise = torch.rand(COUNT) * 0.2 - 0.1
        other = self.aus[np.random.randint(len(self.aus))]
        return face, self.aus[index], (other + noise).clamp(0, 1)


class PlainLoop:
    """The published iteration, by the functions of tests/reference.py."""

    def __init__(self, settings: TrainSettings, trainer: Trainer) -> None:
        self.lambdas = asdict(settings.weights)
        self.generator, self.critic = (
            {name: nn.Parameter(weight.clone()) for name, weight in network.named_parameters()}
            for network in (trainer.generator, trainer.critic)
        )
        self.generator_adam, self.critic_adam = (
            torch.optim.Adam(weights.values(), settings.lr, (0.5, 0.999))
            for weights in (self.generator, self.critic)
        )

    def step(
        self, faces: Tensor, own: Tensor, target: Tensor, alpha: Tensor, generator_steps: bool
    ) -> None:
        fakes = self._fakes(faces, target)
        terms = reference.critic_terms(self.critic, faces, fakes, own)
        self._descend(self.critic_adam, terms)
        penalty = reference.gradient_penalty(self.critic, faces, fakes, alpha)
        self._descend(self.critic_adam, {"gp": penalty})
        if generator_steps:
            terms = reference.generator_terms(self.generator, self.critic, faces, own, target)
            self._descend(self.generator_adam, terms)

    def first_losses(self, batch: Batch) -> dict[str, float]:
        """The metrics of a batch, with the weights as they are."""
        fakes = self._fakes(batch.faces, batch.target_aus)
        terms = reference.critic_terms(self.critic, batch.faces, fakes, batch.own_aus)
        terms["gp"] = reference.gradient_penalty(self.critic, batch.faces, fakes, batch.alpha)
        back = reference.generator_terms(
            self.generator, self.critic, batch.faces, batch.own_aus, batch.target_aus
        )
        terms |= {name: back[name] / 2 for name in ("attention", "tv")} | {"cycle": back["cycle"]}
        return {name: float(value.detach()) for name, value in terms.items()}

    def _fakes(self, faces: Tensor, target: Tensor) -> Tensor:
        return reference.blend(*reference.generator(self.generator, faces, target), faces)

    def _descend(self, optimiser: torch.optim.Optimizer, terms: dict[str, Tensor]) -> None:
        optimiser.zero_grad()
        reference.total(terms, self.lambdas).backward()
        optimiser.step()


def write_jpegs(faces: Faces, folder: Path) -> None:
    for name, image in zip(faces.keys, faces.images, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        picture.save(folder / f"{name}.jpg", quality=_JPEG_QUALITY)


def endless(loader: DataLoader[tuple[Tensor, Tensor, Tensor]]) -> Iterator[list[Tensor]]:
    while True:
        yield from loader


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock, and of the processor, that a function takes."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


@click.command(help=__doc__)
@click.option("--size", type=int, default=128)
@click.option("--width", type=int, default=64, help="Of generator and critic.")
@click.option("--blocks", type=int, default=6)
@click.option("--layers", type=int, default=6, help="Of the critic.")
@click.option("--batch", type=int, default=25)
@click.option("--rounds", type=int, default=2, help="Of five iterations each, after a first one.")
@click.option("--threads", type=int, default=2)
@click.option("--workers", type=int, default=2, help="Of the published loop's DataLoader.")
@click.option("--precision", type=click.Choice(["auto", "bf16", "fp32"]), default="auto")
def main(
    size: int,
    width: int,
    blocks: int,
    layers: int,
    batch: int,
    rounds: int,
    threads: int,
    workers: int,
    precision: str,
) -> None:
    torch.set_num_threads(threads)
    settings = TrainSettings(
        size=size,
        batch=batch,
        precision=precision,
        generator=GeneratorSettings(width, blocks),
        critic=CriticSettings(width, layers),
    )
    faces = smooth_faces(max(64, 2 * batch), size)
    ours = Trainer(settings, faces, torch.device("cpu"))
    plain = PlainLoop(settings, ours)
    print(f"{size} px, width {width}, batch {batch}, {threads} threads, ours in ", end="")
    print("bf16" if ours.bf16 else "fp32", flush=True)

    first = plain.first_losses(ours.sampler.batch(0, ours.device))
    metrics = ours.step()
    print(f"{'losses of the first batch':<26} {'published':>10} {'ours':>10}")
    for name, value in first.items():
        print(f"  {name:<24} {value:10.5f} {float(metrics[name]):10.5f}")

    with tempfile.TemporaryDirectory() as folder:
        write_jpegs(faces, Path(folder))
        loader = DataLoader(
            JpegFiles(Path(folder), faces.aus), batch, True, num_workers=workers, drop_last=True
        )
        batches = endless(loader)

        def round_of_plain() -> None:
            for turn in range(STEPS):
                face, own, target = next(batches)
                plain.step(face, own, target, torch.rand(batch), turn == STEPS - 1)

        def round_of_ours() -> None:
            for _ in range(STEPS):
                ours.step()

        times: dict[str, list[tuple[float, float]]] = {"published": [], "ours": []}
        for number in range(rounds + 1):
            for name, work in (("published", round_of_plain), ("ours", round_of_ours)):
                took = timed(work)
                if number:
                    times[name].append(took)
    print(f"{'photographs a second':<26} {'published':>10} {'ours':>10} {'ratio':>6}")
    for index, kind in enumerate(("by the clock", "by processor seconds")):
        seconds = [statistics.median(t[index] for t in of) for of in times.values()]
        rates = [STEPS * batch / each for each in seconds]
        print(f"  {kind:<24} {rates[0]:10.2f} {rates[1]:10.2f} {rates[1] / rates[0]:6.2f}")
    print_ceiling(ours)


def print_ceiling(trainer: Trainer) -> None:
    """Compare the time of an iteration with that of its arithmetic as matrix products alone."""
    dtype = torch.bfloat16 if trainer.bf16 else torch.float32
    one, other = (torch.rand(2048, 2048).to(dtype) for _ in range(2))
    with torch.no_grad():
        torch.mm(one, other)
        _, seconds = timed(lambda: [torch.mm(one, other) for _ in range(4)])
    ceiling = 4 * 2 * 2048**3 / seconds
    print(f"matrix products: {ceiling / 1e9:.0f} GFLOP a second of the processor, {dtype}")
    while trainer.iteration % STEPS:
        trainer.step()
    for name in ("critic and generator", "critic alone"):
        counter = FlopCounterMode(display=False)
        with counter:
            trainer.step()
        work = counter.get_total_flops()
        trainer.iteration -= 1
        _, took = timed(trainer.step)
        print(
            f"  {name:<24} {work / 1e9:8.0f} GFLOP in {took:6.2f} s of the processor: "
            f"{work / took / ceiling:.0%} of the ceiling"
        )


if __name__ == "__main__":
    main()
