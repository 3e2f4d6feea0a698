"""What is taken from masks in use: checkerboards, faint painting, cold colours, strips."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import randomise

from ganim.model.config import GeneratorSettings
from ganim.model.editing.cheeks import with_fainter_cheeks
from ganim.model.editing.cleaning import (
    cleaned,
    stretched,
    without_checkerboard,
    without_cold_colours,
    without_faint_painting,
    without_strips,
)
from ganim.model.editing.masks import Masks
from ganim.model.editing.sharpness import as_sharp_as, sharpness_of
from ganim.model.networks.flow_generator import FlowGenerator
from ganim.model.pixels import from_model
from ganim.pipeline.action_units import positions
from ganim.pipeline.faces.crop import Box
from ganim.pipeline.faces.frame import CropRegion


def test_faint_painting_is_left_out_and_strong_painting_stays():
    face = torch.zeros(1, 3, 64, 64)
    colour = torch.full((1, 3, 64, 64), 2 / 255)
    colour[..., 40:56, 40:56] = 80 / 255
    masks = Masks(torch.zeros(1, 1, 64, 64), colour, face)
    shares = 1 - without_faint_painting(masks).attention
    assert shares[..., :30, :30].max() < 0.1
    assert shares[..., 44:52, 44:52].min() > 0.95
    unchanged = without_faint_painting(masks._replace(attention=torch.ones(1, 1, 64, 64)))
    assert (unchanged.attention == 1).all(), "what is not painted stays so"


def test_masks_have_no_checkerboard():
    checks = torch.ones(1, 1, 16, 16)
    checks[..., ::2, ::2] = checks[..., 1::2, 1::2] = -1
    face = torch.rand(1, 3, 16, 16)
    masks = without_checkerboard(Masks((1 + checks) / 2, face + checks / 4, face))
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(masks.colour[inside], face[inside])
    torch.testing.assert_close(masks.attention[inside], torch.full((1, 1, 14, 14), 0.5))
    kept = without_checkerboard(Masks(torch.ones(1, 1, 16, 16), face, face))
    assert (kept.attention == 1).all() and torch.equal(kept.colour, face)


def test_what_spoils_pictures_is_left_out_in_use_and_not_in_training():
    torch.manual_seed(0)  # other random fields may open eyes so far that these are cleaned, too
    generator = FlowGenerator(GeneratorSettings(8, architecture="flow")).eval()
    randomise(generator)
    faces, aus, own = torch.rand(1, 3, 32, 32) * 2 - 1, torch.rand(1, 17), torch.rand(1, 17)
    unfolding = positions((1, 2, 45))
    aus[:, unfolding], own[:, unfolding] = 0.9, 0.1
    aus[:, positions((15,))] = 0  # else a smile would take a part of it
    # No smile goes, no lips part, no AU raises others, no field is used in part or with another.
    still = positions((5, 6, 9, 10, 12, 14, 15, 17, 20, 25, 26))
    own[:, still] = aus[:, still]
    aus, own = 0.4 * aus, 0.4 * own  # no rise is so large that it is compressed
    trained = generator.outputs(faces, aus, aus - own, torch.zeros(1, 12)).masks
    used = generator(faces, aus, own)
    risen = (aus - own).clamp(min=0)[:, :, None, None, None]
    fields = generator.encode(faces).fields
    lids = (fields[:, unfolding] * risen[:, unfolding]).sum(1)
    expected = cleaned(trained, F.interpolate(lids, (16, 16), mode="bilinear"))
    expected = with_fainter_cheeks(expected, generator.shown_change(aus, own))
    expected = as_sharp_as(expected, sharpness_of(faces))
    for part in ("attention", "colour", "blur"):
        torch.testing.assert_close(getattr(used, part), getattr(expected, part))
    assert not torch.allclose(used.attention, trained.attention)
    assert trained.blur is None
    falling = generator(faces, own, aus)
    assert falling.blur is None, "where nothing unfolds, nothing is looked for"


def test_teeth_are_painted_white_and_not_green_and_green_light_stays():
    skin, teeth = torch.tensor([0.4, 0.1, 0.0]), torch.tensor([0.2, 0.6, 0.4])
    face = skin[:, None, None].expand(3, 8, 8)[None].clone()
    face[..., 4:] = torch.tensor([-0.5, 0.2, -0.3])[:, None, None]  # an eye, or green light
    colour = teeth[:, None, None].expand(3, 8, 8)[None].clone()
    masks = Masks(torch.full((1, 1, 8, 8), 0.25), colour, face)
    before, after = masks.blend(), without_cold_colours(masks).blend()
    red, green, blue = after[0, :, 0, 0]
    assert max(green, blue) < red + 0.03 < before[0, 1, 0, 0] - 0.15
    torch.testing.assert_close(red, before[0, 0, 0, 0])
    assert torch.equal(after[..., 4:], before[..., 4:])
    kept = masks._replace(attention=torch.ones(1, 1, 8, 8))
    assert torch.equal(without_cold_colours(kept).blend(), face)


def striped_lids(side: int = 128) -> tuple[Masks, torch.Tensor]:
    """A grey face with upright strips in rows 48 to 80, and the flow that made them of 8 rows, at
    half its resolution; all of it enlarged to `side` from 128 px."""
    face = torch.zeros(1, 3, 128, 128)
    face[..., 48:80, 40:88] = 0.4 * (1 - torch.cos(torch.arange(48.0) * torch.pi / 4))
    rows = torch.arange(128.0)
    source = torch.where(rows < 80, 48 + (rows - 48) / 4, rows - 24)
    down = torch.where(rows < 48, 0.0, (source - rows) / 64)
    opening = torch.stack([torch.zeros(128, 128), down[:, None].expand(-1, 128)])[None]
    face, flow = (F.interpolate(one, (side, side), mode="bilinear") for one in (face, opening))
    return Masks(torch.ones(1, 1, side, side), face, face, flow), F.avg_pool2d(flow, 2)


@pytest.mark.parametrize("side", [64, 128, 160])
def test_lids_that_unfold_lose_their_strips_and_no_light(side):
    masks, opening = striped_lids(side)
    face, used = masks.face, without_strips(masks, stretched(opening[:, 1:]))

    def rows(first: int, last: int) -> tuple[slice, ...]:
        return ..., slice(first * side // 128, last * side // 128), slice(None)

    columns = slice(48 * side // 128, 80 * side // 128)
    found, lid = used.blend(), (*rows(54, 74)[:2], columns)
    assert found[lid].std() < 0.3 * face[lid].std()
    torch.testing.assert_close(found[lid].mean(), face[lid].mean(), atol=0.02, rtol=0)
    assert used.blur is not None and used.blur[lid].min() > 0.9
    for kept in (rows(0, 32), rows(100, 128)):
        assert torch.equal(found[kept], face[kept])
        assert not used.blur[kept].any()


def test_lids_that_unfold_little_or_close_stay_to_the_bit():
    masks, opening = striped_lids()
    for flow in (opening * 0, opening * 0.2, -opening):
        used = without_strips(masks, stretched(flow[:, 1:]))
        assert torch.equal(used.blend(), masks.blend())
        assert used.blur is not None and not used.blur.any()


@pytest.mark.parametrize("enlargement", [0.5, 1, 2, 4])
def test_a_photograph_of_any_size_shows_what_the_masks_blend(enlargement):
    masks, opening = striped_lids()
    used = without_strips(masks, stretched(opening[:, 1:]))._replace(
        flow=torch.zeros_like(masks.flow)
    )
    side = int(128 * enlargement)
    wanted, photograph = (
        cv2.resize(from_model(faces[0]).permute(1, 2, 0).numpy(), (side, side))
        for faces in (used.blend(), masks.face)
    )
    region = CropRegion(Box(0, 0, side, side))
    pasted = region.paste(np.rint(photograph).astype(np.uint8), used.changes()[0])
    middle = np.s_[side // 5 : -side // 5, side // 5 : -side // 5]
    assert np.abs(pasted - wanted)[middle].max() < 0.15 * np.ptp(photograph[middle])
