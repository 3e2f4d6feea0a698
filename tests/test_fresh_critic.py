"""The fresh critic tells what is painted from what is photographed, and nothing where all is."""

import numpy as np
import pytest

from ganim.model.evaluation.fresh_critic import KINDS, distinguish, floor


def faces(count: int, seed: int) -> np.ndarray:
    """Smooth pictures (count, 32, 32, 3) that differ in colour and shading."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(60, 200, (count, 4, 4, 3)).astype(np.float32)
    smooth = np.stack([np.kron(one, np.ones((8, 8, 1))) for one in coarse])
    return (smooth + draw.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)


PEOPLE = np.arange(36)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_photographs_cannot_be_told_from_photographs(kind: str) -> None:
    found = distinguish(faces(36, 0), faces(36, 1), PEOPLE, PEOPLE, kind, steps=40)
    assert 0.3 < found.overall < 0.7
    assert found.ranks.shape == found.scores.shape == (36,)
    assert 0.2 < floor(faces(36, 0), PEOPLE, kind, steps=40) < 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_a_painted_patch_is_found_on_other_people_and_by_its_kind(kind: str) -> None:
    photographs, edits = faces(36, 0), np.concatenate([faces(36, 1), faces(20, 2)])
    edits[36:, 20:26, 10:22] = [90, 30, 30]
    people, painted = np.concatenate([PEOPLE, PEOPLE[:20]]), np.arange(56) >= 36
    found = distinguish(photographs, edits, PEOPLE, people, kind, steps=40)
    of_kinds = found.by(painted)
    assert of_kinds[True] > 0.9
    assert of_kinds[False] < 0.75
    assert found.overall == pytest.approx(found.ranks.mean())
    assert (np.argsort(-found.scores)[:10] >= 36).mean() >= 0.8, "the worst are painted"


def test_nobody_is_trained_and_tested_on() -> None:
    """Pictures that carry their person's colour are told apart only by who has seen the person."""
    photographs, people = faces(36, 0), np.repeat(np.arange(12), 3)
    edits = photographs.copy()
    for person in range(12):
        colours = np.random.default_rng(person).integers(0, 255, (2, 3))
        photographs[people == person, 8:24, 8:24] = colours[0]
        edits[people == person, 8:24, 8:24] = colours[1]
    found = distinguish(photographs, edits, people, people, "statistics", steps=40)
    assert found.overall < 0.8
    with pytest.raises(ValueError, match="3 people"):
        distinguish(photographs[:6], edits[:6], people[:6], people[:6])
