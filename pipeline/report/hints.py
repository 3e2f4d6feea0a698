"""What a look at the figures of a shard set would make one say, in plain sentences."""

from collections.abc import Iterator
from dataclasses import dataclass

from .. import shards
from .statistics import ActionUnit, Figures

_FEW_FACES = 2000
_WEAK_SCORE = 0.3
_LOW_CONFIDENCE = 0.8


@dataclass(frozen=True)
class Hint:
    """A sentence, and whether it tells of something wrong or only of something to know."""

    text: str
    wrong: bool = True


def hints(figures: Figures) -> list[Hint]:
    """What looks wrong or is good to know, in the order of the work."""
    if not figures.photographs:
        return [Hint("There is no photograph in this set. Check --src of ganim prepare.")]
    found = [*_photographs(figures), *_faces(figures), *_annotation(figures)]
    units = figures.action_units()
    return found + (list(_action_units(figures, units)) if units else [])


def _photographs(figures: Figures) -> Iterator[Hint]:
    shares = {
        status: figures.count(status) / figures.photographs
        for status in figures.statuses
        if status not in (shards.OK, shards.NO_AUS)
    }
    says = {
        shards.NO_FACE: (0.2, "gave no face: are they portraits, upright, of 80 px or more?"),
        shards.UNREADABLE: (0.02, "cannot be read: see the reasons below."),
        shards.TOO_LARGE: (0.02, "are too large to be read: shrink them first."),
        shards.TOO_SMALL: (0.2, "show only faces that are smaller than --min-face."),
        shards.DUPLICATE: (0.2, "are there more than once; each was taken once."),
    }
    for status, (limit, text) in says.items():
        if shares.get(status, 0) > limit:
            yield Hint(f"{shares[status]:.0%} of the photographs {text}")
    if not len(figures.faces):
        yield Hint("No photograph gave a face, so there is nothing to annotate or train on.")


def _faces(figures: Figures) -> Iterator[Hint]:
    faces = figures.faces
    if not len(faces):
        return
    size = figures.settings.get("size")
    if size and (enlarged := float((faces["crop_px"] < size).mean())) > 0.5:
        yield Hint(
            f"{enlarged:.0%} of the faces are smaller in their photograph than the crop of "
            f"{size} px: they are enlarged, and look soft."
        )
    weak = float((faces["detection_score"] < _WEAK_SCORE).mean())
    if weak > 0.05:
        yield Hint(
            f"{weak:.0%} of the faces were found with a score under {_WEAK_SCORE:g}: some may be "
            "no faces. Look at the lowest-scored."
        )
    if len(faces) < _FEW_FACES:
        yield Hint(
            f"{len(faces):,} faces are few to train on from nothing: start from the weights that "
            "ship (ganim train --init shipped).",
            wrong=False,
        )
    if figures.settings.get("test_fraction") and not (faces["split"] == "test").any():
        yield Hint("No face is set apart for testing: the set is small.", wrong=False)


def _annotation(figures: Figures) -> Iterator[Hint]:
    faces, annotated, annotators = len(figures.faces), figures.annotated, figures.annotators
    if not faces:
        return
    refused = figures.count(shards.NO_AUS)
    open_ = faces - len(annotated) - refused
    if open_ == faces:
        yield Hint("No face has action units yet. Next: ganim annotate.", wrong=False)
        return
    if open_:
        yield Hint(f"{open_:,} of {faces:,} faces have no action units yet: ganim annotate.")
    if refused / faces > 0.05:
        yield Hint(f"Of {refused / faces:.0%} of the faces no action units could be read.")
    if len(annotators) > 1:
        yield Hint(f"Action units by {' and by '.join(annotators)} are mixed.")
    elif annotators and annotators[0].startswith("ganim estimator"):
        yield Hint(
            f"All action units are by {annotators[0]}, not by OpenFace: good enough to try "
            "things out, less exact.",
            wrong=False,
        )
    confidence = annotated["au_confidence"].dropna()
    if len(confidence) and (low := float((confidence < _LOW_CONFIDENCE).mean())) > 0.05:
        yield Hint(
            f"Of {low:.0%} of the faces the annotator's confidence is under {_LOW_CONFIDENCE:g}."
        )


def _action_units(figures: Figures, units: list[ActionUnit]) -> Iterator[Hint]:
    if min(unit.least for unit in units) < 0 or max(unit.most for unit in units) > 5:
        yield Hint("Some action units lie outside 0 to 5, which no annotator should write.")
    if max(unit.most for unit in units) <= 1:
        yield Hint("No action unit passes 1 of 5: were the labels 0 to 1 instead of 0 to 5?")
        return
    constant = [unit.column for unit in units if unit.sd < 0.01]
    if constant:
        yield Hint(
            f"{_listed(constant)} {'is' if len(constant) == 1 else 'are'} the same in every face: "
            "nothing can be learned of it."
        )
    rare = [u.column for u in units if u.above_1 < 0.005 and u.column not in constant]
    if rare:
        yield Hint(
            f"{_listed(rare)} {'passes' if len(rare) == 1 else 'pass'} 1 in fewer than 1 face of "
            "200: a model will hardly learn it."
        )
    for one, other, r in figures.strongest_correlations():
        if abs(r) > 0.95:
            yield Hint(f"{one} and {other} are nearly the same label (r = {r:.2f}).")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
