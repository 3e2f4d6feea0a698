"""Evaluate generators on the test split of a shard set.

The evaluated pictures are those that users get: crops of 128 px to which the change of the
generator was applied as in `ganim animate`. docs/evaluation.md explains all metrics.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ...pipeline.action_units import MAX_INTENSITY, in_words, positions
from ...pipeline.annotator import Annotator
from ...pipeline.errors import WrongUse
from ...pipeline.faces.crop import CROP_SIZE
from ...pipeline.faces.identity import SAME_PERSON
from ..animation.animator import Animator, faces_of_crops
from ..landmarks.dlib_models import hog_box
from . import metrics
from .features import Arrays, FeatureExtractor, batches, concatenate, encode_png
from .fresh_critic import STEPS
from .fresh_critic_metrics import (
    FreshCritic,
    SingleAuEdits,
    criticise,
    prepare_fresh_critic,
    why_not,
)
from .inception import Inception
from .metrics import known_mean
from .pairs import Pairs, evaluate_pairs, load_pairs
from .results import Evaluation, Result
from .sample import Sample, load_sample

SINGLE_AU_TARGET = 0.8
"""The value, 0-1, to which a single AU is set while the others keep their values."""
INACTIVE_BELOW = 0.2
"""Single AUs are edited on faces on which the annotator reads less than this, 0-1."""
_MAX_INACTIVE = 100  # faces for each single AU
_SPLITS = 10  # random halves for distances between sets


def evaluate(
    folder: Path,
    weights: Sequence[Path],
    annotator: Annotator,
    max_faces: int = 500,
    seed: int = 0,
    inception: Path | None = None,
    device: torch.device | None = None,
    on_start: Callable[[int], None] = lambda total: None,
    on_progress: Callable[[int], None] = lambda count: None,
    fresh_critic: bool = True,
    fresh_critic_steps: int = STEPS,
) -> Evaluation:
    """Evaluate generators on the same faces of the test split, with the same targets.

    Only the AUs that all generators know are edited and measured.

    Args:
        folder: an annotated shard set.
        weights: files of generator weights.
        annotator: measures the AUs before and after.
        max_faces: the number of faces, if the split has as many.
        seed: decides the faces, the targets and the random halves.
        inception: weights of Inception v3; without them FID and Inception Score are left out.
        device: where the networks compute; a GPU by default if there is one.
        on_start, on_progress: are called with the number of pictures of the next stage, and with
            the number of each batch that was processed.
        fresh_critic: whether networks are trained to tell edits from photographs, which takes
            minutes.
        fresh_critic_steps: optimiser steps of each of these trainings.

    Raises WrongUse if a file does not contain weights, if there is no AU that all generators know,
    or if the split has fewer than two faces; NothingUsable if the annotator reads fewer than two.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    animators = [Animator(path, device) for path in weights]
    aus = _common_aus(animators)
    network = None if inception is None else Inception(inception, device)
    extractor = FeatureExtractor(annotator, hog_box(folder, CROP_SIZE), network)
    sample = load_sample(folder, max_faces, seed, extractor, on_start, on_progress, aus)
    left_out = []
    pairs = load_pairs(folder, seed, aus)
    if pairs is None:
        left_out.append(
            f"Pairs are left out: the test split of {folder} has no series of two photographs or "
            "more. Prepare some with --series."
        )
    critic = None
    if fresh_critic:
        reason = why_not(sample)
        if reason:
            left_out.append(reason)
        else:
            critic = prepare_fresh_critic(sample, seed, fresh_critic_steps, on_start, on_progress)
    results = [
        evaluate_generator(animator, sample, extractor, seed, on_start, on_progress, pairs, critic)
        for animator in animators
    ]
    return Evaluation(folder, seed, annotator.name, sample, results, left_out)


def _common_aus(animators: Sequence[Animator]) -> tuple[int, ...]:
    first, *others = (animator.renderer.aus for animator in animators)
    common = tuple(number for number in first if all(number in other for other in others))
    if not common:
        raise WrongUse(
            "There is no AU that both generators know: one knows "
            f"{', the other '.join(in_words(one) for one in (first, *others))}."
        )
    return common


