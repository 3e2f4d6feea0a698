"""Photographs a second of `ganim train`, against the loop that GANimation was published with.

python bench/training.py [--size 128] [--width 64] [--batch 25] [--rounds 2] [--threads 2]

The published loop is written anew here, plainly: fp32; a DataLoader that decodes a JPEG file for
each face; generator and critic of the same sizes, attention and colour by two convolutions; two
optimiser steps of the critic an iteration, for its loss and for the gradient penalty; a generator
pass of its own for each. Both start from the same weights. Rounds of five iterations (the fifth
of which the generator takes part in) alternate between the two in this one run, so that what else
the machine does falls on both; seconds of the processor are counted beside those of the clock.

Before any step both are given the same faces, AUs and draws, and their losses compared. At the
end, each part of our iteration stands beside the time that its arithmetic would take as bare
matrix products.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
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
from ganim.model.networks.critic import Critic
from ganim.model.networks.generator import Generator
from ganim.model.training import losses
from ganim.model.training.sampler import Batch
from ganim.model.training.trainer import Trainer
from ganim.pipeline.action_units import COUNT

STEPS = 5
_JPEG_QUALITY = 95


class JpegFiles(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Face, its AUs and target AUs, as the published loop reads them: a file each time."""

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


class PlainGenerator(nn.Module):
    """The published generator: as ours, but with a convolution for each mask."""

    def __init__(self, ours: Generator) -> None:
        super().__init__()
        self.body = Generator(ours.settings)
        self.body.load_state_dict(ours.state_dict())
        weight = self.body.to_masks.weight.detach()
        self.body.to_masks = nn.Identity()  # type: ignore[assignment]
        self.attention, self.colour = (
            nn.Conv2d(ours.settings.width, count, 7, 1, 3, bias=False) for count in (1, 3)
        )
        self.attention.weight.data, self.colour.weight.data = weight[:1], weight[1:]

    def forward(self, faces: Tensor, aus: Tensor) -> tuple[Tensor, Tensor]:
        tiled = aus[:, :, None, None].expand(-1, -1, *faces.shape[2:])
        features = self.body.encoder(torch.cat([faces, tiled], 1))
        for layer in (*self.body.bottleneck, *self.body.decoder):
            features = layer(features, None)
        return torch.sigmoid(self.attention(features)), torch.tanh(self.colour(features))


class PlainLoop:
    """The published iteration."""

    def __init__(self, settings: TrainSettings, trainer: Trainer) -> None:
        self.settings = settings
        self.generator = PlainGenerator(trainer.generator)
        self.critic = Critic(settings.size, settings.critic)
        self.critic.load_state_dict(trainer.critic.state_dict())
        self.generator_adam, self.critic_adam = (
            torch.optim.Adam(network.parameters(), settings.lr, (0.5, 0.999))
            for network in (self.generator, self.critic)
        )

    def step(
        self, faces: Tensor, own: Tensor, target: Tensor, mix: Tensor, generators_turn: bool
    ) -> None:
        weights = self.settings.weights
        attention, colour = self.generator(faces, target)
        fakes = attention * faces + (1 - attention) * colour
        real, fake = self.critic(faces), self.critic(fakes.detach())
        aus = losses.au_loss(real.aus, own)
        adversarial = losses.critic_adversarial_loss(real.realism, fake.realism)
        self.critic_adam.zero_grad()
        (weights.adversarial * adversarial + weights.aus * aus).backward()
        self.critic_adam.step()
        penalty = self._penalty(faces, fakes.detach(), mix)
        self.critic_adam.zero_grad()
        (weights.gp * penalty).backward()
        self.critic_adam.step()
        if generators_turn:
            self.generator_adam.zero_grad()
            self._generator_loss(faces, own, target).backward()
            self.generator_adam.step()

    def _penalty(self, faces: Tensor, fakes: Tensor, mix: Tensor) -> Tensor:
        mix = mix.view(-1, 1, 1, 1)
        between = (mix * faces + (1 - mix) * fakes).requires_grad_(True)
        score = self.critic(between).realism.mean((1, 2, 3)).sum()
        (gradient,) = torch.autograd.grad(score, between, create_graph=True)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()

    def _generator_loss(self, faces: Tensor, own: Tensor, target: Tensor) -> Tensor:
        weights = self.settings.weights
        attention, colour = self.generator(faces, target)
        fakes = attention * faces + (1 - attention) * colour
        verdict = self.critic(fakes)
        attention_back, colour_back = self.generator(fakes, own)
        restored = attention_back * fakes + (1 - attention_back) * colour_back
        loss = -weights.adversarial * verdict.realism.mean()
        loss = loss + weights.aus * losses.au_loss(verdict.aus, target)
        for mask in (attention, attention_back):
            loss = loss + weights.attention * losses.attention_loss(mask)
            loss = loss + weights.tv * losses.total_variation(mask)
        return loss + weights.cycle * losses.cycle_loss(restored, faces)

    def first_losses(self, batch: Batch) -> dict[str, float]:
        """What the losses are of a batch, with the weights as they stand."""
        attention, colour = self.generator(batch.faces, batch.target_aus)
        fakes = attention * batch.faces + (1 - attention) * colour
        back, colour_back = self.generator(fakes, batch.own_aus)
        real, fake = self.critic(batch.faces), self.critic(fakes)
        restored = back * fakes + (1 - back) * colour_back
        found = {
            "critic": losses.critic_adversarial_loss(real.realism, fake.realism),
            "critic_aus": losses.au_loss(real.aus, batch.own_aus),
            "penalty": self._penalty(batch.faces, fakes.detach(), batch.mix),
            "attention": (attention.mean() + back.mean()) / 2,
            "smoothness": sum(losses.total_variation(mask) for mask in (attention, back)) / 2,
            "cycle": losses.cycle_loss(restored, batch.faces),
        }
        return {name: float(value.detach()) for name, value in found.items()}


def smooth_faces(count: int, size: int) -> Faces:
    """Pictures as smooth as faces are, to JPEG, with random AUs."""
    draw = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 16, 16, generator=draw)
    images = nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
    names = [f"{number:05d}" for number in range(count)]
    return Faces(
        (images * 255).byte(), torch.rand(count, COUNT, generator=draw), names, list(names)
    )


def write_jpegs(faces: Faces, folder: Path) -> None:
    for name, image in zip(faces.keys, faces.images, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        picture.save(folder / f"{name}.jpg", quality=_JPEG_QUALITY)


def endless(loader: DataLoader[tuple[Tensor, Tensor, Tensor]]) -> Iterator[list[Tensor]]:
    while True:
        yield from loader


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
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
    figures = ours.step()
    print(f"{'losses of the first batch':<26} {'published':>10} {'ours':>10}")
    for name, value in first.items():
        print(f"  {name:<24} {value:10.5f} {float(figures[name]):10.5f}")

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
    """Where an iteration's time goes, beside that of its arithmetic as bare matrix products."""
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
