"""Measure generators on faces they never saw: do they show what is asked, and nothing else?

What is measured is what users get: the 128 px crop with the generator's change put on it, as
`animate` does. docs/evaluation.md says what each figure means.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ... import __version__
from ...pipeline.action_units import MAX_INTENSITY, in_words, positions
from ...pipeline.annotator import Annotator
from ...pipeline.errors import WrongUse
from ...pipeline.faces.crop import CROP_SIZE
from ...pipeline.files import write_whole
from ..animation.crop_animator import CropAnimator
from ..landmarks.dlib_models import hog_box
from . import metrics
from .inception import Inception, inception_score
from .sample import Instruments, Sample, as_png, batches, joined, load_sample

ALONE = 0.8
"""What each AU is raised to by itself."""
AT_REST = 0.2
"""… on faces that show less of it than this."""
_MOST_ALONE = 100
_SAME_PERSON = 0.6
_HALVINGS = 10


@dataclass(frozen=True)
class Result:
    """One generator, measured."""

    animator: CropAnimator
    figures: dict[str, float]
    """By name, as evaluation_table.ROWS explains them; NaN where one cannot be had."""
    units: pd.DataFrame
    """A row an AU (`AU01`): `r` of asked and measured, `r_photograph` of asked and what is read in
    the photographs asked for, `sd` of asked and `distance` (both 0-5), `at_rest` (faces), and, of
    the AU alone, `rise`, `leakage` (all others) and `elsewhere` (other regions), in 0-1."""
    faces: pd.DataFrame
    """A row a face of the sample: `key`, `distance` (0-5) and `identity`, for random targets."""
    spectrum: np.ndarray
    """Mean radial spectrum of the generated faces, dB, from 1 cycle a picture on."""


@dataclass(frozen=True)
class Evaluation:
    """Generators measured on the same faces with the same targets."""

    folder: Path
    seed: int
    annotator: str
    sample: Sample
    results: list[Result]

    def write_json(self, path: Path) -> None:
        """All figures, for later comparison; what could not be measured is null."""
        record = {
            "ganim": __version__,
            "shards": str(self.folder),
            "annotator": self.annotator,
            "faces": len(self.sample),
            "unreadable": self.sample.unreadable,
            "seed": self.seed,
            "aus": self.sample.aus,
            "generators": [
                {
                    "weights": result.animator.name,
                    "sha256": result.animator.fingerprint,
                    "size": result.animator.size,
                    "figures": _plain(result.figures),
                    "action_units": {
                        str(name): _plain(dict(row)) for name, row in result.units.iterrows()
                    },
                    "faces": [_plain(dict(row)) for _, row in result.faces.iterrows()],
                }
                for result in self.results
            ],
        }
        text = json.dumps(record, indent=1, allow_nan=False)
        write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def evaluate(
    folder: Path,
    weights: Sequence[Path],
    annotator: Annotator,
    most: int = 500,
    seed: int = 0,
    inception: Path | None = None,
    device: torch.device | None = None,
    on_start: Callable[[int], None] = lambda total: None,
    on_pictures: Callable[[int], None] = lambda count: None,
) -> Evaluation:
    """Measure each generator on up to `most` faces of the test split of `folder`.

    What is asked and measured are the AUs that all of them know. Raises WrongUse for files that
    are no weights, where there are no such AUs, or no faces to measure on.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    animators = [CropAnimator(path, device) for path in weights]
    known = _known_to_all(animators)
    seen_by = None if inception is None else Inception(inception, device)
    instruments = Instruments(annotator, hog_box(folder, CROP_SIZE), seen_by)
    sample = load_sample(folder, most, seed, instruments, on_start, on_pictures, known)
    results = [
        measure(animator, sample, instruments, seed, on_start, on_pictures)
        for animator in animators
    ]
    return Evaluation(folder, seed, annotator.name, sample, results)


def _known_to_all(animators: Sequence[CropAnimator]) -> tuple[int, ...]:
    first, *others = (animator.generator.settings.aus for animator in animators)
    known = tuple(number for number in first if all(number in other for other in others))
    if not known:
        raise WrongUse(
            "There is no AU that both generators know: one knows "
            f"{', the other '.join(in_words(one) for one in (first, *others))}."
        )
    return known