def evaluate_generator(
    animator: Animator,
    sample: Sample,
    extractor: FeatureExtractor,
    seed: int = 0,
    on_start: Callable[[int], None] = lambda total: None,
    on_progress: Callable[[int], None] = lambda count: None,
    pairs: Pairs | None = None,
    critic: FreshCritic | None = None,
) -> Result:
    """Compute all metrics of one generator. The arguments are those of `evaluate`.

    Without `pairs` or `critic` their metrics are left out.
    """
    columns = positions(sample.aus)
    inactive = [
        np.flatnonzero(values < INACTIVE_BELOW)[:_MAX_INACTIVE]
        for values in sample.own_aus[:, columns].T
    ]
    on_start(3 * len(sample) + sum(len(indices) for indices in inactive))
    generated = concatenate(
        [
            _random_targets(animator, sample, extractor, batch, on_progress)
            for batch in batches(np.arange(len(sample)))
        ]
    )
    target, own, measured, reference = (
        aus[:, columns]
        for aus in (sample.target_aus, sample.own_aus, generated["aus"], sample.reference_aus)
    )
    distance = metrics.expression_distance(target, measured)
    identity = np.linalg.norm(generated["descriptors"] - sample.features["descriptors"], axis=1)
    single, edits = _single_aus(
        animator, sample, extractor, inactive, on_progress, keep=critic is not None
    )
    per_au = single.assign(
        r=metrics.correlations(target, measured),
        r_reference=metrics.correlations(target, reference),
        target_sd=target.std(0) * MAX_INTENSITY,
        expression_distance=[known_mean(e) * MAX_INTENSITY for e in np.abs(target - measured).T],
    )
    unedited = known_mean(metrics.expression_distance(target, own)[~np.isnan(distance)])
    values = {
        "expression_distance": known_mean(distance),
        "expression_distance_reference": float(
            metrics.expression_distance(target, reference).mean()
        ),
        "expression_distance_unedited": unedited,
        "expression_distance_ratio": _ratio(unedited, known_mean(distance)),
        "correlation": known_mean(per_au["r"]),
        "correlation_reference": known_mean(per_au["r_reference"]),
        "unreadable": float(np.isnan(distance).mean()),
        "identity_distance": float(identity.mean()),
        "same_person": float((identity < SAME_PERSON).mean()),
        **{
            name: float(generated[name].mean())
            for name in (
                "reconstruction_psnr",
                "reconstruction_ssim",
                "reconstruction_identical",
                "cycle_psnr",
                "attention",
                "attention_kept",
                "attention_replaced",
            )
        },
        **_set_metrics(sample.features, generated, seed),
    }
    per_face = pd.DataFrame(
        {"key": sample.keys, "expression_distance": distance, "identity_distance": identity}
    )
    if pairs is not None:
        on_start(len(pairs))
        values |= evaluate_pairs(animator, pairs, on_progress)
    worst_edits = pd.DataFrame()
    if critic is not None and edits is not None:
        verdict = criticise(critic, sample, edits, on_start, on_progress)
        values |= verdict.metrics
        per_au = per_au.join(verdict.per_au)
        worst_edits = verdict.worst
    return Result(animator, values, per_au, per_face, generated["spectra"].mean(0), worst_edits)


