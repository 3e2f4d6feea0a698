"""The figures of the GANimation papers, drawn anew from weights and photographs.

python bench/figures.py --out figures/ [--weights W] [--runs comparison/] [PHOTOGRAPH...]

For each photograph, of the two in examples/ if none is named:

single-aus    single AUs at 0, 0.33, 0.67 and 1
two-aus       two AUs on a grid
masks         what the generator moves, keeps (attention) and paints (colour mask)
expressions   one face with the 22 expressions of Du et al.
occlusions    a smile and surprise behind glasses, a hat, hair and a hand, which are drawn by code
drawings      the same of drawings, a painting and a statue, which are made by code

and with `--runs`, a folder of bench/compare.py train:

models        seven expressions side by side, a row for each model
attention     how the mean attention went in training
"""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch

from ganim.bench.comparison import drawn, measure, sheets
from ganim.commands.console import Failure, say
from ganim.model.animation.animator import SHIPPED, Animator
from ganim.model.animation.faces import Face
from ganim.model.networks.torch_renderer import TorchRenderer
from ganim.model.pixels import from_model
from ganim.model.training.log import read_metrics
from ganim.pipeline.action_units import NAMES, Edit
from ganim.pipeline.errors import GanimError, NothingUsable
from ganim.pipeline.expressions import EXPRESSIONS, Request, expression_aus
from ganim.pipeline.files import write_whole
from ganim.pipeline.images.decode import read_image

EXAMPLES = Path(__file__).parents[1] / "examples"
PORTRAITS = (EXAMPLES / "astronaut.png", EXAMPLES / "grace_hopper.jpg")
LEVELS = (0.0, 0.33, 0.67, 1.0)
SINGLE_AUS = (1, 2, 4, 5, 6, 9, 10, 12, 15, 17, 25, 26, 45)
TWO_AUS = ((12, 4), (25, 1))
GRID = (0.0, 0.25, 0.5, 0.75, 1.0)
SEVEN = ("neutral", "happy", "sad", "fearful", "angry", "surprised", "disgusted")
SHOWN = ("happy", "surprised", "angry")


class Portrait:
    """A photograph and its largest face."""

    def __init__(self, path: Path, animator: Animator) -> None:
        self.name = path.stem
        self.picture = read_image(path)
        self.face = animator.find(self.picture)


def edited(
    animator: Animator, picture: np.ndarray, face: Face, requests: Sequence[Request]
) -> list[np.ndarray]:
    """Tiles of a face for each of some requests."""
    return [
        sheets.tile(animator.render_faces(picture, [face], [one.target(face.own_aus)]), face)
        for one in requests
    ]


def expression(name: str) -> Request:
    return Request(expression=expression_aus(name))


def single_aus(path: Path, animator: Animator, portrait: Portrait) -> None:
    """A row for each AU, a column for each level."""
    known = [number for number in SINGLE_AUS if number in animator.renderer.aus]
    rows = [
        edited(
            animator,
            portrait.picture,
            portrait.face,
            [Request([Edit(number, level)]) for level in LEVELS],
        )
        for number in known
    ]
    titles = [f"AU{number} {NAMES[number]}" for number in known]
    sheets.write(path, rows, [f"{level:g}" for level in LEVELS], titles)


def two_aus(path: Path, animator: Animator, portrait: Portrait) -> None:
    """A grid for each two AUs, side by side: the first rises to the right, the second down."""
    rows = []
    for down in GRID:
        requests = [
            Request([Edit(first, across), Edit(second, down)])
            for first, second in TWO_AUS
            for across in GRID
        ]
        rows.append(edited(animator, portrait.picture, portrait.face, requests))
    headings = [f"AU{first} {across:g}" for first, _ in TWO_AUS for across in GRID]
    second = " and ".join(f"AU{number}" for _, number in TWO_AUS)
    sheets.write(path, rows, headings, [f"{second} {down:g}" for down in GRID])


@torch.inference_mode()
def masks(path: Path, animator: Animator, portrait: Portrait) -> None:
    """What makes the pictures, in the frame of the generator, a row for each expression."""
    renderer = animator.renderer
    assert isinstance(renderer, TorchRenderer)
    _, square = animator.cut([portrait.picture], [portrait.face])
    given, own = renderer.inputs(square), portrait.face.own_aus
    rows = []
    for name in SEVEN[1:]:
        aus = torch.from_numpy(np.stack([expression(name).target(own), own]).astype(np.float32))
        made = renderer.network(given, aus[:1], aus[1:])
        columns = [given, made.face, made.attention.expand_as(given) * 2 - 1]
        columns += [made.colour, made.blend()]
        rows.append(
            [
                from_model(one[0]).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
                for one in columns
            ]
        )
    headings = ["face", "moved", "attention", "colour", "result"]
    sheets.write(path, rows, headings, list(SEVEN[1:]))


