"""The fresh critic tells what is painted from what is photographed, and nothing where all is."""

import numpy as np
import pytest

from ganim.model.evaluation.fresh_critic import KINDS, distinguish


def faces(count: int, seed: int) -> np.ndarray:
    """Smooth pictures (count, 32, 32, 3) that differ in colour and shading."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(60, 200, (count, 4, 4, 3)).astype(np.float32)
    smooth = np.stack([np.kron(one, np.ones((8, 8, 1))) for one in coarse])
    return (smooth + draw.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_photographs_cannot_be_told_from_photographs(kind: str) -> None:
    found = distinguish(faces(36, 0), faces(36, 1)[:, None], kind, steps=40)
    assert 0.3 < found.overall < 0.7
    assert found.by_edit.shape == (1,) and found.scores.shape == (36, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_painted_patch_is_found_on_other_people_and_by_its_kind(kind: str) -> None:
    photographs = faces(36, 0)
    edits = np.stack([faces(36, 1), faces(36, 2)], 1)
    edits[:, 1, 20:26, 10:22] = [90, 30, 30]
    found = distinguish(photographs, edits, kind, steps=40)
    assert found.by_edit[1] > 0.9
    assert found.by_edit[0] < 0.75
    assert found.overall == pytest.approx(found.by_edit.mean())
