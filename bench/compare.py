"""Train GANimation, its variations, StarGAN and ours alike, and compare them in one table.

python bench/compare.py all --shards shards/ --out comparison/ --minutes 60

does what three commands do one by one: `train` gives each model the same faces and the same time,
each from nothing; `evaluate` measures all by `ganim evaluate` on the same held-out faces, beside
copying, moving alone and the weights that ship; `preference` writes a page on which people choose
between two pictures without being told by which models they are. A command that was stopped goes on
when it is repeated. docs/comparison.md has what came out.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch

from ganim.bench.comparison.budget import Budget
from ganim.bench.comparison.models import ABLATIONS, ALL, MODELS
from ganim.bench.comparison.train import train as train_model
from ganim.commands.console import Failure, Tracker, say
from ganim.commands.options import torch_device
from ganim.pipeline.errors import GanimError
from ganim.pipeline.files import write_whole

FOLDER = click.Path(path_type=Path, file_okay=False)
OUT = Path("comparison")
MINUTES = "For each model; on a CPU of the processor, divided by the threads."


def options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator."""

    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


COMMON = options(
    click.option("--shards", type=FOLDER, required=True, help="An annotated shard set."),
    click.option("--out", type=FOLDER, default=OUT, help="A folder for each model."),
    click.option("--device", help="cpu or cuda. The default is cuda if there is a GPU."),
    click.option("--threads", type=click.IntRange(min=1), help="Processors to use."),
)
TRAIN = options(
    click.option("--minutes", type=click.FloatRange(0, min_open=True), help=MINUTES),
    click.option("--iterations", type=click.IntRange(min=1), help="Instead of --minutes."),
    click.option("--seed", "seeds", type=int, multiple=True, default=(0,), help="Repeatable."),
    click.option("--only", multiple=True, type=click.Choice(list(ALL)), help="These alone."),
    click.option("--ablations", is_flag=True, help="Ours without one of its parts each, instead."),
    click.option("--most", type=click.IntRange(min=1), help="Train on the first so many faces."),
    click.option(
        "--until",
        type=click.FloatRange(0, 1, min_open=True),
        default=1.0,
        help="Stop at this share of the budget. The command goes on when it is repeated with more.",
    ),
    click.option("--small", is_flag=True, help="A quarter of the channels, at 64 px."),
)
EVALUATE = options(
    click.option("--faces", type=click.IntRange(min=2), default=60, help="Held-out faces."),
    click.option(
        "--critic-steps",
        type=click.IntRange(min=0),
        default=400,
        help="Of each fresh critic; 0 leaves it out.",
    ),
    click.option("--inception", type=click.Path(exists=True), help="Weights, for FID and IS."),
)
PREFERENCE = options(
    click.option("--questions", type=click.IntRange(min=1), default=60, help="On the page."),
)


class Group(click.Group):
    """A group whose commands end with the sentence and the status of the package's errors."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except GanimError as error:
            raise Failure(error) from error


@click.group(cls=Group, help=__doc__)
def main() -> None: ...


def device_for(name: str | None, threads: int | None) -> torch.device:
    if threads:
        torch.set_num_threads(threads)
    device = torch_device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    assert device is not None
    return device


@main.command()
@COMMON
@TRAIN
def train(
    shards: Path,
    out: Path,
    device: str | None,
    threads: int | None,
    minutes: float | None,
    iterations: int | None,
    seeds: tuple[int, ...],
    only: tuple[str, ...],
    ablations: bool,
    most: int | None,
    until: float,
    small: bool,
) -> None:
    """Train each model for the same time, from nothing or from where it was stopped."""
    if (minutes is None) == (iterations is None):
        raise click.UsageError("Give either --minutes or --iterations.")
    where = device_for(device, threads)
    for seed in seeds:
        for name in only or (ABLATIONS if ablations else MODELS):
            budget = Budget(None if minutes is None else 60 * minutes, iterations)
            run = out / f"{name}-{seed}"
            with Tracker(run.name, "% of the budget") as tracker:
                tracker.start(100)

                def progress(share: float, rate: float, tracker: Tracker = tracker) -> None:
                    tracker.reach(int(100 * share), f"{rate:.1f} photographs/s")

                done = train_model(
                    name, shards, run, budget, where, seed, most, small, progress, until
                )
            say(
                f"{run}: {done['iterations']} iterations in {done['seconds']:.0f} s, "
                f"{done['photographs_per_second']:.1f} photographs/s, {done['device']}"
            )


@main.command()
@COMMON
@EVALUATE
def evaluate(
    shards: Path,
    out: Path,
    device: str | None,
    threads: int | None,
    faces: int,
    critic_steps: int,
    inception: str | None,
) -> None:
    """Measure all that was trained, and the references; write results.json and results.md."""
    # Here, as training does without dlib and jinja2.
    from ganim.bench.comparison import measure, tables
    from ganim.model.estimator.annotator import EstimatorAnnotator

    settings = measure.Settings(faces, 0, critic_steps, inception)
    where = device_for(device, threads)
    with Tracker("evaluate", "pictures") as tracker:
        rows = measure.evaluate(
            out, shards, EstimatorAnnotator(), settings, where, tracker.start, tracker.advance
        )
    text = tables.as_markdown(rows)
    write_whole(out / "results.md", lambda beside: beside.write_text(text))
    say(text)
    say(f"Wrote {out / 'results.md'} and {out / measure.RESULTS}")


@main.command()
@COMMON
@PREFERENCE
def preference(
    shards: Path, out: Path, device: str | None, threads: int | None, questions: int
) -> None:
    """Write preference.html, on which people choose between two pictures."""
    from ganim.bench.comparison import measure
    from ganim.bench.comparison.preference import write_page

    where = device_for(device, threads)
    known = [one for one in measure.contenders(out) if one.folder.name not in ("copy", "moved")]
    with Tracker("preference", "models") as tracker:
        tracker.start(len(known))
        path = out / "preference.html"
        write_page(path, known, shards, questions, 0, where, tracker.advance)
    say(f"Wrote {path}")


@main.command(name="all")
@COMMON
@TRAIN
@EVALUATE
@PREFERENCE
@click.pass_context
def everything(context: click.Context, **given: Any) -> None:
    """Train, evaluate, and write the page."""
    for command in (train, evaluate, preference):
        names = [parameter.name for parameter in command.params]
        context.invoke(command, **{name: given[name] for name in names if name in given})


if __name__ == "__main__":
    main()