def expressions(path: Path, animator: Animator, portrait: Portrait) -> None:
    """The 22 expressions in rows of six, after the face itself."""
    names = list(EXPRESSIONS)
    tiles = edited(
        animator, portrait.picture, portrait.face, [Request(), *(expression(n) for n in names)]
    )
    labelled = [sheets.labelled(*one) for one in zip(tiles, ["itself", *names], strict=True)]
    rows = [labelled[start : start + 6] for start in range(0, len(labelled), 6)]
    sheets.write(path, rows, [])


def occlusions(path: Path, animator: Animator, portrait: Portrait) -> None:
    """Expressions behind what hides a part of the face."""
    landmarks = portrait.face.landmarks
    assert landmarks is not None
    pictures = {name: draw(portrait.picture, landmarks) for name, draw in drawn.OCCLUSIONS.items()}
    _changed_pictures(path, animator, portrait, pictures)


def drawings(path: Path, animator: Animator, portrait: Portrait) -> None:
    """Expressions of drawings of the face."""
    pictures = {name: draw(portrait.picture) for name, draw in drawn.DRAWINGS.items()}
    _changed_pictures(path, animator, portrait, pictures)


def _changed_pictures(
    path: Path, animator: Animator, portrait: Portrait, pictures: dict[str, np.ndarray]
) -> None:
    """A row for each picture: as it is, and with the expressions of SHOWN. Where no face is found
    in it, the place and the AUs of the portrait's face are taken, and the title says so."""
    rows, titles = [], []
    for name, picture in pictures.items():
        try:
            face = animator.find(picture)
        except NothingUsable:
            face = portrait.face
            name += " (no face found)"
        requests = [Request(), *map(expression, SHOWN)]
        rows.append(edited(animator, picture, face, requests))
        titles.append(name)
    sheets.write(path, rows, ["itself", *SHOWN], titles)


def models(path: Path, known: list[measure.Contender], portrait_path: Path) -> None:
    """The expressions of SEVEN, a row for each model."""
    rows, titles = [], []
    for contender in known:
        animator = contender.load(torch.device("cpu"))
        portrait = Portrait(portrait_path, animator)
        requests = [Request(), *map(expression, SEVEN)]
        rows.append(edited(animator, portrait.picture, portrait.face, requests))
        titles.append(contender.title)
    sheets.write(path, rows, ["itself", *SEVEN], titles)


def attention(path: Path, known: list[measure.Contender]) -> bool:
    """Plot the mean attention over the budget of each run that logged it; False if none did."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for contender in known:
        points = [
            (entry["share"], entry["attention"])
            for entry in read_metrics(contender.folder)
            if "attention" in entry
        ]
        if points:
            axes.plot(*zip(*points, strict=True), label=contender.title, linewidth=1.3)
    axes.set_xlabel("share of the training")
    axes.set_ylabel("mean attention; 1 keeps the face")
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.25)
    if not axes.lines:
        return False
    axes.legend(frameon=False, fontsize=9)
    write_whole(path, lambda beside: figure.savefig(beside, format="png", dpi=110))
    return True


OF_A_PORTRAIT = {
    "single-aus": single_aus,
    "two-aus": two_aus,
    "masks": masks,
    "expressions": expressions,
    "occlusions": occlusions,
    "drawings": drawings,
}


@click.command(help=__doc__)
@click.argument("photographs", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("figures"))
@click.option("--weights", type=click.Path(exists=True, path_type=Path), default=SHIPPED)
@click.option("--runs", type=click.Path(exists=True, path_type=Path, file_okay=False))
@click.option("--only", multiple=True, type=click.Choice([*OF_A_PORTRAIT, "models", "attention"]))
@click.option("--format", "suffix", type=click.Choice(["png", "jpg"]), default="png")
def main(
    photographs: tuple[Path, ...],
    out: Path,
    weights: Path,
    runs: Path | None,
    only: tuple[str, ...],
    suffix: str,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    try:
        animator = Animator(weights)
        for path in photographs or PORTRAITS:
            portrait = Portrait(path, animator)
            for name, draw in OF_A_PORTRAIT.items():
                if not only or name in only:
                    draw(out / f"{name}-{portrait.name}.{suffix}", animator, portrait)
                    say(f"Wrote {out / f'{name}-{portrait.name}.{suffix}'}")
        if runs is None:
            return
        known = [one for one in measure.contenders(runs) if one.folder.name != "copy"]
        if not only or "models" in only:
            for path in photographs or PORTRAITS:
                models(out / f"models-{path.stem}.{suffix}", known, path)
                say(f"Wrote {out / f'models-{path.stem}.{suffix}'}")
        if (not only or "attention" in only) and attention(out / "attention.png", known):
            say(f"Wrote {out / 'attention.png'}")
    except GanimError as error:
        raise Failure(error) from error


if __name__ == "__main__":
    main()
