"""Check the statistics of a shard set for problems, and describe them in sentences."""

from collections.abc import Iterator
from dataclasses import dataclass

from .. import shards
from ..action_units import COLUMNS, MAX_INTENSITY
from .statistics import AuStatistics, Statistics

_FEW_FACES = 2000
_LOW_SCORE = 0.3
_LOW_CONFIDENCE = 0.8
_MANY_SINGLE = 0.2


@dataclass(frozen=True)
class Finding:
    """A sentence about a shard set."""

    text: str
    is_problem: bool = True
    """Whether something is probably wrong. Otherwise the sentence is for information."""


def list_findings(statistics: Statistics) -> list[Finding]:
    """Return the findings, in the order of the steps prepare, annotate and train."""
    if not statistics.photographs:
        return [Finding("There is no photograph in this set. Check --src of ganim prepare.")]
    found = [*_photographs(statistics), *_faces(statistics), *_annotation(statistics)]
    aus = statistics.au_statistics()
    return found + (list(_action_units(statistics, aus)) if aus else [])


def _photographs(statistics: Statistics) -> Iterator[Finding]:
    shares = {
        status: statistics.count(status) / statistics.photographs
        for status in statistics.statuses
        if status not in (shards.OK, shards.NO_AUS)
    }
    limits = {
        shards.NO_FACE: (
            0.2,
            "gave no face. The detector finds upright frontal faces of 80 px or more.",
        ),
        shards.UNREADABLE: (0.02, "cannot be read. The reasons are listed below."),
        shards.TOO_LARGE: (0.02, "are too large to be read. Reduce their size first."),
        shards.TOO_SMALL: (0.2, "have only faces smaller than --min-face."),
        shards.DUPLICATE: (0.2, "are copies of others, and were used only once."),
    }
    for status, (limit, text) in limits.items():
        if shares.get(status, 0) > limit:
            yield Finding(f"{shares[status]:.0%} of the photographs {text}")
    if not len(statistics.faces):
        yield Finding("No photograph gave a face, so there is nothing to annotate or train on.")


def _faces(statistics: Statistics) -> Iterator[Finding]:
    faces = statistics.faces
    if not len(faces):
        return
    size = statistics.settings.get("size")
    if size and (enlarged := float((faces["crop_px"] < size).mean())) > 0.5:
        yield Finding(
            f"{enlarged:.0%} of the faces are smaller in their photograph than the crop of "
            f"{size} px. They were enlarged, so they are blurred."
        )
    low = float((faces["detection_score"] < _LOW_SCORE).mean())
    if low > 0.05:
        yield Finding(
            f"{low:.0%} of the faces were found with a score under {_LOW_SCORE:g}. Some may not "
            "be faces: check those with the lowest scores."
        )
    if len(faces) < _FEW_FACES:
        yield Finding(
            f"{len(faces):,} faces are few to train a generator from random weights. Faces in "
            "series can start from the weights that ship: ganim train --paired 0.6 --init shipped.",
            is_problem=False,
        )
    series = statistics.series
    if len(series) and (single := int((series["faces"] == 1).sum())):
        yield Finding(
            f"{single:,} of {len(series):,} series have one face only. To learn from pairs, a "
            "series needs two or more.",
            is_problem=single > _MANY_SINGLE * len(series),
        )
    if statistics.settings.get("test_fraction") and not (faces["split"] == "test").any():
        yield Finding("The test split has no face, because the set is small.", is_problem=False)


def _annotation(statistics: Statistics) -> Iterator[Finding]:
    faces, annotated = len(statistics.faces), statistics.annotated
    annotators = statistics.annotators
    if not faces:
        return
    failed = statistics.count(shards.NO_AUS)
    missing = faces - len(annotated) - failed
    if missing == faces:
        yield Finding("No face has action units yet. Next: ganim annotate.", is_problem=False)
        return
    if missing:
        yield Finding(f"{missing:,} of {faces:,} faces have no action units yet: ganim annotate.")
    if failed / faces > 0.05:
        yield Finding(
            f"The annotator could not read the action units of {failed / faces:.0%} of the faces."
        )
    absent = [column[:4] for column in COLUMNS if column not in statistics.columns]
    if absent and statistics.columns:
        yield Finding(
            f"The labels have no {_join(absent)}. A model is trained on the other "
            f"{len(statistics.columns)} AUs.",
            is_problem=False,
        )
    if len(annotators) > 1:
        yield Finding(
            f"The action units are by different annotators: {' and '.join(annotators)}. Training "
            "needs those of one."
        )
    elif annotators and annotators[0].startswith("ganim estimator"):
        yield Finding(
            f"All action units are by {annotators[0]}, not by OpenFace. They are less exact, but "
            "good enough for experiments.",
            is_problem=False,
        )
    confidence = annotated["au_confidence"].dropna()
    if len(confidence) and (low := float((confidence < _LOW_CONFIDENCE).mean())) > 0.05:
        yield Finding(
            f"The annotator's confidence is under {_LOW_CONFIDENCE:g} for {low:.0%} of the faces."
        )


def _action_units(statistics: Statistics, aus: list[AuStatistics]) -> Iterator[Finding]:
    if min(au.min for au in aus) < 0 or max(au.max for au in aus) > MAX_INTENSITY:
        yield Finding("Some action units are outside their range, 0 to 5.")
    if max(au.max for au in aus) <= 1:
        yield Finding("No action unit is above 1. The range is 0 to 5: are the labels 0 to 1?")
        return
    constant = [au.column for au in aus if au.std < 0.01]
    if constant:
        yield Finding(
            f"{_join(constant)} {_has(constant)} one value in all faces, so a model cannot learn "
            f"{_it(constant)}."
        )
    rare = [au.column for au in aus if au.above_1 < 0.005 and au.column not in constant]
    if rare:
        yield Finding(
            f"{_join(rare)} {'is' if len(rare) == 1 else 'are'} above 1 in fewer than 1 of 200 "
            f"faces, so a model will hardly learn {_it(rare)}."
        )
    for one, other, r in statistics.strongest_correlations():
        if abs(r) > 0.95:
            yield Finding(f"{one} and {other} are nearly the same label (r = {r:.2f}).")


def _has(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
