"""The page of an evaluation: figures, and pictures to judge them by; nothing from outside."""

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ...pipeline.action_units import NAMES, NUMBERS, Edit, apply_edits, in_words
from ...pipeline.errors import WrongUse
from ...pipeline.faces.crop import CROP_SIZE
from ...pipeline.report import pages
from ..animation.grids import known_edits
from .evaluate import ALONE, AT_REST, Evaluation
from .sample import Sample
from .table import lines, written

_TEMPLATE = Path(__file__).with_name("report.html.j2")
_SWEPT, _SHOWN, _EXTREMES = 4, 6, 6
"""Faces in sweeps, with random targets, and of the best and the worst."""
_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
_SWEEPS: dict[str, list[Edit]] = {f"AU12 {step:g}": [Edit(12, step)] for step in _STEPS} | {
    "AU4": [Edit(4, 1.0)],
    "AU1+2": [Edit(1, 0.8), Edit(2, 0.8)],
    "AU5": [Edit(5, 0.8)],
    "AU25+26": [Edit(25, 0.8), Edit(26, 0.8)],
    "AU6+12+25": [Edit(6, 0.6), Edit(12, 0.8), Edit(25, 0.4)],
    "AU9+10": [Edit(9, 0.8), Edit(10, 0.6)],
    "AU15+17": [Edit(15, 0.8), Edit(17, 0.6)],
    "AU45": [Edit(45, 1.0)],
}
"""Column by column: what is asked of the faces of the sweeps."""
_PLOT = (640, 240)


@dataclass(frozen=True)
class Tile:
    """A picture on the page."""

    picture: str
    """A data URI."""
    label: str


@dataclass(frozen=True)
class Curve:
    """A line in the plot of spectra."""

    name: str
    points: str
    """`x,y x,y …` in the plot's pixels."""


def check_output(path: Path) -> None:
    """Raise WrongUse, before any long work, if a page cannot be written there."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise WrongUse(f"--out {path}: name the page with the ending .html.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(f"{path} cannot be written: {error.strerror or error}.") from error
    if not os.access(path.parent, os.W_OK):
        raise WrongUse(f"--out {path}: nothing may be written to that folder. Name another.")


def write_page(path: Path, evaluation: Evaluation) -> None:
    """Write the page, whole or not at all. The pictures on it are generated anew."""
    curves, ticks = _spectra(evaluation)
    page = pages.render(
        _TEMPLATE,
        evaluation=evaluation,
        folder=str(evaluation.folder),
        lines=lines(evaluation),
        units=[(number, NAMES[number]) for number in evaluation.sample.aus],
        asked="" if evaluation.sample.aus == NUMBERS else in_words(evaluation.sample.aus),
        written=written,
        alone=ALONE,
        at_rest=AT_REST,
        sweeps=_sweeps(evaluation),
        targets=_targets(
            evaluation, np.arange(min(_SHOWN, len(evaluation.sample))), attention=True
        ),
        extremes=_extremes(evaluation),
        curves=curves,
        ticks=ticks,
        plot=_PLOT,
    )
    pages.write(path, page)


def _sweeps(evaluation: Evaluation) -> list[tuple[Tile, list[list[Tile]]]]:
    """Of each face: its photograph, and a row of pictures from each generator."""
    sample = evaluation.sample
    chosen = _quietest(sample)
    crops = sample.crops(chosen)
    edits = known_edits(_SWEEPS, sample.aus)
    swept = []
    for crop, own in zip(crops, sample.own[chosen], strict=True):
        asked = np.stack([apply_edits(own, one) for one in edits.values()])
        repeated, shown = (np.repeat(one[None], len(asked), 0) for one in (crop, own))
        rows = [
            [
                Tile(_data_uri(picture), label)
                for picture, label in zip(
                    result.animator.animate(repeated, asked, shown).pictures, edits, strict=True
                )
            ]
            for result in evaluation.results
        ]
        swept.append((Tile(_data_uri(crop), "photograph"), rows))
    return swept


def _quietest(sample: Sample) -> np.ndarray:
    """Among the first faces those that show the least, so that one sees what is added."""
    first = np.arange(min(10 * _SWEPT, len(sample)))
    return np.sort(first[np.argsort(sample.own[first].sum(1), kind="stable")][:_SWEPT])


def _targets(evaluation: Evaluation, chosen: np.ndarray, attention: bool) -> list[list[Tile]]:
    """Of each face: its photograph, the one whose AUs are asked for, and what came of it."""
    sample = evaluation.sample
    crops = sample.crops(chosen)
    others = sample.crops((chosen + 1) % len(sample))
    columns = [
        [Tile(_data_uri(crop), "photograph") for crop in crops],
        [Tile(_data_uri(other), "AUs asked for") for other in others],
    ]
    for result in evaluation.results:
        animated = result.animator.animate(crops, sample.asked[chosen], sample.own[chosen])
        measured = result.faces.iloc[chosen]
        columns.append(
            [
                Tile(_data_uri(picture), f"ED {written('{:.2f}', distance)} · ACD {identity:.2f}")
                for picture, distance, identity in zip(
                    animated.pictures, measured["distance"], measured["identity"], strict=True
                )
            ]
        )
        if attention:
            columns.append([Tile(_mask_uri(mask), "attention") for mask in animated.attention])
    return [list(row) for row in zip(*columns, strict=True)]


def _extremes(evaluation: Evaluation) -> list[tuple[str, list[list[Tile]]]]:
    """The best and the worst faces of the first generator."""
    faces = evaluation.results[0].faces
    kinds = {
        "Closest to what was asked (ED)": faces["distance"].nsmallest(_EXTREMES),
        "Farthest from what was asked (ED)": faces["distance"].nlargest(_EXTREMES),
        "Most like the person (ACD)": faces["identity"].nsmallest(_EXTREMES),
        "Least like the person (ACD)": faces["identity"].nlargest(_EXTREMES),
    }
    return [
        (title, _targets(evaluation, extreme.index.to_numpy(), attention=False))
        for title, extreme in kinds.items()
        if len(extreme)
    ]


def _spectra(evaluation: Evaluation) -> tuple[list[Curve], list[tuple[float, str]]]:
    """The mean spectra as lines, and the ticks below them as position and cycles a picture."""
    spectra = {"photographs": evaluation.sample.looks["spectra"].mean(0)} | {
        f"{number}: {result.animator.name}": result.spectrum
        for number, result in enumerate(evaluation.results, start=1)
    }
    values = np.stack(list(spectra.values()))
    low, high = float(values.min()), float(values.max())
    width, height = _PLOT
    # Frequencies on a logarithmic scale, as photographs fall along a straight line there.
    x = np.log(np.arange(1, values.shape[1] + 1)) / np.log(values.shape[1]) * width
    y = (high - values) / max(high - low, 1e-6) * height
    curves = [
        Curve(name, " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, line, strict=True)))
        for name, line in zip(spectra, y, strict=True)
    ]
    marks = (1, 2, 4, 8, 16, 32, CROP_SIZE // 2)
    return curves, [(float(x[mark - 1]), f"{mark}") for mark in marks]


def _data_uri(picture: np.ndarray) -> str:
    """A picture (h, w, 3) uint8 for the page."""
    return pages.data_uri(Image.fromarray(picture), subsampling=0)


def _mask_uri(mask: np.ndarray) -> str:
    """An attention mask (h, w) in 0-1: white keeps the photograph."""
    grey = cv2.resize(mask, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
    return _data_uri(np.repeat(np.rint(grey * 255).astype(np.uint8)[:, :, None], 3, 2))
