"""The page of an evaluation: metrics and example pictures in one HTML file."""

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
from ..animation.animator import faces_of_crops
from ..animation.grids import known_edits
from .evaluate import INACTIVE_BELOW, SINGLE_AU_TARGET
from .fresh_critic_metrics import FRESH_CRITICS
from .plots import spectrum_plot
from .results import Evaluation, Result
from .sample import Sample
from .table import INCREASE, OTHER_REGIONS, formatted, metric_rows, pair_rows, rises_alone

_TEMPLATE = Path(__file__).with_name("report.html.j2")
_SWEEP_FACES, _RANDOM_FACES, _EXTREME_FACES = 4, 6, 6
_SWEEP_CANDIDATES = 40
_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
_SWEEP_EDITS: dict[str, list[Edit]] = {
    f"AU12 {level:g}": [Edit(12, level)] for level in _LEVELS
} | {
    "AU4": [Edit(4, 1.0)],
    "AU1+2": [Edit(1, 0.8), Edit(2, 0.8)],
    "AU5": [Edit(5, 0.8)],
    "AU25+26": [Edit(25, 0.8), Edit(26, 0.8)],
    "AU6+12+25": [Edit(6, 0.6), Edit(12, 0.8), Edit(25, 0.4)],
    "AU9+10": [Edit(9, 0.8), Edit(10, 0.6)],
    "AU15+17": [Edit(15, 0.8), Edit(17, 0.6)],
    "AU45": [Edit(45, 1.0)],
}
"""The edits of each face of a sweep, by caption."""


@dataclass(frozen=True)
class CaptionedPicture:
    """A picture on the page."""

    uri: str
    """Its file as a data URI."""
    caption: str


@dataclass(frozen=True)
class Sweep:
    """A face with all edits of the sweep."""

    photograph: CaptionedPicture
    edited: list[list[CaptionedPicture]]
    """For each generator, one picture per edit."""