def measure(
    animator: CropAnimator,
    sample: Sample,
    instruments: Instruments,
    seed: int = 0,
    on_start: Callable[[int], None] = lambda total: None,
    on_pictures: Callable[[int], None] = lambda count: None,
) -> Result:
    """Measure one generator."""
    columns = positions(sample.aus)
    resting = [np.flatnonzero(own < AT_REST)[:_MOST_ALONE] for own in sample.own[:, columns].T]
    on_start(3 * len(sample) + sum(len(faces) for faces in resting))
    measured = joined(
        [
            _random_targets(animator, sample, instruments, chosen, on_pictures)
            for chosen in batches(np.arange(len(sample)))
        ]
    )
    asked, own, read, of_asked = (
        aus[:, columns] for aus in (sample.asked, sample.own, measured["aus"], sample.own_of_asked)
    )
    distance = metrics.expression_distance(asked, read)
    copying = metrics.expression_distance(asked, own)
    change = measured["descriptors"] - sample.looks["descriptors"]
    identity = np.linalg.norm(change, axis=1)
    units = _action_units(animator, sample, instruments, resting, on_pictures).assign(
        r=metrics.correlations(asked, read),
        r_photograph=metrics.correlations(asked, of_asked),
        sd=asked.std(0) * MAX_INTENSITY,
        distance=[_mean(error) * MAX_INTENSITY for error in np.abs(asked - read).T],
    )
    photographs = metrics.expression_distance(asked, of_asked)
    figures = {
        "expression_distance": _mean(distance),
        "expression_distance_of_copying": float(copying.mean()),
        "expression_distance_ratio": _ratio(copying.mean(), _mean(distance)),
        "expression_distance_of_photographs": float(photographs.mean()),
        "correlation": _mean(units["r"]),
        "correlation_of_photographs": _mean(units["r_photograph"]),
        "unread": float(np.isnan(distance).mean()),
        "identity": float(identity.mean()),
        "same_person": float((identity < _SAME_PERSON).mean()),
        "own_psnr": float(measured["own_psnr"].mean()),
        "own_ssim": float(measured["own_ssim"].mean()),
        "cycle_psnr": float(measured["cycle_psnr"].mean()),
        "attention": float(measured["attention"].mean()),
        "attention_keeps": float(measured["keeps"].mean()),
        "attention_replaces": float(measured["replaces"].mean()),
        **_realism(sample.looks, measured, seed),
    }
    faces = pd.DataFrame({"key": sample.keys, "distance": distance, "identity": identity})
    return Result(animator, figures, units, faces, measured["spectra"].mean(0))


def _random_targets(
    animator: CropAnimator,
    sample: Sample,
    instruments: Instruments,
    chosen: np.ndarray,
    on_pictures: Callable[[int], None],
) -> dict[str, np.ndarray]:
    """Ask for another face's AUs, then for the way back; and for the face's own."""
    crops, own = sample.crops(chosen), sample.own[chosen]
    asked = sample.asked[chosen]
    there = animator.animate(crops, asked, own)
    back = animator.animate(there.pictures, own, asked)
    same = animator.animate(crops, own, own)
    measured = {
        "aus": instruments.read(as_png(there.pictures)),
        "cycle_psnr": metrics.psnr(back.pictures, crops),
        "own_psnr": metrics.psnr(same.pictures, crops),
        "own_ssim": metrics.ssim(same.pictures, crops),
        "attention": there.attention.mean((1, 2)),
        "keeps": (there.attention > 0.99).mean((1, 2)),
        "replaces": (there.attention < 0.01).mean((1, 2)),
    }
    on_pictures(3 * len(chosen))
    return measured | instruments.look(there.pictures)


def _action_units(
    animator: CropAnimator,
    sample: Sample,
    instruments: Instruments,
    resting: list[np.ndarray],
    on_pictures: Callable[[int], None],
) -> pd.DataFrame:
    """Of each AU alone, what Result.units says. resting: for each, the faces to raise it on."""
    rows = []
    for number, column, at_rest in zip(sample.aus, positions(sample.aus), resting, strict=True):
        files: list[bytes] = []
        for chosen in batches(at_rest):
            own = sample.own[chosen]
            aus = own.copy()
            aus[:, column] = ALONE
            files += as_png(animator.animate(sample.crops(chosen), aus, own).pictures)
            on_pictures(len(chosen))
        change = instruments.read(files) - sample.own[at_rest]
        leakage, elsewhere = metrics.leakage(change, number)
        rows.append(
            {
                "AU": f"AU{number:02d}",
                "at_rest": len(change),
                "rise": _mean(change[:, column]),
                "leakage": leakage,
                "elsewhere": elsewhere,
            }
        )
    return pd.DataFrame(rows).set_index("AU")


def _realism(
    real: dict[str, np.ndarray], generated: dict[str, np.ndarray], seed: int
) -> dict[str, float]:
    """Distances of generated from other real faces, and between real faces, over random halves:
    the same number of faces on all sides, and never the same face."""
    kinds = {
        "frechet_descriptors": ("descriptors", metrics.frechet_distance),
        "spectrum": ("spectra", metrics.spectrum_distance),
    }
    if "features" in real:
        kinds["fid"] = ("features", metrics.frechet_distance)
    figures = {}
    splits = metrics.halves(len(real["descriptors"]), _HALVINGS, seed)
    for name, (look, distance) in kinds.items():
        photographs, faces = real[look], generated[look]
        figures[name] = float(np.mean([distance(faces[a], photographs[b]) for a, b in splits]))
        figures[f"{name}_of_photographs"] = float(
            np.mean([distance(photographs[a], photographs[b]) for a, b in splits])
        )
    figures["spectrum_ratio"] = _ratio(figures["spectrum"], figures["spectrum_of_photographs"])
    if "classes" in real:
        figures["inception_score"] = inception_score(generated["classes"])
        figures["inception_score_of_photographs"] = inception_score(real["classes"])
    return figures


def _ratio(a: float, b: float) -> float:
    return float(a / b) if b else float("nan")


def _mean(values: Any) -> float:
    """The mean of what is known; NaN if nothing is."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else float("nan")


def _plain(values: dict[Any, Any]) -> dict[str, Any]:
    """As JSON takes it."""
    return {
        str(name): value
        if isinstance(value, str)
        else (round(float(value), 6) if np.isfinite(value) else None)
        for name, value in values.items()
    }
