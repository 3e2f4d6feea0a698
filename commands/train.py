"""ganim train: annotated shards to a generator."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..model.config import TrainSettings
from ..pipeline.action_units import in_words
from .console import REPORT, Tracker, say
from .options import FOLDER, device_option, given, setting_options, torch_device

if TYPE_CHECKING:
    from ..model.training.run_folder import Callbacks

_SHOWN = ("critic_aus", "aus", "reconstruction", "copy", "attention", "cycle")
"""The metrics beside the progress bar."""


@click.command()
@click.argument("shards", type=FOLDER, default=Path("shards"))
@click.option("--run", "folder", type=FOLDER, default=Path("run"), help="The run folder.")
@setting_options(TrainSettings)
@device_option
@click.option(
    "--init",
    help="Weights to start from: a file, another run folder, or `shipped`. They decide the "
    "defaults of --size and of the generator's options.",
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    help="Stop when the AU error on test faces has not fallen for so many epochs.",
)
@click.option("--tensorboard", is_flag=True, help="Write a log for TensorBoard, too.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Run ten steps, say what the training would take, and write nothing.",
)
@click.pass_context
def train(
    context: click.Context,
    shards: Path,
    folder: Path,
    device: str | None,
    init: str | None,
    patience: int | None,
    tensorboard: bool,
    dry_run: bool,
    **settings: Any,
) -> None:
    """Train a generator on the annotated faces of SHARDS.

    The defaults are those of the GANimation paper. The run folder gets the weights
    (generator.safetensors), report.html, metrics.jsonl and grids of pictures. Run the same
    command again to continue after a stop. torchrun starts it on several GPUs or machines.
    """
    from ..pipeline.shards import shard_paths

    shard_paths(shards)  # here, as torch takes seconds to load
    from ..model.animation.animator import SHIPPED
    from ..model.data import aus_to_train
    from ..model.training.distributed import is_first_process
    from ..model.training.trainer import WEIGHTS

    start = None if init is None else SHIPPED if init == "shipped" else Path(init)
    asked = _defaults(start).updated(given(context))
    chosen_aus = start is not None or "aus" in given(context)
    aus = aus_to_train(shards, asked.generator.aus, chosen_aus)
    if aus != asked.generator.aus and is_first_process():
        say(f"The faces have {in_words(aus)} only, so these are trained.", err=True)
    asked = asked.updated({"aus": aus})
    chosen = torch_device(device)
    if dry_run:
        from ..model.training.dry_run import measure

        plan = measure(shards, asked, chosen, start)
        if is_first_process():
            say(plan.in_words())
        return
    from ..model.training import run as work

    tracker = Tracker("train", "iterations")
    with tracker if is_first_process() else nullcontext():
        weights = work.train(
            shards, folder, asked, chosen, start, patience, tensorboard, _callbacks(tracker)
        )
    if not is_first_process():
        return
    if weights.name != WEIGHTS:
        say(f"Of all epochs, {weights} has the lowest AU error on test faces.")
    say(f"The generator is {weights}; look at {folder / REPORT}")
    say(f"Next: ganim animate PHOTO --au 12=1.0 --weights {weights}")


def _defaults(init: Path | None) -> TrainSettings:
    """The settings where the command line gives none: size and generator are those of `init`."""
    if init is None:
        return TrainSettings()
    from ..model.networks.load import load_generator
    from ..model.training.trainer import WEIGHTS

    generator, size = load_generator(init / WEIGHTS if init.is_dir() else init)
    return TrainSettings(size=size, generator=generator.settings)


def _callbacks(tracker: Tracker) -> "Callbacks":
    """What is called while the training goes on: progress, and warnings on stderr."""
    from ..model.training.run_folder import Callbacks

    def on_step(metrics: dict[str, Any]) -> None:
        note = " ".join(f"{name} {metrics[name]:.3f}" for name in _SHOWN if name in metrics)
        tracker.reach(int(metrics["iteration"]), note)

    return Callbacks(tracker.start, on_step, lambda text: say(f"Warning: {text}", err=True))
