"""What is taken from eyes and lids: violet irises, lines on closed lids, and odd colours."""

import pytest
import torch
from tiny import randomise
from torch import Tensor

from ganim.model.config import GeneratorSettings
from ganim.model.editing.eyes import (
    cleaned_eyes,
    deformed,
    with_lids_of_skin,
    without_lines,
    without_violet,
)
from ganim.model.editing.masks import Masks
from ganim.model.networks import flow_generator
from ganim.model.networks.flow_generator import NUISANCE, FlowGenerator
from ganim.pipeline.action_units import COUNT, positions

SKIN = (0.4, 0.1, -0.1)
EVERYWHERE, NOWHERE = torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)


def uniform(colour: tuple[float, ...]) -> Tensor:
    return torch.tensor(colour)[:, None, None].expand(3, 128, 128)[None].clone()


def painted(iris: tuple[float, ...], before: tuple[float, ...] = SKIN) -> Masks:
    """Skin, on which an iris is painted where the moved face has another colour."""
    face, colour = uniform(SKIN), uniform(SKIN)
    face[..., 44:68, 30:54] = torch.tensor(before)[:, None, None]
    colour[..., 44:68, 30:54] = torch.tensor(iris)[:, None, None]
    return Masks(torch.full((1, 1, 128, 128), 0.2), colour, face)


def shares(masks: Masks) -> Tensor:
    """Of the channels in the colour of the iris, 1 in grey."""
    colour = masks.blend()[0, :, 56, 42] + 1
    return colour / colour.mean()


def test_eyes_that_open_are_not_violet():
    violet = painted((-0.3, -0.6, -0.2))
    before, after = shares(violet), shares(without_violet(violet, EVERYWHERE))
    cheeks = torch.tensor(SKIN) + 1
    cheeks = cheeks / cheeks.mean()
    assert before[2] > 1.1 > before[1] + 0.2
    assert after[1] == pytest.approx(float(cheeks[1]), abs=0.03)
    assert cheeks[2] < after[2] < 1
    assert after[0] > after[1] > after[2]
    unchanged = without_violet(violet, NOWHERE)
    assert torch.equal(unchanged.blend(), violet.blend())


def test_brown_eyes_stay_brown_and_blue_eyes_blue():
    brown = painted((-0.5, -0.65, -0.75))
    used = without_violet(brown, EVERYWHERE)
    torch.testing.assert_close(shares(used), shares(brown), atol=0.06, rtol=0)
    iris, skin = (..., 46, 42), (..., 100, 100)
    light = [(masks.blend()[iris] + 1).mean() for masks in (brown, used)]
    assert 0.7 < light[1] / light[0] < 0.9, "irises are painted too pale"
    torch.testing.assert_close(used.blend()[skin], brown.blend()[skin])
    blue = painted((-0.3, -0.1, 0.2), before=(-0.3, -0.1, 0.2))
    torch.testing.assert_close(
        shares(without_violet(blue, EVERYWHERE)), shares(blue), atol=0.02, rtol=0
    )
    on_dark = painted((-0.3, -0.1, 0.2), before=(-0.7, -0.75, -0.8))
    assert shares(without_violet(on_dark, EVERYWHERE))[2] < shares(on_dark)[2] - 0.2


@pytest.mark.parametrize("lid", [(0.5, 0.2, -0.9), (0.2, -0.4, 0.1), (-0.2, 0.3, -0.3)])
def test_lids_have_the_colours_of_skin_and_stay_as_bright(lid):
    masks = painted(lid)
    share = torch.zeros(1, 1, 64, 64)
    share[..., 18:38, 10:32] = 1
    used = with_lids_of_skin(masks, share)
    skin = torch.tensor(SKIN) + 1
    torch.testing.assert_close(shares(used), skin / skin.mean(), atol=0.02, rtol=0)
    before, after = masks.blend(), used.blend()
    torch.testing.assert_close(after.mean(1), before.mean(1), atol=1e-3, rtol=0)
    assert torch.equal(after[:, :, 80:], before[:, :, 80:])


