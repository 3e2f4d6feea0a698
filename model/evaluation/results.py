"""The results of an evaluation, and their JSON file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import __version__
from ...pipeline.files import write_whole
from ..animation.animator import Animator
from .sample import Sample


@dataclass(frozen=True)
class Result:
    """The metrics of one generator."""

    animator: Animator
    metrics: dict[str, float]
    """By name, as `table.METRICS` lists them. NaN if a metric could not be measured."""
    per_au: pd.DataFrame
    """One row per AU (`AU01`). For random targets: `r` (correlation of target and measured
    intensity), `r_reference` (of the photographs whose AUs are the targets), `target_sd` (standard
    deviation of the targets, 0-5), `expression_distance` (0-5). For edits of this AU only:
    `inactive_faces` (number of faces that were edited), `increase`, `leakage`,
    `leakage_other_regions` (0-1), and the AUC of a fresh critic if one was trained:
    `fresh_critic`, `fresh_critic_statistics`."""
    per_face: pd.DataFrame
    """One row per face, for random targets: `key`, `expression_distance` (0-5),
    `identity_distance`."""
    spectrum: np.ndarray
    """(frequencies,): mean radial spectrum of the generated faces in dB."""
    worst_edits: pd.DataFrame
    """The edits of single AUs that a fresh critic finds most edited (`Verdict.worst`); empty
    without one."""


@dataclass(frozen=True)
class Evaluation:
    """The results of one or more generators for the same faces and targets."""

    folder: Path
    """The shard set."""
    seed: int
    annotator: str
    """Name and version of the annotator that measured the AUs."""
    sample: Sample
    results: list[Result]
    left_out: list[str]
    """A sentence for each part that was left out for lack of faces."""

    def write_json(self, path: Path) -> None:
        """Write all metrics to a JSON file. A metric that could not be measured is null."""
        record = {
            "ganim": __version__,
            "shards": str(self.folder),
            "annotator": self.annotator,
            "faces": len(self.sample),
            "unreadable": self.sample.unreadable,
            "seed": self.seed,
            "aus": self.sample.aus,
            "left_out": self.left_out,
            "generators": [
                {
                    "weights": result.animator.weights.name,
                    "sha256": result.animator.fingerprint,
                    "size": result.animator.renderer.size,
                    "metrics": _json_values(result.metrics),
                    "action_units": {
                        str(name): _json_values(dict(row)) for name, row in result.per_au.iterrows()
                    },
                    "worst_edits": [
                        {"key": self.sample.keys[int(row["face"])]}
                        | _json_values(dict(row.drop("face")))
                        for _, row in result.worst_edits.iterrows()
                    ],
                    "faces": [_json_values(dict(row)) for _, row in result.per_face.iterrows()],
                }
                for result in self.results
            ],
        }
        text = json.dumps(record, indent=1, allow_nan=False)
        write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def _json_values(values: dict[Any, Any]) -> dict[str, Any]:
    """Round numbers to six decimals; None for NaN and infinity, which JSON does not have."""
    return {
        str(name): value
        if isinstance(value, str)
        else (round(float(value), 6) if np.isfinite(value) else None)
        for name, value in values.items()
    }
