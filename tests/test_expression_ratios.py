"""Expression ratio images: where and how far they change a face, and how they are fitted."""

from pathlib import Path

import pytest
import torch
from part_training import train_part
from test_furrows import FREE, masks, parts
from test_furrows import SIDE as SMALL
from test_mouth import opening_generator
from tiny import smooth_faces
from torch import Tensor

from ganim.model.editing.expression_ratios import (
    BOTTOM,
    SIDE,
    TOP,
    ExpressionRatios,
    skin_of_face,
)
from ganim.model.editing.lips import Lips
from ganim.model.networks.flow_generator import FlowGenerator
from ganim.model.training import ratio_examples, train_ratios
from ganim.model.training.ratio_examples import Examples
from ganim.model.training.train_ratios import Regression
from ganim.pipeline.action_units import COUNT, positions
from ganim.pipeline.errors import GanimError

NONE = torch.zeros(1, COUNT)
NOSE, SMILE = positions((9, 12))
FOLD = 60
"""A row of the frame."""


def ratios() -> ExpressionRatios:
    """Where AU9 rises, all becomes darker, and a row on the left much darker."""
    images = ExpressionRatios()
    images.halves[NOSE] = -0.1
    images.halves[NOSE, FOLD - TOP, :40] = -0.3
    return images


def mouth() -> Lips:
    """Lips in the middle of a face, between the rows 0.4 and 0.6."""
    rows = torch.tensor([0.4, 0.5, 0.5, 0.6])[None, :, None].expand(1, 4, SMALL)
    across = (torch.arange(SMALL) - SMALL / 2 + 0.5).abs() < SMALL / 8
    return Lips(rows, across[None].float(), torch.ones(1), torch.zeros(1))


def rise(au: int, by: float) -> Tensor:
    changed = NONE.clone()
    changed[:, au] = by
    return changed


def test_skin_is_what_is_no_eye_and_no_lip() -> None:
    skin = skin_of_face(torch.zeros(1, 2, SMALL, SMALL), parts(), mouth())

    def at(row: float, column: float = 0.0) -> float:
        return float(skin[0, 0, *(round((each + 1) * SMALL / 2 - 0.5) for each in (row, column))])

    assert at(-0.15) < 0.1 and at(0.5) < 0.1, "eyes and lips"
    assert min(at(row) for row in (-0.6, -0.3, 0.1, 0.8)) > 0.8
    assert at(0.5, 0.5) > 0.8, "beside the mouth"
    assert skin[..., 0].max() < 0.15, "not at the border"


def test_light_changes_where_aus_rise_and_there_is_skin() -> None:
    images, before = ratios(), masks()

    def shown(by: Tensor, free: Tensor = FREE) -> Tensor:
        return images.shown(before, parts(), mouth(), free, by).blend() - before.blend()

    for still in (NONE, rise(NOSE, -0.5)):
        assert images.shown(before, parts(), mouth(), FREE, still) is before
    unfitted = ExpressionRatios()
    assert unfitted.shown(before, parts(), mouth(), FREE, rise(NOSE, 0.5)) is before
    assert shown(rise(SMILE, 0.5)).abs().max() < 1e-5
    strong, faint = (shown(rise(NOSE, by)).mean() for by in (0.5, 0.01))
    assert strong < 0 and 0 < faint / strong < 0.1
    assert shown(rise(NOSE, 0.5), FREE * 0).abs().max() < 1e-5
    eyes = shown(rise(NOSE, 0.5))[..., round(0.85 * SMALL / 2), :]
    assert eyes.abs().max() < 0.2 * shown(rise(NOSE, 0.5)).abs().max()


def test_factors_have_the_size_of_the_frame_and_both_halves_and_limits() -> None:
    images, frame = ratios(), torch.zeros(1, 3, SIDE, SIDE)
    half = images.factors(rise(NOSE, 0.4), frame)[0, 0]
    assert half.shape == (SIDE, SIDE) and torch.equal(half, half.flip(1))
    assert half[FOLD, 20] < half[FOLD + 2, 20] == half[FOLD, 60] < 0
    assert not half[:TOP].any() and not half[BOTTOM:].any()
    full, more = (images.factors(rise(NOSE, by), frame)[0, 0] for by in (0.8, 1.0))
    assert torch.equal(full, more), "hardly a photograph shows more"
    assert 1.8 < full[FOLD + 2, 20] / half[FOLD + 2, 20] < 2
    images.halves[NOSE] = -100
    assert images.factors(rise(NOSE, 1.0), frame).min() >= -0.45
    small = images.factors(rise(NOSE, 1.0), torch.zeros(1, 3, SMALL, SMALL))
    assert small.shape == (1, 1, SMALL, SMALL)