def _random_targets(
    animator: Animator,
    sample: Sample,
    extractor: FeatureExtractor,
    batch: np.ndarray,
    on_progress: Callable[[int], None],
) -> Arrays:
    """Render faces with the AUs of other faces, from there with their own again (the cycle), and
    with their own directly (the reconstruction); measure the results.

    Returns AUs, features, PSNR, SSIM and attention, one row per face.
    """
    crops, own = sample.crops(batch), sample.own_aus[batch]
    target = sample.target_aus[batch]
    edited = animator.render_batch(crops, faces_of_crops(own), target)
    cycle = animator.render_batch(edited.pictures, faces_of_crops(target), own)
    reconstruction = animator.render_batch(crops, faces_of_crops(own), own)
    arrays = {
        "aus": extractor.aus(encode_png(edited.pictures)),
        "reconstruction_identical": (np.stack(reconstruction.pictures) == crops).all((1, 2, 3)),
        "cycle_psnr": metrics.psnr(np.stack(cycle.pictures), crops),
        "reconstruction_psnr": metrics.psnr(np.stack(reconstruction.pictures), crops),
        "reconstruction_ssim": metrics.ssim(np.stack(reconstruction.pictures), crops),
        "attention": edited.attention.mean((1, 2)),
        "attention_kept": (edited.attention > 0.99).mean((1, 2)),
        "attention_replaced": (edited.attention < 0.01).mean((1, 2)),
    }
    on_progress(3 * len(batch))
    return arrays | extractor.features(np.stack(edited.pictures))


def _single_aus(
    animator: Animator,
    sample: Sample,
    extractor: FeatureExtractor,
    inactive: list[np.ndarray],
    on_progress: Callable[[int], None],
    keep: bool,
) -> tuple[pd.DataFrame, SingleAuEdits | None]:
    """Set each AU alone to SINGLE_AU_TARGET.

    inactive: for each AU, the indices of the faces to edit. keep: whether to return the edits.

    Returns the columns for single AUs of `Result.per_au`, and the edits.
    """
    rows, kept = [], []
    for number, column, indices in zip(sample.aus, positions(sample.aus), inactive, strict=True):
        files: list[bytes] = []
        for batch in batches(indices):
            own = sample.own_aus[batch]
            target = own.copy()
            target[:, column] = SINGLE_AU_TARGET
            rendered = animator.render_batch(sample.crops(batch), faces_of_crops(own), target)
            files += encode_png(rendered.pictures)
            if keep:
                kept += rendered.pictures
            on_progress(len(batch))
        change = extractor.aus(files) - sample.own_aus[indices]
        leakage, other_regions = metrics.leakage(change, number)
        rows.append(
            {
                "AU": f"AU{number:02d}",
                "inactive_faces": len(change),
                "increase": known_mean(change[:, column]),
                "leakage": leakage,
                "leakage_other_regions": other_regions,
            }
        )
    edits = None
    if kept:
        counts = [len(indices) for indices in inactive]
        edits = SingleAuEdits(
            np.concatenate(inactive), np.repeat(sample.aus, counts), np.stack(kept)
        )
    return pd.DataFrame(rows).set_index("AU"), edits


def _set_metrics(real: Arrays, generated: Arrays, seed: int) -> dict[str, float]:
    """Distances between the set of generated and the set of real faces, and Inception Scores.

    Each distance is the mean over random halves of the faces: generated faces of one half against
    real faces of the other, so that no face is compared with itself. The reference compares the
    real faces of both halves, which are as many.
    """
    distances = {
        "frechet_descriptor_distance": ("descriptors", metrics.frechet_distance),
        "spectral_distance": ("spectra", metrics.spectral_distance),
    }
    if "inception" in real:
        distances["fid"] = ("inception", metrics.frechet_distance)
    values = {}
    halves = metrics.random_halves(len(real["descriptors"]), _SPLITS, seed)
    for name, (feature, distance) in distances.items():
        photographs, faces = real[feature], generated[feature]
        values[name] = float(np.mean([distance(faces[a], photographs[b]) for a, b in halves]))
        values[f"{name}_reference"] = float(
            np.mean([distance(photographs[a], photographs[b]) for a, b in halves])
        )
    values["spectral_distance_ratio"] = _ratio(
        values["spectral_distance"], values["spectral_distance_reference"]
    )
    if "logits" in real:
        values["inception_score"] = metrics.inception_score(generated["logits"])
        values["inception_score_reference"] = metrics.inception_score(real["logits"])
    return values


def _ratio(a: float, b: float) -> float:
    return a / b if b else float("nan")
