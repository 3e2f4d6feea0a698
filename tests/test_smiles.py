"""What is taken from faces of which a smile goes: folds of the cheeks."""

import pytest
import torch
from torch import Tensor

from ganim.model.editing.masks import Masks
from ganim.model.editing.smiles import without_folds, without_smile
from ganim.pipeline.action_units import COUNT, positions

ALL = torch.ones(1, 1, 1, 1)
SMILE, LIPS = positions((12, 25))
SKIN = torch.tensor((0.4, 0.1, -0.1))[:, None, None]


def changes(**values: float) -> Tensor:
    row = torch.zeros(1, COUNT)
    for name, value in values.items():
        row[0, globals()[name]] = value
    return row


def uniform(side: int) -> Tensor:
    return SKIN.expand(3, side, side)[None].clone()


def still(side: int) -> Tensor:
    return torch.zeros(1, 2, side, side)


def part(side: int, rows: tuple[float, float], columns: tuple[float, float]) -> tuple[slice, ...]:
    """Rows and columns of the frame, in half sides from its middle."""
    spans = (slice(*(round((at + 1) / 2 * side) for at in span)) for span in (rows, columns))
    return ..., *spans


def folded(side: int) -> Masks:
    """Skin, over which a dark line and a yellow one are painted in all of its left half."""
    face, colour = uniform(side), uniform(side)
    width = side // 64
    for column in range(0, side // 2, 6 * width):
        colour[..., column : column + width] = -0.5
        yellow = torch.tensor((0.6, 0.5, -0.4))[:, None, None]
        colour[..., column + width : column + 2 * width] = yellow
    attention = torch.ones(1, 1, side, side)
    attention[..., : side // 2] = 0.2
    return Masks(attention, colour, face, still(side))


@pytest.mark.parametrize("side", [128, 160])
def test_cheeks_have_no_folds_when_a_smile_goes(side):
    masks = folded(side)
    used = without_folds(masks, ALL)
    before, after = masks.blend(), used.blend()
    cheek = part(side, (0.35, 0.6), (-0.6, -0.4))
    assert after[cheek].std((2, 3)).max() < 0.3 * before[cheek].std((2, 3)).max()
    lit, skin = after[cheek].mean((0, 2, 3)) + 1, SKIN.flatten() + 1
    torch.testing.assert_close(lit / lit.mean(), skin / skin.mean(), atol=0.02, rtol=0)
    nose, forehead = part(side, (0.1, 0.25), (-0.2, 0.0)), part(side, (-1, -0.2), (-1, 0))
    for kept in (nose, forehead, part(side, (-1, 1), (0.2, 1))):
        assert torch.equal(after[kept], before[kept])


@pytest.mark.parametrize("side", [128, 160])
def test_folds_of_the_photograph_are_blurred_and_its_texture_stays(side):
    face = uniform(side)
    fold = round(0.25 * side)
    texture = 0.02 * torch.randn(1, 1, side, side)
    face += texture
    face[..., fold : fold + 3] -= 0.5
    beside = round(0.05 * side)
    face[..., beside : beside + round(0.12 * side)] = -0.9
    masks = Masks(torch.ones(1, 1, side, side), face, face, still(side))
    used = without_folds(masks, ALL)
    rows = part(side, (0.35, 0.6), (-1, 1))[1]
    assert used.blur is not None
    assert used.blur[..., rows, fold + 1].min() > 0.8
    assert used.blur[..., rows, round(0.8 * side)].max() < 0.2
    line = used.blend()[..., rows, fold + 1].mean()
    assert line > masks.blend()[..., rows, fold + 1].mean() + 0.25
    shadow = (..., rows, slice(beside + 4, beside + round(0.12 * side) - 4))
    # It is no skin, and too wide for a fold.
    torch.testing.assert_close(used.blend()[shadow], face[shadow], atol=0.01, rtol=0)


def test_without_a_fall_everything_stays():
    masks, free = folded(128), torch.ones(1, 1, 64, 64)
    assert without_smile(masks, changes(SMILE=0.5, LIPS=0.5), free) is masks
    assert without_smile(masks, changes(LIPS=-0.5), free) is masks
    two = Masks(*(each.repeat(2, 1, 1, 1) for each in masks[:4]))
    falls = torch.cat([changes(), changes(SMILE=-0.5)])
    used = without_smile(two, falls, free).blend()
    assert torch.equal(used[:1], masks.blend())
    assert (used[1] - used[0]).abs().max() > 0.1
    assert torch.equal(without_smile(two, falls, free * 0).blend(), two.blend())
