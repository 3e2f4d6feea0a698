"""The metrics of a fresh critic: can it tell edits of single AUs from photographs?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .fresh_critic import KINDS, STEPS, distinguish, floor
from .sample import Sample

MIN_FACES = 30
_MIN_PEOPLE = 6
_MIN_EDITS = 10
"""An AU that was edited on fewer faces has no AUC."""
_WORST = 12
"""Edits of the highest scores that are kept for each kind of critic."""
METRIC_OF_KIND = {"convolutional": "fresh_critic", "statistics": "fresh_critic_statistics"}
"""By the names in `fresh_critic.KINDS`, the keys of the metrics."""
FRESH_CRITICS = {"fresh_critic": "network", "fresh_critic_statistics": "statistics"}
"""By the keys of the metrics, how tables name the two kinds."""


@dataclass(frozen=True)
class SingleAuEdits:
    """Edits of one AU each."""

    faces: np.ndarray
    """(m,): the position in the sample of the face that was edited."""
    aus: np.ndarray
    """(m,): the number of the AU."""
    pictures: np.ndarray
    """(m, 128, 128, 3) uint8: the edited crops."""


@dataclass(frozen=True)
class FreshCritic:
    """What all generators of an evaluation share."""

    seed: int
    steps: int
    floors: dict[str, float]
    """By kind: the AUC of photographs against photographs of other people."""


@dataclass(frozen=True)
class Verdict:
    """What a fresh critic says of the edits of one generator."""

    metrics: dict[str, float]
    """For both kinds: the AUC of all edits, that of the AU with the highest (`_worst`), and that
    of photographs against photographs (`_reference`)."""
    per_au: pd.DataFrame
    """(AUs, kinds) AUC by `AU01` and METRIC_OF_KIND; NaN for an AU with fewer than 10 edits."""
    worst: pd.DataFrame
    """The edits that look most edited: `face` (position in the sample), `AU` (`AU01`), `critic`
    (METRIC_OF_KIND), `score` (in standard deviations of the photographs' scores)."""


def why_not(sample: Sample) -> str | None:
    """Why a fresh critic cannot learn from a sample; None if it can."""
    people = len(set(sample.people))
    if len(sample) >= MIN_FACES and people >= _MIN_PEOPLE:
        return None
    return (
        f"The fresh critic is left out: it needs {MIN_FACES} faces of {_MIN_PEOPLE} people, and "
        f"the sample has {len(sample)} of {people}."
    )


def prepare_fresh_critic(
    sample: Sample,
    seed: int,
    steps: int = STEPS,
    on_start: Callable[[int], None] = lambda total: None,
    on_progress: Callable[[int], None] = lambda count: None,
) -> FreshCritic:
    """Measure the floors. The arguments are those of `evaluate`."""
    on_start(len(KINDS) * len(sample))
    photographs, people = sample.crops(np.arange(len(sample))), np.array(sample.people)
    floors = {}
    for kind in KINDS:
        floors[kind] = floor(photographs, people, kind, seed, steps)
        on_progress(len(sample))
    return FreshCritic(seed, steps, floors)


def criticise(
    critic: FreshCritic,
    sample: Sample,
    edits: SingleAuEdits,
    on_start: Callable[[int], None] = lambda total: None,
    on_progress: Callable[[int], None] = lambda count: None,
) -> Verdict:
    """Train critics to tell a generator's edits from the photographs of the sample."""
    on_start(len(KINDS) * len(edits.faces))
    people = np.array(sample.people)
    photographs = sample.crops(np.arange(len(sample)))
    names = np.array([f"AU{number:02d}" for number in edits.aus])
    values, columns, worst = {}, {}, []
    for kind, name in METRIC_OF_KIND.items():
        found = distinguish(
            photographs,
            edits.pictures,
            people,
            people[edits.faces],
            kind,
            critic.seed,
            critic.steps,
        )
        of_aus = {
            name_of_au: auc
            for name_of_au, auc in found.by(names).items()
            if (names == name_of_au).sum() >= _MIN_EDITS
        }
        columns[name] = pd.Series(of_aus, dtype=float)
        values[name] = found.overall
        values[f"{name}_worst"] = max(of_aus.values(), default=float("nan"))
        values[f"{name}_reference"] = critic.floors[kind]
        order = np.argsort(-found.scores, kind="stable")[:_WORST]
        worst.append(
            pd.DataFrame(
                {
                    "face": edits.faces[order],
                    "AU": names[order],
                    "critic": name,
                    "score": found.scores[order],
                }
            )
        )
        on_progress(len(edits.faces))
    return Verdict(values, pd.DataFrame(columns), pd.concat(worst, ignore_index=True))
