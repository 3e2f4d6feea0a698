"""The command line: options, messages, progress, exit codes.

Each command imports its work when it runs, so that `ganim --help` needs neither torch nor dlib.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from . import __version__
from .pipeline.action_units import EXPRESSIONS, expression_edits, parse_edit, usage
from .pipeline.errors import GanimError, NothingUsable, WrongUse
from .pipeline.progress import Tracker

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
REPORT = "report.html"


class _Failure(click.ClickException):
    """An error of the package, shown as its sentence, with its exit status."""

    def __init__(self, error: GanimError) -> None:
        super().__init__(_printable(str(error)))
        self.exit_code = error.exit_status  # type: ignore[misc]


class _Commands(click.Group):
    """Turns the package's errors into a sentence and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GanimError as error:
            raise _Failure(error) from error
        except KeyboardInterrupt:
            _say("Stopped. The same command goes on from here.", err=True)
            ctx.exit(130)


@click.group(cls=_Commands, context_settings={"show_default": True})
@click.version_option(__version__, prog_name="ganim")
def main() -> None:
    """Animate faces by action units: prepare photographs, annotate, train, animate.

    Exit status: 0 done, 1 nothing usable, 2 wrong use.
    """


@main.command()
@click.option("--src", type=FOLDER, required=True, help="Folder of photographs, searched deeply.")
@click.option("--out", type=FOLDER, default=Path("shards"), help="Folder for the shards.")
@click.option("--size", type=click.IntRange(min=64), default=128, help="Side of the crops, px.")
@click.option(
    "--margin",
    type=click.FloatRange(0, 1),
    default=0.15,
    help="Margin around the HOG box, each side, as a share of it.",
)
@click.option(
    "--test-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    help="Share of the photographs set apart.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; all cores by default.")
def prepare(
    src: Path, out: Path, size: int, margin: float, test_fraction: float, workers: int | None
) -> None:
    """Photographs to face crops in Parquet shards.

    The main face of each photograph is found by HOG, cut and written; a photograph without a
    usable face becomes a row with the reason. Run again to go on after a stop.
    """
    from .pipeline.prepare import PrepareSettings
    from .pipeline.prepare import prepare as run

    settings = PrepareSettings(size=size, margin=margin, test_fraction=test_fraction)
    seen: Counter[str] = Counter()
    with Tracker("prepare", "photographs") as tracker:

        def on_photograph(status: str) -> None:
            seen[status] += 1
            tracker.advance(note=_failures(seen))

        with _report_after(out):
            summary = run(src, out, settings, workers, tracker.start, on_photograph)
    _say(f"{summary.found} photographs in {src}, {summary.skipped} of them done before")
    for status, count in sorted(summary.counts.items()):
        _say(f"  {status:<12} {count}")
    if summary.other_files:
        _say(f"  {summary.other_files} files passed over: no picture by their name")
    _say(f"Shards are in {out}; look at {out / REPORT}. Next: ganim annotate {out}")


@main.command()
@click.argument("shards", type=FOLDER, default=Path("shards"))
def inspect(shards: Path) -> None:
    """Figures of SHARDS, and the same with faces in SHARDS/report.html.

    prepare and annotate write the report, too. Open it in a browser: it shows in a moment whether
    the faces, and their action units, are good.
    """
    from .pipeline.figures import read_figures
    from .pipeline.report import write_report
    from .pipeline.report_text import print_figures

    figures = read_figures(shards)
    print_figures(figures)
    _say(f"Look at {write_report(figures)}")


@contextmanager
def _report_after(shards: Path) -> Iterator[None]:
    """Write the report of the shards when the work on them has ended, usable or not."""
    from .pipeline.figures import read_figures
    from .pipeline.report import write_report

    try:
        yield
    except NothingUsable:
        write_report(read_figures(shards))
        raise
    write_report(read_figures(shards))


@main.command()
@click.argument("shards", type=FOLDER, default=Path("shards"))
@click.option(
    "--annotator",
    "kind",
    type=click.Choice(["auto", "openface", "estimator", "labels"]),
    default="auto",
    help="auto: OpenFace where a container runtime and its image are, else the estimator.",
)
@click.option("--labels", type=click.Path(path_type=Path), help="AUs that already exist.")
@click.option("--runtime", type=click.Choice(["docker", "podman"]), help="Container runtime.")
@click.option("--image", default="algebr/openface:latest", help="OpenFace's image.")
@click.option("--image-program", help="Path of FaceLandmarkImg inside the image.")
@click.option("--program", type=FILE, help="A FaceLandmarkImg on this machine; no container then.")
@click.option("--overwrite", is_flag=True, help="Do every face again.")
def annotate(
    shards: Path, kind: str, labels: Path | None, overwrite: bool, **openface: Any
) -> None:
    """Fill in the 17 action units of every face in SHARDS.

    labels reads a folder of OpenFace CSVs, a table (.parquet, .csv) with a column `photo`, or
    the original project's aus_openface.pkl. Run again to go on after a stop.
    """
    from .pipeline.annotate import annotate as run

    annotator = _annotator(kind, shards, labels, openface)
    _say(f"Annotating with {annotator.name}", err=True)
    seen: Counter[str] = Counter()
    with Tracker("annotate", "faces") as tracker:

        def on_face(status: str) -> None:
            seen[status] += 1
            tracker.advance(note=_failures(seen))

        with _report_after(shards):
            summary = run(shards, annotator, overwrite, tracker.start, on_face)
    _say(
        f"{summary.annotated} faces have AUs, {summary.failed} have a reason why not; "
        f"{summary.skipped} were done before"
    )
    _say(f"Look at {shards / REPORT}. Next: ganim train {shards}")


def _annotator(kind: str, shards: Path, labels: Path | None, openface: dict[str, Any]) -> Any:
    """The annotator that was asked for; for `auto`, OpenFace if it is here."""
    from .pipeline.shards import read_column

    if (kind == "labels") != (labels is not None):
        raise WrongUse("--annotator labels and --labels (a folder, a table, a .pkl) go together.")
    if labels is not None:
        from .pipeline.labels import Labels

        return Labels.load(labels, read_column(shards, "source"))
    if kind != "estimator":
        from .pipeline.openface import find_openface

        try:
            return find_openface(**{k: v for k, v in openface.items() if v is not None})
        except WrongUse as reason:
            # Someone who names a program or runtime wants that one, not a substitute.
            if kind == "openface" or openface["program"] or openface["runtime"]:
                raise
            _say(f"No OpenFace here, so the estimator reads the AUs. ({reason})", err=True)
    from .model.readers import EstimatorAnnotator

    return EstimatorAnnotator()


def _say(text: str, err: bool = False) -> None:
    click.echo(_printable(text), err=err)


def _printable(text: str) -> str:
    """Text that any terminal takes, though a path in it may hold bytes that are no UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def _failures(seen: Counter[str]) -> str:
    return ", ".join(
        f"{count} {status}" for status, count in sorted(seen.items()) if status != "ok"
    )


@main.command()
@click.argument("shards", type=FOLDER, default=Path("shards"))
@click.option("--run", "folder", type=FOLDER, default=Path("run"), help="Folder for the run.")
@click.option("--size", type=int, help="Side of the faces, px, from 64.  [default: 128]")
@click.option("--width", type=int, help="Channels of the generator's first layer.  [default: 64]")
@click.option("--blocks", type=int, help="Residual blocks of the generator.  [default: 6]")
@click.option(
    "--upsampling",
    type=click.Choice(["transposed", "nearest"]),
    help="How the generator enlarges.  [default: transposed]",
)
@click.option(
    "--conditioning",
    type=click.Choice(["concat", "adain"]),
    help="How AUs enter the generator.  [default: concat]",
)
@click.option(
    "--colour",
    type=click.Choice(["absolute", "residual"]),
    help="How the colour mask is regressed.  [default: absolute]",
)
@click.option("--attention/--no-attention", default=None, help="Or the colour mask alone.")
@click.option("--affine/--no-affine", default=None, help="Learned scales of instance norms.")
@click.option("--relative/--no-relative", default=None, help="Tell target minus own AUs.")
@click.option("--critic-width", type=int, default=64, help="Channels of the critic's first layer.")
@click.option("--critic-layers", type=int, default=6, help="Strided layers of the critic.")
@click.option("--batch", type=int, default=25)
@click.option("--epochs", type=int, default=30)
@click.option("--decay-epochs", type=int, default=10, help="Last epochs, rate falling to zero.")
@click.option("--critic-steps", type=int, default=5, help="Critic steps to one of the generator.")
@click.option("--critic-warmup", type=int, default=0, help="First iterations, the critic alone.")
@click.option(
    "--single-au",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Share of targets that change one AU; the others are another face's.",
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=1e-4, help="Of Adam.")
@click.option("--ema", type=click.FloatRange(0, 1, max_open=True), default=0.999)
@click.option("--lambda-adversarial", type=float, default=0.25, help="Wasserstein terms.")
@click.option("--lambda-gp", type=float, default=10.0, help="Gradient penalty.")
@click.option("--lambda-attention", type=float, default=0.1, help="Mean attention.")
@click.option("--lambda-tv", type=float, default=4.0, help="Total variation, per pixel.")
@click.option("--lambda-aus", type=float, default=160.0, help="AU regression, per element.")
@click.option("--lambda-cycle", type=float, default=10.0, help="Identity of the cycle.")
@click.option("--lambda-perceptual", type=float, default=0.0, help="The same, by features.")
@click.option("--precision", type=click.Choice(["auto", "bf16", "fp32"]), default="auto")
@click.option("--device", help="cpu, cuda, cuda:1, …  [default: cuda where there is one]")
@click.option("--init", help="Start from a weights file, from another run's folder, or `shipped`.")
@click.option("--seed", type=int, default=0)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    help="Stop when the AU error on test faces has not fallen for so many epochs.",
)
@click.option("--tensorboard", is_flag=True, help="Log for TensorBoard, too.")
@click.option(
    "--dry-run", is_flag=True, help="Say what it would take, by ten steps; write nothing."
)
def train(
    shards: Path,
    folder: Path,
    device: str | None,
    init: str | None,
    patience: int | None,
    tensorboard: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Train a generator on the annotated faces of SHARDS.

    The defaults are those of the GANimation paper. The run folder holds the weights
    (generator.safetensors), report.html, metrics.jsonl and grids of pictures. Run again to go on
    after a stop. torchrun starts it on several GPUs or machines.
    """
    from .model import animate
    from .model import run as training_run
    from .model.distributed import speaks
    from .model.scribe import Ears
    from .model.training import WEIGHTS

    start = None if init is None else animate.SHIPPED if init == "shipped" else Path(init)
    settings = _train_settings(start, **options)
    chosen = None if device is None else _device(device)
    if dry_run:
        from .model.plan import measure

        plan = measure(shards, settings, chosen, start)
        if speaks():
            _say(plan.in_words())
        return
    tracker, done = Tracker("train", "iterations"), 0
    with tracker if speaks() else nullcontext():

        def on_start(total: int, before: int) -> None:
            nonlocal done
            done = before
            tracker.start(total, before)

        def on_step(figures: dict[str, Any]) -> None:
            nonlocal done
            shown = " ".join(
                f"{name} {figures[name]:.3f}"
                for name in ("critic_aus", "generator_aus", "attention", "cycle")
                if name in figures
            )
            tracker.advance(int(figures["iteration"]) - done, shown)
            done = int(figures["iteration"])

        ears = Ears(on_start, on_step, lambda text: _say(f"Warning: {text}", err=True))
        weights = training_run.train(
            shards, folder, settings, chosen, start, patience, tensorboard, ears
        )
    if not speaks():
        return
    if weights.name != WEIGHTS:
        _say(f"Of all epochs {weights} has the lowest AU error on test faces.")
    _say(f"The generator is {weights}; look at {folder / REPORT}")
    _say(f"Next: ganim animate PHOTO --au 12=1.0 --weights {weights}")


def _device(name: str) -> Any:
    """A device that torch can compute on here."""
    import torch

    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise WrongUse(f"--device {name}: torch cannot use it on this machine.") from error
    return device


def _train_settings(
    init: Path | None,
    *,
    size: int | None,
    width: int | None,
    blocks: int | None,
    upsampling: str | None,
    conditioning: str | None,
    colour: str | None,
    attention: bool | None,
    affine: bool | None,
    relative: bool | None,
    critic_width: int,
    critic_layers: int,
    lambda_adversarial: float,
    lambda_gp: float,
    lambda_attention: float,
    lambda_tv: float,
    lambda_aus: float,
    lambda_cycle: float,
    lambda_perceptual: float,
    **simple: Any,
) -> Any:
    """The settings the options ask for; what they leave open comes from `init`, if given."""
    from .model import training
    from .model.critic import CriticSettings
    from .model.generator import GeneratorSettings, load_generator
    from .model.losses import LossWeights

    generator, default_size = GeneratorSettings(), training.TrainSettings.size
    if init is not None:
        weights = init / training.WEIGHTS if init.is_dir() else init
        start, default_size = load_generator(weights)
        generator = start.settings
    asked: dict[str, Any] = {
        "width": width,
        "blocks": blocks,
        "upsampling": upsampling,
        "conditioning": conditioning,
        "colour": colour,
        "attention": attention,
        "affine": affine,
        "relative": relative,
    }
    return training.TrainSettings(
        size=size or default_size,
        generator=replace(generator, **{k: v for k, v in asked.items() if v is not None}),
        critic=CriticSettings(critic_width, critic_layers),
        weights=LossWeights(
            lambda_adversarial,
            lambda_gp,
            lambda_attention,
            lambda_tv,
            lambda_aus,
            lambda_cycle,
            lambda_perceptual,
        ),
        **simple,
    )


@main.command()
@click.argument("photograph", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--au", "aus", multiple=True, metavar="N=V", help="12=1.0 sets, 12=+0.3 adds.")
@click.option("--expression", type=click.Choice(list(EXPRESSIONS)), help="A named set of AUs.")
@click.option("-o", "--output", type=FILE, help="PNG, JPEG or GIF.  [default: NAME-animated.png]")
@click.option(
    "--frames", type=click.IntRange(min=2), default=16, help="Pictures in a GIF, first to last."
)
@click.option("--weights", type=FILE, help="A generator.  [default: the one that ships]")
def animate(
    photograph: Path,
    aus: tuple[str, ...],
    expression: str | None,
    output: Path | None,
    frames: int,
    weights: Path | None,
) -> None:
    """Animate the main face of PHOTOGRAPH.

    AUs that are not named keep the face's own value. Values run from 0 to 1. Of a PNG, every
    pixel outside the face is exactly the photograph's.
    """
    edits = expression_edits(expression) if expression else []
    edits += [parse_edit(text) for text in aus]
    if not edits:
        raise WrongUse(f"Say what to change: --au 12=1.0, or --expression happiness. {usage()}")
    output = output or Path(f"{photograph.stem}-animated.png")

    from .model import animate as animation
    from .pipeline.images import UnreadableImage, read_image

    animation.check_format(output)
    try:
        picture = read_image(photograph)
    except UnreadableImage as reason:
        raise NothingUsable(f"{photograph} cannot be read: {reason}.") from reason
    animator = animation.Animator(weights or animation.SHIPPED)
    count = frames if output.suffix.lower() == ".gif" else 1
    animation.save(output, animator.frames(picture, edits, count))
    _say(f"Wrote {output}")


if __name__ == "__main__":
    main(prog_name="ganim")
