"""The skin below lips that close."""

import pytest
import torch

from ganim.model.editing.chins import with_chin_of_skin
from ganim.model.editing.masks import Masks

SKIN, RED = (
    torch.tensor(colour)[:, None, None] for colour in ((0.4, 0.1, -0.1), (0.3, -0.3, -0.3))
)


@pytest.mark.parametrize("side", [128, 160])
def test_stretched_skin_gets_the_colours_of_the_skin_around(side: int) -> None:
    face = SKIN.expand(3, side, side)[None].clone()
    chin = slice(round(0.75 * side), round(0.9 * side)), slice(round(0.4 * side), round(0.6 * side))
    strips = (torch.arange(side) % 4 < 2) * 0.1
    face[(..., *chin)] = (RED + strips[chin[1]]).expand(-1, chin[0].stop - chin[0].start, -1)
    y = torch.linspace(-1, 1, side)
    down = -0.8 * (y - 0.5).clamp(0, 0.3)[:, None].expand(-1, side)
    flow = torch.stack([torch.zeros_like(down), down])[None]
    masks = Masks(torch.ones(1, 1, side, side), face, face, flow)
    below = torch.zeros(1, 1, side, side)
    below[(..., *chin)] = 1
    found = with_chin_of_skin(masks, torch.zeros_like(below), below)
    before, after = (one.blend()[(..., *chin)] for one in (masks, found))
    shares = (after + 1).mean((0, 2, 3))
    skin = SKIN.flatten() + 1
    torch.testing.assert_close(shares / shares.mean(), skin / skin.mean(), atol=0.03, rtol=0)
    middle = (..., slice(3, -3), slice(3, -3))
    assert after[middle].std((2, 3)).max() < 0.5 * before[middle].std((2, 3)).max()
    assert torch.equal(found.blend()[..., : side // 2, :], face[..., : side // 2, :])
    for nothing in (
        with_chin_of_skin(masks, torch.zeros_like(below), below * 0),
        with_chin_of_skin(masks._replace(flow=flow * 0), torch.zeros_like(below), below),
    ):
        assert torch.equal(nothing.blend(), face)
