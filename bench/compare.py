"""Train GANimation, its variations, StarGAN and ours alike, and compare them in one table.

python bench/compare.py all --shards shards/ --out comparison/ --minutes 60

does what three commands do one by one: `train` gives each model the same faces and the same time,
each from nothing; `evaluate` measures all by `ganim evaluate` on the same held-out faces, beside
copying, moving alone and the weights that ship; `preference` writes a page on which people choose
between two pictures without being told by which models they are. A command that was stopped goes on
when it is repeated. docs/comparison.md has what came out.
"""

from pathlib import Path

import click
import torch

from ganim.bench.comparison.models import ABLATIONS, ALL, MODELS
from ganim.bench.comparison.train import Budget
from ganim.bench.comparison.train import train as train_model
from ganim.commands.console import Failure, Tracker, say
from ganim.commands.options import torch_device
from ganim.pipeline.errors import GanimError

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group(help=__doc__)
def main() -> None: ...


@main.command()
@click.option("--shards", type=FOLDER, required=True, help="An annotated shard set with series.")
@click.option("--out", type=FOLDER, default=Path("comparison"), help="A folder for each model.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="For each model.")
@click.option("--iterations", type=click.IntRange(min=1), help="For each model, instead of time.")
@click.option("--device", help="cpu or cuda. The default is cuda if there is a GPU.")
@click.option("--seed", "seeds", type=int, multiple=True, default=(0,), help="Repeatable.")
@click.option("--only", multiple=True, type=click.Choice(list(ALL)), help="These models alone.")
@click.option("--ablations", is_flag=True, help="Ours without one of its parts each, instead.")
@click.option("--most", type=click.IntRange(min=1), help="Train on the first so many faces alone.")
@click.option("--small", is_flag=True, help="Narrow networks at 64 px: to try the command.")
@click.option("--threads", type=click.IntRange(min=1), help="Processors to use.")
def train(
    shards: Path,
    out: Path,
    minutes: float | None,
    iterations: int | None,
    device: str | None,
    seeds: tuple[int, ...],
    only: tuple[str, ...],
    ablations: bool,
    most: int | None,
    small: bool,
    threads: int | None,
) -> None:
    """Train each model for the same time, from nothing or from where it was stopped."""
    if (minutes is None) == (iterations is None):
        raise click.UsageError("Give either --minutes or --iterations.")
    if threads:
        torch.set_num_threads(threads)
    try:
        where = torch_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        for seed in seeds:
            for name in only or (ABLATIONS if ablations else MODELS):
                budget = Budget(None if minutes is None else 60 * minutes, iterations)
                run = out / f"{name}-{seed}"
                with Tracker(run.name, "% of the budget") as tracker:
                    tracker.start(100)

                    def progress(share: float, rate: float, tracker: Tracker = tracker) -> None:
                        tracker.reach(int(100 * share), f"{rate:.1f} photographs/s")

                    done = train_model(
                        name, shards, run, budget, where, seed, most, small, progress
                    )
                say(
                    f"{run}: {done['iterations']} iterations in {done['seconds']:.0f} s, "
                    f"{done['photographs_per_second']:.1f} photographs/s, {done['device']}"
                )
    except GanimError as error:
        raise Failure(error) from error


if __name__ == "__main__":
    main()
