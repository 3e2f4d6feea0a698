"""What is taken from faces of which a smile goes: folds of the cheeks."""

import pytest
import torch
from torch import Tensor

from ganim.model.networks.masks import Masks
from ganim.model.networks.smiles import without_folds, without_smile
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
    assert used.blur is not None and used.blur[cheek].min() > 0.9
    nose, forehead = part(side, (0.1, 0.25), (-0.2, 0.0)), part(side, (-1, -0.2), (-1, 0))
    for kept in (nose, forehead, part(side, (-1, 1), (0.2, 1))):
        assert torch.equal(after[kept], before[kept]) and not used.blur[kept].any()


def test_without_a_fall_everything_stays():
    masks = folded(128)
    assert without_smile(masks, changes(SMILE=0.5, LIPS=0.5)) is masks
    assert without_smile(masks, changes(LIPS=-0.5)) is masks
    two = Masks(*(each.repeat(2, 1, 1, 1) for each in masks[:4]))
    used = without_smile(two, torch.cat([changes(), changes(SMILE=-0.5)])).blend()
    assert torch.equal(used[:1], masks.blend())
    assert (used[1] - used[0]).abs().max() > 0.1