def textured(side: int = 96) -> Tensor:
    """(3, side, side) uint8: a picture with grain by which it can be aligned."""
    torch.manual_seed(0)
    grain = torch.rand(1, 3, side // 2, side // 2)
    picture = torch.nn.functional.interpolate(grain, (side, side), mode="bicubic")
    return (picture[0].clamp(0.2, 0.8) * 255).byte()


def test_a_ratio_lies_where_the_edit_is() -> None:
    edit = textured()
    photograph = edit.float()
    photograph[:, 40:44] *= 0.6
    photograph = photograph.roll(2, 1).byte()  # and everything is further down
    found = ratio_examples.ratio(edit, photograph, torch.ones(1, 96, 96))[0, 8:-8, 8:-8]
    rows = found.mean(1)
    assert rows[32:36].mean() < -0.25, "at the rows of the edit"
    assert rows[:29].abs().mean() < 0.06 and rows[39:].abs().mean() < 0.06


def test_examples_are_pairs_of_a_series() -> None:
    generator, faces = opening_generator(), smooth_faces(12, SMALL)
    draw = torch.Generator().manual_seed(0)
    with pytest.raises(GanimError, match="--series"):
        ratio_examples.ratio_examples(generator, faces, 4, draw)
    faces.series[:6] = ["a"] * 3 + ["b"] * 3
    examples = ratio_examples.ratio_examples(generator, faces, 20, draw)
    assert examples.ratios.shape == examples.skin.shape == (20, 1, SMALL, SMALL)
    assert examples.skin.mean() > 0.2 and examples.ratios.abs().mean() > 0.01
    of_a, of_b = faces.aus[:3], faces.aus[3:6]
    known = torch.cat([(each[:, None] - each).flatten(0, 1) for each in (of_a, of_b)])
    distance = (examples.change[:, None] - known).abs().amax(2)
    assert distance.amin(1).max() < 1e-5


def folded(changes: Tensor) -> Examples:
    """Examples whose faces are darker in a row on both sides where AU9 rises, and lighter in
    another one where AU12 does, which rises with it; and differ at random."""
    torch.manual_seed(0)
    found = 0.02 * torch.randn(len(changes), 1, SIDE, SIDE)
    for au, row, by in ((NOSE, FOLD, -0.3), (SMILE, FOLD + 30, 0.2)):
        for columns in (slice(20, 40), slice(120, 140)):
            found[:, 0, row, columns] += by * changes[:, au, None].clamp(min=0)
    return Examples(found, torch.ones_like(found), changes)


def test_ratios_of_single_aus_are_found_though_people_show_them_in_company() -> None:
    torch.manual_seed(0)
    changes = torch.rand(200, COUNT) - 0.3
    changes[:, SMILE] = 0.7 * changes[:, NOSE] + 0.3 * changes[:, SMILE]
    regression = Regression()
    for part in folded(changes).change.split(100):
        regression.add(folded(part))
    halves = regression.solution()
    assert halves.shape == ExpressionRatios().halves.shape and regression.count == 400
    fold, light = halves[:, FOLD - TOP, 20:40].mean(1), halves[:, FOLD + 30 - TOP, 20:40].mean(1)
    assert -0.3 < fold[NOSE] < -0.2 and fold[NOSE] == fold.min() and abs(fold[SMILE]) < 0.1
    assert 0.1 < light[SMILE] < 0.2 and abs(light[NOSE]) < 0.1
    assert halves[:, :, 60:].abs().mean() < 0.02


def test_what_is_not_aligned_does_not_count() -> None:
    regression, off = Regression(), folded(torch.rand(8, COUNT))
    off.ratios[:4] += torch.randn(4, 1, SIDE, SIDE) * 0.5
    assert regression.add(off) > 0.1
    assert regression.count == 8, "four, and their mirror images"


def test_the_command_changes_the_ratios_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = opening_generator()
    generator.furrows.trained.fill_(1)
    faces = smooth_faces(8, SMALL)
    faces.series[:] = ["a"] * 4 + ["b"] * 4
    monkeypatch.setattr(train_ratios, "framed", lambda *_: faces)
    monkeypatch.setattr(train_ratios, "_UNALIGNED", 10.0)
    monkeypatch.setattr(train_ratios, "_PRINTED", 2)
    few = ["--batch", "4", "--steps", "2"]
    fitted = train_part(train_ratios.main, generator, SMALL, tmp_path, few, in_series=4)
    assert fitted.output.count("\n     2 ") == 1
    assert fitted.changed == {"ratios.halves"}
    assert fitted.weights["ratios.halves"].isfinite().all()


def test_weights_without_ratios_have_none() -> None:
    generator = opening_generator()
    generator.ratios.halves.fill_(1)
    state = {name: x for name, x in generator.state_dict().items() if "ratios" not in name}
    later = FlowGenerator(generator.settings)
    later.load_state_dict(state)
    assert not later.ratios.halves.any()
