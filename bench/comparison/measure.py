"""Measures the trained models and the references alike.

The measures are those of `ganim evaluate` (docs/evaluation.md), on the same held-out faces with the
same targets. What is measured of one model is kept in its folder, and not measured again.
"""

import hashlib
import json
import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganim.model.animation.animator import SHIPPED, Animator, faces_of_crops
from ganim.model.evaluation.evaluate import evaluate_generator
from ganim.model.evaluation.features import FeatureExtractor
from ganim.model.evaluation.fresh_critic_metrics import prepare_fresh_critic, why_not
from ganim.model.evaluation.inception import Inception
from ganim.model.evaluation.pairs import load_pairs
from ganim.model.evaluation.results import Result
from ganim.model.evaluation.sample import Sample, load_sample
from ganim.model.evaluation.table import rises_alone
from ganim.model.landmarks.dlib_models import hog_box
from ganim.model.networks.torch_renderer import TorchRenderer
from ganim.model.training.trainer import WEIGHTS
from ganim.pipeline import shards
from ganim.pipeline.annotator import Annotator
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.faces.crop import CROP_SIZE
from ganim.pipeline.files import write_whole

from .budget import seconds
from .models import ALL, REFERENCES, reference, trained
from .train import RUN

MEASURES = "measures.json"
RESULTS = "results.json"
_FRAMES = 20
_VERSION = 19
"""Raised when the code makes other pictures of the same weights (model/networks, model/animation,
pipeline/faces) or measures them otherwise: all is measured again."""


@dataclass(frozen=True)
class Settings:
    """What the measures depend on beside weights and faces."""

    faces: int = 60
    seed: int = 0
    fresh_critic_steps: int = 400
    """0: no fresh critic."""
    inception: str | None = None
    """A file of weights; without it FID and Inception Score are left out."""


@dataclass(frozen=True)
class Contender:
    """What is measured: a run, or a reference."""

    title: str
    folder: Path
    """Where its measures are kept."""
    weights: Path | None
    load: Callable[[torch.device], Animator]
    run: dict[str, Any] | None
    """run.json; None for a reference."""


def contenders(out: Path) -> list[Contender]:
    """The runs below a folder that are finished, in the order of ALL, then the references.

    Raises WrongUse if there is none.
    """
    found = []
    for name, model in ALL.items():
        for folder in sorted(out.glob(f"{name}-[0-9]*")):
            if not (folder / RUN).exists():
                continue
            run = json.loads((folder / RUN).read_text())
            weights, seed = folder / WEIGHTS, run["asked"]["seed"]
            title = model.title + (f", seed {seed}" if seed else "")

            def load(device: torch.device, name: str = name, weights: Path = weights) -> Animator:
                return trained(name, weights, device)

            found.append(Contender(title, folder, weights, load, run))
    if not found:
        raise WrongUse(f"{out} holds no finished run. Train first: bench/compare.py train")
    for name, title in REFERENCES.items():

        def load_reference(device: torch.device, name: str = name) -> Animator:
            return reference(name, device)

        shipped = None if name == "copy" else SHIPPED
        found.append(Contender(title, out / name, shipped, load_reference, None))
    return found


def evaluate(
    out: Path,
    folder: Path,
    annotator: Annotator,
    settings: Settings,
    device: torch.device,
    on_start: Callable[[int], None] = lambda total: None,
    on_progress: Callable[[int], None] = lambda count: None,
) -> list[dict[str, Any]]:
    """Measure all contenders below `out` on the test split of the shard set `folder`.

    on_start, on_progress: as those of `evaluation.evaluate`.

    Returns a row for each: its title, what run.json says of it, and its measures. Writes them to
    results.json. Raises WrongUse and NothingUsable as `evaluation.evaluate` does.
    """
    rows, known = [], contenders(out)
    keys = [_key(one, folder, annotator, settings) for one in known]
    measures = [_kept(one, key) for one, key in zip(known, keys, strict=True)]
    if not all(measures):
        network = (
            None if settings.inception is None else Inception(Path(settings.inception), device)
        )
        extractor = FeatureExtractor(annotator, hog_box(folder, CROP_SIZE), network)
        sample = load_sample(
            folder, settings.faces, settings.seed, extractor, on_start, on_progress
        )
        pairs = load_pairs(folder, settings.seed, sample.aus)
        critic = None
        if settings.fresh_critic_steps and why_not(sample) is None:
            critic = prepare_fresh_critic(
                sample, settings.seed, settings.fresh_critic_steps, on_start, on_progress
            )
        for index, (one, key) in enumerate(zip(known, keys, strict=True)):
            if measures[index] is None:
                animator = one.load(device)
                result = evaluate_generator(
                    animator, sample, extractor, settings.seed, on_start, on_progress, pairs, critic
                )
                measures[index] = {"key": key} | _measures(result, sample, device)
                _write(one.folder / MEASURES, measures[index])
    for one, measured in zip(known, measures, strict=True):
        assert measured is not None
        run = None
        if one.run is not None:
            run = {name: value for name, value in one.run.items() if name != "settings"}
        rows.append({"title": one.title, "run": run, **measured})
    _write(out / RESULTS, rows)
    return rows


def _key(
    contender: Contender, folder: Path, annotator: Annotator, settings: Settings
) -> dict[str, Any]:
    """What the measures of a contender depend on."""
    weights = contender.weights
    return {
        "version": _VERSION,
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest() if weights else None,
        "shards": [
            [path.name, path.stat().st_size]
            for path in shards.shard_paths(folder)
            if path.name.startswith("test")
        ],
        "annotator": annotator.name,
        **asdict(settings),
    }


def _kept(contender: Contender, key: dict[str, Any]) -> dict[str, Any] | None:
    """The measures in a contender's folder, if they are of this key."""
    path = contender.folder / MEASURES
    if path.exists():
        measured: dict[str, Any] = json.loads(path.read_text())
        if measured["key"] == key:
            return measured
    return None


def _measures(result: Result, sample: Sample, device: torch.device) -> dict[str, Any]:
    animator, single = result.animator, result.per_au
    assert isinstance(animator.renderer, TorchRenderer)
    metrics = result.metrics | {
        "increase": float(single["increase"].mean()),
        "leakage": float(single["leakage"].mean()),
        "leakage_other_regions": float(single["leakage_other_regions"].mean()),
        "single_aus": float(sum(rises_alone(result).values())),
        "frames_per_second": _speed(animator, sample, device),
    }
    return {
        "faces": len(sample),
        "parameters": sum(weight.numel() for weight in animator.renderer.network.parameters()),
        "metrics": {
            name: round(float(value), 6) if math.isfinite(value) else None
            for name, value in metrics.items()
        },
        "increase_by_au": {
            str(name): round(float(value), 3) if np.isfinite(value) else None
            for name, value in single["increase"].items()
        },
    }


def _speed(animator: Animator, sample: Sample, device: torch.device) -> float:
    """Crops of 128 px that are edited in a second, one by one; a second of `budget.seconds`."""
    crop, own = sample.crops(np.array([0])), sample.own_aus[:1]
    target = np.clip(own + 0.5, 0, 1)
    took = []
    for _ in range(_FRAMES):
        began = seconds(device)
        animator.render_batch(crop, faces_of_crops(own), target)
        took.append(seconds(device) - began)
    return 1 / statistics.median(took)


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, allow_nan=False)
    write_whole(path, lambda beside: beside.write_text(text))
