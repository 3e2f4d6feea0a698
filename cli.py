"""The command line: options, messages, progress, exit codes.

Each command imports its work when it runs, so that `ganim --help` needs neither torch nor dlib.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from . import __version__
from .model.config import CriticSettings, GeneratorSettings, LossWeights, TrainSettings
from .pipeline.action_units import EXPRESSIONS, expression_edits, parse_edit, parse_numbers, usage
from .pipeline.errors import GanimError, NothingUsable, WrongUse
from .pipeline.files import address
from .pipeline.progress import Tracker

# Batches are made for so many workers of a cluster, whose number may change on the way.
_CLUSTER = 16
FOLDER = click.Path(file_okay=False, path_type=Path)
RESUMED = ("prepare", "annotate", "train")
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
            resumes = ctx.invoked_subcommand in RESUMED
            _say("Stopped." + resumes * " The same command goes on from here.", err=True)
            ctx.exit(130)


@click.group(cls=_Commands, context_settings={"show_default": True})
@click.version_option(__version__, prog_name="ganim")
def main() -> None:
    """Animate faces by action units: prepare photographs, annotate, train, animate.

    Exit status: 0 done, 1 nothing usable, 2 wrong use.
    """


@main.command()
@click.option(
    "--src",
    type=address,
    required=True,
    metavar="FOLDER",
    help="Photographs and clips, searched deeply; a folder, or an address such as s3://bucket/raw.",
)
@click.option(
    "--out",
    type=address,
    default="shards",
    metavar="FOLDER",
    help="For the shards; a folder or an address.",
)
@click.option("--size", type=click.IntRange(min=64), default=128, help="Side of the crops, px.")
@click.option(
    "--margin",
    type=click.FloatRange(0, 1),
    default=0.15,
    help="Margin around the HOG box, each side, as a share of it.",
)
@click.option(
    "--faces",
    type=click.Choice(["largest", "all"]),
    default="largest",
    help="Which faces of a photograph.",
)
@click.option(
    "--min-face", type=click.IntRange(min=0), default=0, help="Narrowest HOG box that is used, px."
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.01),
    default=1.0,
    help="Of clips, one frame in so many seconds.",
)
@click.option(
    "--test-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    help="Share of the photographs and clips set apart.",
)
@click.option("--update", is_flag=True, help="Add files that came after the set was complete.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Make the set anew; the old one stands until the new is complete.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; all cores by default.")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask cluster's, such as tcp://host:8786.")
def prepare(
    src: Path,
    out: Path,
    update: bool,
    overwrite: bool,
    workers: int | None,
    scheduler: str | None,
    **options: Any,
) -> None:
    """Photographs and clips to face crops in Parquet shards.

    Faces are found by HOG, cut and written; a photograph without a usable face becomes a row with
    the reason. Run again to go on after a stop.
    """
    from .pipeline.prepare.prepare import PrepareSettings
    from .pipeline.prepare.prepare import prepare as run

    settings = PrepareSettings(**options)
    seen: Counter[str] = Counter()
    with Tracker("prepare", "files") as tracker:

        def on_file(statuses: Sequence[str]) -> None:
            seen.update(statuses)
            tracker.advance(note=_failures(seen))

        with _report_after(out):
            summary = run(
                src, out, settings, workers, scheduler, overwrite, update, tracker.start, on_file
            )
    _say(f"{summary.found} photographs and clips in {src}, {summary.skipped} of them done before")
    for status, count in summary.counts.items():
        _say(f"  {status:<12} {count}")
    if summary.other_files:
        _say(f"  {summary.other_files} files passed over: no picture or clip by their name")
    if summary.closed_folders:
        _say(f"  {summary.closed_folders} folders passed over: they may not be listed")
    if summary.new:
        _say(f"{summary.new} of them are new since the set was complete. Add them with --update.")
    _say(f"Shards are in {out}; look at {out / REPORT}. Next: ganim annotate {out}")


@main.command()
@click.argument("shards", type=address, default="shards")
def inspect(shards: Path) -> None:
    """Figures of SHARDS, and the same with faces in SHARDS/report.html.

    prepare and annotate write the report, too. Open it in a browser: it shows in a moment whether
    the faces, and their action units, are good.
    """
    from .pipeline.report.html import write_report
    from .pipeline.report.statistics import read_statistics
    from .pipeline.report.tables import print_statistics

    statistics = read_statistics(shards)
    print_statistics(statistics)
    _say(f"Look at {write_report(statistics)}")


@contextmanager
def _report_after(shards: Path) -> Iterator[None]:
    """Write the report of the shards when the work on them has ended, usable or not."""
    from .pipeline.report.html import write_report
    from .pipeline.report.statistics import read_statistics

    try:
        yield
    except NothingUsable:
        write_report(read_statistics(shards))
        raise
    write_report(read_statistics(shards))


def _openface_options(command: Callable[..., None]) -> Callable[..., None]:
    """Which OpenFace to run, for the commands that can; what `find_openface` takes."""
    for option in (
        click.option(
            "--program", type=FILE, help="A FaceLandmarkImg on this machine; no container then."
        ),
        click.option(
            "--image-program",
            default="/home/openface-build/build/bin/FaceLandmarkImg",
            help="Where it is inside the image.",
        ),
        click.option("--image", default="algebr/openface:latest", help="OpenFace's image."),
        click.option(
            "--runtime", type=click.Choice(["docker", "podman"]), help="Container runtime."
        ),
    ):
        command = option(command)
    return command


@main.command()
@click.argument("shards", type=address, default="shards")
@click.option(
    "--annotator",
    "kind",
    type=click.Choice(["auto", "openface", "estimator", "labels"]),
    default="auto",
    help="auto: OpenFace where a container runtime and its image are, else the estimator.",
)
@click.option("--labels", type=click.Path(path_type=Path), help="AUs that already exist.")
@click.option(
    "--estimator",
    "weights",
    type=FILE,
    help="Weights of an estimator; an .onnx file needs no torch.  [default: the one that ships]",
)
@click.option(
    "--coding",
    type=click.Choice(["openface", "facs"]),
    default="openface",
    help="The estimator's scale: OpenFace's, or that of human coders.",
)
@_openface_options
@click.option("--pull", is_flag=True, help="Download the image if it is not here.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="OpenFaces at once; all cores by default."
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="A Dask cluster's, whose machines read the AUs."
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    default=0.7,
    help="Faces that OpenFace is less sure of get a reason, no AUs.",
)
@click.option("--overwrite", is_flag=True, help="Do every face again.")
@click.option(
    "--redo-below",
    type=click.FloatRange(0, 1),
    help="Do faces again that have less confidence, or no AUs.",
)
@click.option("--out", type=FILE, help="The CSV of a clip.  [default: CLIP.csv]")
def annotate(
    shards: Path,
    kind: str,
    labels: Path | None,
    overwrite: bool,
    redo_below: float | None,
    out: Path | None,
    scheduler: str | None,
    weights: Path | None,
    coding: str,
    **openface: Any,
) -> None:
    """Fill in the 17 action units of every face in SHARDS, or of every frame of a clip.

    labels reads a folder of OpenFace CSVs, a table (.parquet, .csv) with a column `photo`, or
    the original project's aus_openface.pkl. Run again to go on after a stop. Of a clip, the
    largest face of every frame is written to a CSV with OpenFace's columns.
    """
    if overwrite and redo_below is not None:
        raise WrongUse("--overwrite does every face again, --redo-below some: name one of them.")
    if out is not None and shards.is_dir():
        raise WrongUse(f"--out is for clips; the AUs of {shards} are written into its shards.")
    if shards.suffix and not shards.exists():
        raise WrongUse(f"{shards} is not there. Name a clip, or a folder of shards.")
    if scheduler is not None and openface["workers"] is not None:
        raise WrongUse("--workers counts OpenFaces here, --scheduler has its own: give one.")
    if (kind == "labels") != (labels is not None):
        raise WrongUse("--annotator labels and --labels (a folder, a table, a .pkl) go together.")
    if kind == "labels" and scheduler is not None:
        raise WrongUse("--scheduler is for OpenFace and the estimator; labels are only looked up.")
    if kind == "estimator":
        annotator: Any = _estimator(weights, coding)
    elif weights is not None or coding != "openface":
        raise WrongUse("--estimator and --coding go with --annotator estimator.")
    else:
        annotator = _annotator(kind, shards, labels, openface)
    _say(f"Annotating with {annotator.name}", err=True)
    with _stopped_by_signals():
        if shards.is_file():
            _annotate_clip(shards, out or shards.with_suffix(".csv"), annotator)
        else:
            _annotate_shards(shards, annotator, scheduler, overwrite, redo_below)


def _annotate_shards(
    shards: Path, annotator: Any, scheduler: str | None, overwrite: bool, redo_below: float | None
) -> None:
    from .pipeline.annotate.annotate import annotate as annotate_shards
    from .pipeline.annotate.annotate import in_turn, on_cluster
    from .pipeline.openface.annotator import OpenFace

    openface = annotator if isinstance(annotator, OpenFace) else None
    workers = openface.workers if openface else 1
    run: Any = openface.run if openface else in_turn
    if scheduler is not None:
        if openface:
            openface.workers = 1
        workers, run = _CLUSTER, partial(on_cluster, scheduler)
    seen: Counter[str] = Counter()
    with Tracker("annotate", "faces") as tracker:

        def on_face(status: str) -> None:
            seen[status] += 1
            tracker.advance(note=_failures(seen))

        with _report_after(shards):
            summary = annotate_shards(
                shards,
                annotator,
                overwrite,
                redo_below,
                workers,
                run,
                tracker.start,
                on_face,
            )
    _say(
        f"{summary.annotated} faces have AUs, {summary.failed} have a reason why not; "
        f"{summary.skipped} were done before"
    )
    if summary.read:
        speed = f"{summary.read} faces in {summary.seconds:.1f} s, {summary.rate:.1f} a second"
        if openface and scheduler is None:
            share = 1 - openface.seconds_reading / (summary.seconds * workers)
            speed += f"; {max(0.0, share):.1%} of the time OpenFace looked at none"
        _say(speed)
    _say(f"Look at {shards / REPORT}. Next: ganim train {shards}")


def _annotate_clip(clip: Path, out: Path, annotator: Any) -> None:
    from .pipeline.annotate.clip import annotate_clip, openface_clip
    from .pipeline.openface.annotator import OpenFace

    if isinstance(annotator, OpenFace):
        summary = openface_clip(clip, out, annotator)
    else:
        with Tracker("annotate", "frames") as tracker:
            summary = annotate_clip(clip, out, annotator, lambda status: tracker.advance())
    _say(f"{summary.with_aus} of {summary.frames} frames have AUs; wrote {out}")
    if summary.problem:
        _say(f"{clip} was not read to its end: {summary.problem}", err=True)


def _annotator(kind: str, shards: Path, labels: Path | None, options: dict[str, Any]) -> Any:
    """The annotator that was asked for; for `auto`, OpenFace if it is here."""
    from .pipeline.shards import read_column

    if labels is not None:
        from .pipeline.annotate.labels import Labels

        if shards.is_file():
            raise WrongUse("--labels are of photographs. A clip is read by openface or estimator.")
        sources = read_column(shards, "source")
        return Labels.load(labels, sources, options["min_confidence"])
    from .pipeline.openface.annotator import find_openface

    options["workers"] = options["workers"] or len(os.sched_getaffinity(0))
    try:
        openface = find_openface(**options)
        if shards.is_file():
            openface.check_clips()
        return openface
    except WrongUse as reason:
        # Someone who names a program or runtime wants that one, not a substitute.
        if kind == "openface" or options["program"] or options["runtime"] or options["pull"]:
            raise
        _say(f"No OpenFace here, so the estimator reads the AUs. ({reason})", err=True)
    return _estimator()


def _estimator(weights: Path | None = None, coding: Any = "openface") -> Any:
    from .model.estimator.annotator import SHIPPED, EstimatorAnnotator

    return EstimatorAnnotator(weights or SHIPPED, coding)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the work as Ctrl-C does: tidily."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
@click.option("--aus", help="The AUs it knows, as in 1,4,12.  [default: all 17]")
@click.option("--attention/--no-attention", default=None, help="Or the colour mask alone.")
@click.option("--affine/--no-affine", default=None, help="Learned scales of instance norms.")
@click.option("--relative/--no-relative", default=None, help="Tell target minus own AUs.")
@click.option("--motion/--no-motion", default=None, help="Move the face before the masks blend.")
@click.option(
    "--critic-width", default=CriticSettings.width, help="Channels of the critic's first layer."
)
@click.option(
    "--critic-layers", default=CriticSettings.layers, help="Strided layers of the critic."
)
@click.option("--batch", default=TrainSettings.batch)
@click.option("--epochs", default=TrainSettings.epochs)
@click.option(
    "--decay-epochs", default=TrainSettings.decay_epochs, help="Last epochs, rate falling to zero."
)
@click.option(
    "--critic-steps",
    default=TrainSettings.critic_steps,
    help="Critic steps to one of the generator.",
)
@click.option(
    "--critic-warmup",
    default=TrainSettings.critic_warmup,
    help="First iterations, the critic alone.",
)
@click.option(
    "--single-au",
    type=click.FloatRange(0, 1),
    default=TrainSettings.single_au,
    help="Share of targets that change one AU; the others are another face's.",
)
@click.option("--balanced-aus", is_flag=True, help="Errors of AUs count by inverse deviation.")
@click.option(
    "--critic-jitter",
    default=TrainSettings.critic_jitter,
    help="Move faces before the critic sees them.",
)
@click.option(
    "--critic-coarse",
    type=click.FloatRange(0, 1),
    default=TrainSettings.critic_coarse,
    help="Share of faces the critic sees grey, blurred, and reads AUs from.",
)
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), default=TrainSettings.rate, help="Of Adam."
)
@click.option("--ema", type=click.FloatRange(0, 1, max_open=True), default=TrainSettings.ema)
@click.option("--lambda-adversarial", default=LossWeights.adversarial, help="Wasserstein terms.")
@click.option("--lambda-gp", default=LossWeights.gp, help="Gradient penalty.")
@click.option("--lambda-attention", default=LossWeights.attention, help="Mean attention.")
@click.option("--lambda-tv", default=LossWeights.tv, help="Total variation, per pixel.")
@click.option("--lambda-aus", default=LossWeights.aus, help="AU regression, per element.")
@click.option("--lambda-cycle", default=LossWeights.cycle, help="Identity of the cycle.")
@click.option("--lambda-perceptual", default=LossWeights.perceptual, help="The same, by features.")
@click.option(
    "--precision", type=click.Choice(["auto", "bf16", "fp32"]), default=TrainSettings.precision
)
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
    from .model.animation import animator
    from .model.training import run as training_run
    from .model.training.distributed import speaks
    from .model.training.run_folder import Ears
    from .model.training.trainer import WEIGHTS

    start = None if init is None else animator.SHIPPED if init == "shipped" else Path(init)
    settings = _train_settings(start, **options)
    chosen = None if device is None else _device(device)
    if dry_run:
        from .model.training.dry_run import measure

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
    motion: bool | None,
    aus: str | None,
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
    generator, default_size = GeneratorSettings(), TrainSettings.size
    if init is not None:
        from .model.networks.generator import load_generator
        from .model.training.trainer import WEIGHTS

        weights = init / WEIGHTS if init.is_dir() else init
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
        "motion": motion,
        "aus": None if aus is None else parse_numbers(aus),
    }
    return TrainSettings(
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

    from .model.animation import animator as animation
    from .pipeline.images.decode import UnreadableImage, read_image

    animation.check_format(output)
    try:
        picture = read_image(photograph)
    except UnreadableImage as reason:
        raise NothingUsable(f"{photograph} cannot be read: {reason}.") from reason
    animator = animation.Animator(weights or animation.SHIPPED)
    count = frames if output.suffix.lower() == ".gif" else 1
    animation.save(output, animator.frames(picture, edits, count))
    _say(f"Wrote {output}")


@main.command()
@click.argument("shards", type=FOLDER, default=Path("shards"))
@click.option("--weights", type=FILE, help="A generator.  [default: the one that ships]")
@click.option("--compare", type=FILE, help="Another, on the same faces with the same targets.")
@click.option("--faces", type=click.IntRange(min=2), default=500, help="At most so many.")
@click.option("--seed", type=int, default=0, help="Draws faces and targets.")
@click.option(
    "-o", "--out", type=FILE, default=Path("evaluation.html"), help="The page; JSON goes beside it."
)
@click.option(
    "--annotator", "kind", type=click.Choice(["estimator", "openface"]), default="estimator"
)
@click.option(
    "--inception",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="torchvision's inception_v3 weights: FID and score.",
)
@click.option("--device", help="cpu, cuda, cuda:1, …  [default: cuda where there is one]")
@_openface_options
def evaluate(
    shards: Path,
    weights: Path | None,
    compare: Path | None,
    faces: int,
    seed: int,
    out: Path,
    kind: str,
    inception: Path | None,
    device: str | None,
    **openface: Any,
) -> None:
    """Measure a generator on the test split of SHARDS.

    Does it show the AUs it is asked for, leave the others, keep the person, and look real? A
    table here, a page of pictures, and a JSON file beside it. docs/evaluation.md explains each
    figure.
    """
    from .model.animation import animator
    from .model.evaluation import report, table
    from .model.evaluation.evaluate import evaluate as run

    report.check_output(out)
    chosen = None if device is None else _device(device)
    if kind == "openface":
        from .pipeline.openface.annotator import find_openface

        annotator: Any = find_openface(**openface)
    else:
        annotator = _estimator()
    paths = [weights or animator.SHIPPED, *([compare] if compare else [])]
    with Tracker("evaluate", "pictures") as tracker:
        evaluation = run(
            shards, paths, annotator, faces, seed, inception, chosen, tracker.start, tracker.advance
        )
    table.print_evaluation(evaluation)
    report.write_page(out, evaluation)
    evaluation.write_json(out.with_suffix(".json"))
    _say(f"Look at {out}; the figures are in {out.with_suffix('.json')}")


if __name__ == "__main__":
    main(prog_name="ganim")
