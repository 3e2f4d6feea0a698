"""What the generator paints of cheeks is shown in part."""

import torch
from torch import Tensor

from ganim.model.editing.cheeks import with_fainter_cheeks
from ganim.model.editing.masks import Masks
from ganim.model.warp import coordinates
from ganim.pipeline.action_units import COUNT, positions

SIDE = 80


def painted() -> Masks:
    """Masks that paint white over half of a black face."""
    face = -torch.ones(2, 3, SIDE, SIDE)
    return Masks(torch.full((2, 1, SIDE, SIDE), 0.5), face + 2, face)


def changed(by: float, *aus: int) -> Tensor:
    change = torch.zeros(2, COUNT)
    change[:, positions(aus)] = by
    return change


SMILE = changed(0.5, 12)


def test_cheeks_are_painted_less_and_most_so_below_the_eyes():
    before, after = painted().blend() + 1, with_fainter_cheeks(painted(), SMILE).blend() + 1
    x, y = coordinates(before[:1]).split(1, 1)
    share = (after / before)[:1, :1]
    under_eyes = share[(x.abs() < 0.5) & (y > -0.04) & (y < 0.0)]
    beside_mouth = share[(x.abs() > 0.42) & (x.abs() < 0.6) & (y > 0.4) & (y < 0.7)]
    assert under_eyes.min() > 0.1 and under_eyes.max() < 0.3
    assert beside_mouth.min() > 0.5 and beside_mouth.max() < 0.7


def test_folds_that_vanish_are_painted_as_before():
    before, smile = painted().blend(), with_fainter_cheeks(painted(), SMILE).blend()
    assert torch.equal(with_fainter_cheeks(painted(), -SMILE).blend(), before)
    both = with_fainter_cheeks(painted(), changed(0.5, 12) + changed(-0.5, 9)).blend()
    torch.testing.assert_close(both, (before + smile) / 2)
    assert torch.equal(with_fainter_cheeks(painted(), changed(0.5, 1, 4, 25)).blend(), before)


def test_lips_brows_and_the_border_are_painted_as_before():
    before, after = painted().blend(), with_fainter_cheeks(painted(), SMILE).blend()
    x, y = coordinates(before[:1]).split(1, 1)
    lips = (x.abs() < 0.2) & (y > 0.55) & (y < 0.7)
    for place in (lips, (y < -0.2).expand_as(lips), (x.abs() > 0.8).expand_as(lips)):
        there = place.expand_as(before)
        assert torch.equal(after[there], before[there])


def test_faces_that_are_not_painted_stay_as_they_are():
    masks = painted().without_paint()
    assert torch.equal(with_fainter_cheeks(masks, SMILE).blend(), masks.face)