@pytest.mark.parametrize("side", [64, 128, 160])
def test_lids_have_no_bright_lines_and_keep_their_lashes(side):
    scale = side // 32
    face = torch.zeros(1, 3, side, side)
    face[:, :, 13 * scale : 13 * scale + 2, 8 * scale : 12 * scale] = 0.8
    face[:, :, 15 * scale : 15 * scale + 2, 8 * scale : 12 * scale] = -0.8
    masks = Masks(torch.ones(1, 1, side, side), face, face, torch.zeros(1, 2, side, side))
    share = torch.zeros(1, 1, side // 2, side // 2)
    share[..., : side // 4] = 1
    used = without_lines(masks, share)
    result = used.blend()[0, 0]
    columns = slice(8 * scale, 12 * scale)
    assert result[13 * scale : 13 * scale + 2, columns].max() < 1e-3
    assert result[15 * scale : 15 * scale + 2, columns].max() < -0.79
    assert used.blur is not None
    assert used.blur[..., : side // 4].min() == 1 and not used.blur[..., side // 2 + 4 :].any()
    blurred = without_lines(masks._replace(blur=torch.full_like(used.blur, 0.5)), 0 * share)
    assert (blurred.blur == 0.5).all() and torch.equal(blurred.blend(), face)


def test_only_eyes_that_open_or_close_are_looked_at():
    down = torch.zeros(2, 1, 80, 80)
    down[0, 0, 30:36, 20:30] = torch.linspace(0, 3 / 40, 6)[:, None]  # half a pixel a row
    down[1] = 0.1  # moved as a whole
    share = deformed(down)[:, 0]
    assert share[0, 32, 25] == 1 and not share[1].any()
    near = torch.zeros(80, 80, dtype=torch.bool)
    near[24:44, 14:36] = True
    assert not share[0][~near].any()
    torch.testing.assert_close(deformed(-down)[:, 0], share)
    mouth = torch.roll(down, 30, 2)
    assert not deformed(mouth).any()


def test_a_face_whose_eyes_stay_is_left_as_it_is():
    masks, still = painted((-0.3, -0.6, -0.2)), torch.zeros(1, 2, 64, 64)
    assert cleaned_eyes(masks, still, still, still) is masks
    moved = still.clone()
    moved[:, 1, 24:30, 16:26] = torch.linspace(0, 3 / 32, 6)[:, None]
    opened = cleaned_eyes(masks, still, moved, still)
    closed = cleaned_eyes(masks, moved, still, moved)
    raised = cleaned_eyes(masks, -moved, still, still)
    assert opened.blur is None and raised.blur is None and closed.blur is not None
    assert shares(opened)[2] > shares(raised)[2] + 0.1
    torch.testing.assert_close(shares(raised), shares(closed), atol=0.02, rtol=0)
    for used in (opened, closed, raised):
        assert torch.equal(used.blend()[:, :, 80:], masks.blend()[:, :, 80:])


def test_closed_eyes_that_open_are_looked_at_like_those_that_open_wider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = FlowGenerator(GeneratorSettings(8, architecture="flow"))
    randomise(generator)
    seen = []
    monkeypatch.setattr(
        flow_generator,
        "cleaned_eyes",
        lambda masks, lids, opening, closing: seen.append((opening, closing)) or masks,
    )
    faces = torch.rand(1, 3, 64, 64) * 2 - 1
    for rise in (-0.5, 0.5):
        change = torch.zeros(1, COUNT)
        change[:, positions((45,))] = rise
        face = generator.encode(faces)
        generator.before_mouths(face, change, change, torch.zeros(1, NUISANCE))
    (opening, closing), (opening_after, closing_after) = seen
    assert opening.any() and not closing.any()
    assert closing_after.any() and not opening_after.any()
    torch.testing.assert_close(opening, -closing_after)
