"""Runs a script that trains a part of a generator, and says what it has changed."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
import torch
from click.testing import CliRunner
from tiny import random_shards
from torch import Tensor

from ganim.model.checkpoint import load_weights, save_weights
from ganim.model.networks.flow_generator import FlowGenerator


class Trained(NamedTuple):
    """What a script has printed, and the weights that it has written."""

    output: str
    weights: dict[str, Tensor]
    changed: set[str]
    """The names of those that are not as they were."""

    @property
    def parts(self) -> set[str]:
        """The parts of the generator that have changed."""
        return {name.split(".")[0] for name in self.changed}


def train_part(
    command: click.Command,
    generator: FlowGenerator,
    size: int,
    folder: Path,
    options: Sequence[str],
    faces: int = 8,
    in_series: int | None = None,
) -> Trained:
    """Run the command on folder/shards, which are written, from the weights folder/a.safetensors,
    which are those of the generator, to folder/b.safetensors.

    faces, in_series: of the shards.
    """
    shards, before, after = (folder / name for name in ("shards", "a.safetensors", "b.safetensors"))
    random_shards(shards, {"train": faces, "test": 2}, size=96, in_series=in_series)
    settings = {"generator": {**vars(generator.settings)}, "size": size}
    save_weights(before, generator.state_dict(), "generator", settings)
    given = [str(shards), "--weights", str(before), "--out", str(after), *options]
    done = CliRunner().invoke(command, given)
    assert done.exit_code == 0, done.output
    (old, known), (new, now) = (load_weights(path, "generator") for path in (before, after))
    assert known == now and old.keys() == new.keys()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    return Trained(done.output, new, changed)
