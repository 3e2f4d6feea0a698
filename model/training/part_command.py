"""The command line of the scripts that train a part of a generator (train_upper_face.py and
others)."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import torch

from ...pipeline.errors import GanimError
from ..checkpoint import load_weights, save_weights
from ..networks.flow_generator import FlowGenerator


def part_command(help_: str | None, steps: int) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command of a function that trains a part of a generator: it is given `shards`,
    `weights`, `out`, `steps`, `batch` and `seed`. What goes wrong is said in a sentence.

    help_: the docstring of the script. steps: the default.
    """

    def decorated(train: Callable[..., None]) -> click.Command:
        @click.command(help=help_)
        @click.argument("shards", type=click.Path(path_type=Path, exists=True))
        @click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True)
        @click.option("--out", type=click.Path(path_type=Path), required=True)
        @click.option("--steps", type=click.IntRange(min=1), default=steps)
        @click.option("--batch", type=click.IntRange(min=2), default=16)
        @click.option("--seed", type=int, default=0)
        @functools.wraps(train)
        def command(**given: object) -> None:
            try:
                train(**given)
            except GanimError as error:
                raise click.ClickException(str(error)) from error

        return command

    return decorated


def print_means(steps: Sequence[Sequence[float]], every: int) -> None:
    """Print the number of the last step and the means of the last ones, after so many steps."""
    if len(steps) % every == 0:
        means = torch.tensor(steps[-every:]).mean(0).tolist()
        print(f"{len(steps):6d} " + " ".join(f"{mean:10.4f}" for mean in means), flush=True)


def save_generator(generator: FlowGenerator, like: Path, out: Path) -> None:
    """Write the weights of a generator, with the settings of other weights."""
    _, settings = load_weights(like, "generator")
    save_weights(out, generator.state_dict(), "generator", settings)