def check_output(path: Path) -> None:
    """Raise WrongUse if a page cannot be written to `path`. Creates its folder."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise WrongUse(f"--out {path}: name the page with the ending .html.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(f"{path} cannot be written: {error.strerror or error}.") from error
    if not os.access(path.parent, os.W_OK):
        raise WrongUse(f"--out {path}: the folder is not writable. Name another one.")


def write_page(path: Path, evaluation: Evaluation) -> None:
    """Write the page, completely or not at all. Its pictures are rendered again."""
    sample = evaluation.sample
    page = pages.render(
        _TEMPLATE,
        evaluation=evaluation,
        folder=str(evaluation.folder),
        metric_rows=metric_rows(evaluation),
        aus=[(number, NAMES[number]) for number in sample.aus],
        edited_aus="" if sample.aus == NUMBERS else in_words(sample.aus),
        formatted=formatted,
        single_au_target=SINGLE_AU_TARGET,
        inactive_below=INACTIVE_BELOW,
        sweeps=_sweeps(evaluation),
        random_targets=_random_targets(
            evaluation, np.arange(min(_RANDOM_FACES, len(sample))), attention=True
        ),
        extremes=_extremes(evaluation),
        pairs=[pair_rows(result) for result in evaluation.results],
        rises_alone=[rises_alone(result) for result in evaluation.results],
        increase=INCREASE,
        other_regions=OTHER_REGIONS,
        fresh_critics=FRESH_CRITICS,
        worst_edits=[_worst_edits(sample, result) for result in evaluation.results],
        spectra=_spectra(evaluation),
    )
    pages.write(path, page)


def _sweeps(evaluation: Evaluation) -> list[Sweep]:
    """Render the faces with the least expression with all edits of the sweep."""
    sample = evaluation.sample
    indices = _least_expressive(sample)
    edits = known_edits(_SWEEP_EDITS, sample.aus)
    sweeps = []
    for crop, own in zip(sample.crops(indices), sample.own_aus[indices], strict=True):
        targets = np.stack([apply_edits(own, one) for one in edits.values()])
        crops, faces = [crop] * len(edits), faces_of_crops(np.repeat(own[None], len(edits), 0))
        edited = [
            [
                CaptionedPicture(_data_uri(picture), caption)
                for picture, caption in zip(
                    result.animator.render_batch(crops, faces, targets).pictures, edits, strict=True
                )
            ]
            for result in evaluation.results
        ]
        sweeps.append(Sweep(CaptionedPicture(_data_uri(crop), "photograph"), edited))
    return sweeps


def _least_expressive(sample: Sample) -> np.ndarray:
    """Indices of the faces with the lowest sum of AUs among the first of the sample. On these the
    effect of an edit is seen best."""
    first = np.arange(min(_SWEEP_CANDIDATES, len(sample)))
    order = np.argsort(sample.own_aus[first].sum(1), kind="stable")
    return np.sort(first[order[:_SWEEP_FACES]])


def _random_targets(
    evaluation: Evaluation, indices: np.ndarray, attention: bool
) -> list[list[CaptionedPicture]]:
    """For each face: its photograph, the photograph whose AUs are its targets, and the result of
    each generator, with the attention mask if `attention`."""
    sample = evaluation.sample
    crops = sample.crops(indices)
    references = sample.crops((indices + 1) % len(sample))
    columns = [
        [CaptionedPicture(_data_uri(crop), "photograph") for crop in crops],
        [CaptionedPicture(_data_uri(reference), "target AUs") for reference in references],
    ]
    for result in evaluation.results:
        rendered = result.animator.render_batch(
            crops, faces_of_crops(sample.own_aus[indices]), sample.target_aus[indices]
        )
        measured = result.per_face.iloc[indices]
        columns.append(
            [
                CaptionedPicture(
                    _data_uri(picture), f"ED {formatted('{:.2f}', distance)} · ACD {identity:.2f}"
                )
                for picture, distance, identity in zip(
                    rendered.pictures,
                    measured["expression_distance"],
                    measured["identity_distance"],
                    strict=True,
                )
            ]
        )
        if attention:
            columns.append(
                [CaptionedPicture(_mask_uri(mask), "attention") for mask in rendered.attention]
            )
    return [list(row) for row in zip(*columns, strict=True)]


def _extremes(evaluation: Evaluation) -> list[tuple[str, list[list[CaptionedPicture]]]]:
    """The faces with the lowest and highest distances of the first generator, by title."""
    faces = evaluation.results[0].per_face
    distance, identity = faces["expression_distance"], faces["identity_distance"]
    extremes = {
        "Lowest expression distance (ED)": distance.nsmallest(_EXTREME_FACES),
        "Highest expression distance (ED)": distance.nlargest(_EXTREME_FACES),
        "Lowest identity distance (ACD)": identity.nsmallest(_EXTREME_FACES),
        "Highest identity distance (ACD)": identity.nlargest(_EXTREME_FACES),
    }
    return [
        (title, _random_targets(evaluation, extreme.index.to_numpy(), attention=False))
        for title, extreme in extremes.items()
        if len(extreme)
    ]


def _worst_edits(sample: Sample, result: Result) -> list[tuple[str, list[list[CaptionedPicture]]]]:
    """For each kind of fresh critic, the edits that it finds most edited, each after its
    photograph."""
    groups = []
    for name, title in FRESH_CRITICS.items():
        edits = result.worst_edits
        if edits.empty:
            continue
        edits = edits[edits["critic"] == name]
        indices = edits["face"].to_numpy()
        crops, own = sample.crops(indices), sample.own_aus[indices]
        targets = np.stack(
            [
                apply_edits(aus, [Edit(int(au[2:]), SINGLE_AU_TARGET)])
                for aus, au in zip(own, edits["AU"], strict=True)
            ]
        )
        rendered = result.animator.render_batch(crops, faces_of_crops(own), targets)
        rows = [
            [
                CaptionedPicture(_data_uri(crop), "photograph"),
                CaptionedPicture(_data_uri(picture), f"{au} · {score:.1f} sd"),
            ]
            for crop, picture, au, score in zip(
                crops, rendered.pictures, edits["AU"], edits["score"], strict=True
            )
        ]
        groups.append((title, rows))
    return groups


def _spectra(evaluation: Evaluation) -> str:
    """The mean spectra of the photographs and of each generator as inline SVG."""
    return spectrum_plot(
        {"photographs": evaluation.sample.features["spectra"].mean(0)}
        | {
            f"{number}: {result.animator.weights.name}": result.spectrum
            for number, result in enumerate(evaluation.results, start=1)
        }
    )


def _data_uri(picture: np.ndarray) -> str:
    """A picture (h, w, 3) uint8 RGB as a data URI."""
    return pages.data_uri(Image.fromarray(picture), subsampling=0)


def _mask_uri(mask: np.ndarray) -> str:
    """An attention mask (h, w) in 0-1 as a data URI: white keeps the photograph."""
    grey = cv2.resize(mask, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
    return _data_uri(np.repeat(np.rint(grey * 255).astype(np.uint8)[:, :, None], 3, 2))
