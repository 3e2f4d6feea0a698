"""Eyes that close: what covers them, and where they are by landmarks."""

import pytest
import torch
from torch import Tensor

from ganim.model.editing.brows import Brows
from ganim.model.editing.eye_closing import with_closed_eyes
from ganim.model.editing.masks import Masks
from ganim.model.editing.upper_face import UpperFaceNetwork
from ganim.model.training.eye_lines import eye_lines
from ganim.model.warp import coordinates, warped
from ganim.pipeline.action_units import COUNT, positions

SIDE = 128
UPPER, LOWER = -0.3, -0.15
"""Rows of the lids of open eyes, in -1..1."""
EYE = slice(32, 52)
"""Columns of one of them, in px."""
MIDDLE = 42
SKIN, WHITE, LASH = 0.2, 0.9, -0.8
FREE = torch.ones(1, 1, SIDE // 2, SIDE // 2)


def found() -> Brows:
    """One face with one open eye below a brow."""
    rows = torch.tensor([-0.6, -0.5, UPPER])[None, :, None].repeat(1, 1, SIDE)
    within = torch.zeros(1, 2, SIDE)
    within[:, 0, EYE] = 1
    eyes = torch.full((1, 2, SIDE), UPPER)
    eyes[:, 1, EYE] = LOWER
    return Brows(rows, within, eyes)


def face() -> Tensor:
    """(1, 3, SIDE, SIDE): skin with a white eye below dark lashes."""
    picture = torch.full((1, 3, SIDE, SIDE), SKIN)
    top, bottom = (round((row + 1) * SIDE / 2) for row in (UPPER, LOWER))
    picture[..., top:bottom, EYE] = WHITE
    picture[..., top - 2 : top, EYE] = LASH
    return picture


def still(flow: Tensor | None = None) -> Masks:
    flow = torch.zeros(1, 2, SIDE, SIDE) if flow is None else flow
    return Masks(torch.ones(1, 1, SIDE, SIDE), face(), warped(face(), flow), flow)


def closed(by: float, masks: Masks | None = None, free: Tensor = FREE) -> Masks:
    return with_closed_eyes(masks or still(), face(), found(), torch.tensor([by]), free)


def column(masks: Masks, at: int = MIDDLE) -> Tensor:
    return masks.blend()[0, :, :, at].mean(0)


def test_closed_eyes_show_no_white_and_end_in_a_dark_line() -> None:
    shown = column(closed(1.0))
    assert (column(still()) > WHITE - 0.01).sum() >= 9
    assert shown.max() < SKIN + 0.1
    low = (int(shown.argmin()) + 0.5) * 2 / SIDE - 1
    assert shown.min() < 0 and LOWER - 0.06 < low < LOWER + 0.05, "at the lower lid"


def test_the_line_of_lashes_lies_in_a_shade_that_fades_into_the_skin() -> None:
    shown = column(closed(1.0))
    for one_way in (shown, shown.flip(0)):
        edge = int(one_way.argmin())
        beside = one_way[edge + 2 : edge + 6]
        assert beside[0] < SKIN - 0.15, "wider than the line"
        assert (beside.diff() > 0).all() and beside[-1] > SKIN - 0.1


def test_upright_lines_of_the_skin_do_not_become_streaks_of_the_lid() -> None:
    lined = face()
    lined[..., 40:42, MIDDLE] = SKIN - 0.3
    flow = torch.zeros(1, 2, SIDE, SIDE)
    masks = Masks(torch.ones(1, 1, SIDE, SIDE), lined, lined, flow)
    shown = with_closed_eyes(masks, lined, found(), torch.ones(1), FREE).blend()[0].mean(0)
    lid = shown[36:52]
    assert (lid[:, MIDDLE] - lid[:, MIDDLE + 3]).abs().max() < 0.1


def test_the_lower_an_eye_is_closed_the_more_is_covered() -> None:
    shown = [float((column(closed(by)) > SKIN + 0.3).sum()) for by in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert shown == sorted(shown, reverse=True) and shown[0] > shown[2] > shown[4] == 0


def test_what_is_seen_of_an_eye_stays_in_its_place() -> None:
    flow = closed(0.5).flow
    assert flow is not None
    row = round((LOWER - 0.03 + 1) * SIDE / 2)
    assert flow[0, :, row, MIDDLE].abs().max() < 0.01


def test_nothing_changes_without_a_share_or_beside_eyes() -> None:
    before, after = still(), closed(0.0)
    torch.testing.assert_close(after.blend(), before.blend(), atol=1e-5, rtol=0)
    shut = closed(1.0)
    assert torch.equal(shut.blend()[..., SIDE // 2 :], before.blend()[..., SIDE // 2 :])
    assert torch.equal(shut.blend()[..., :8, :], before.blend()[..., :8, :])


def test_eyes_that_are_covered_stay_open() -> None:
    covered = closed(1.0, free=FREE * 0)
    torch.testing.assert_close(covered.blend(), still().blend(), atol=1e-5, rtol=0)


def test_eyes_close_where_a_flow_has_moved_them() -> None:
    flow = torch.zeros(1, 2, SIDE, SIDE)
    flow[:, 1] = 0.1  # everything goes up
    shown = column(closed(1.0, still(flow)))
    assert shown.max() < SKIN + 0.1
    low = (int(shown.argmin()) + 0.5) * 2 / SIDE - 1
    assert LOWER - 0.16 < low < LOWER - 0.05


def test_lids_over_the_flow_have_no_folds() -> None:
    for by in (0.3, 0.7, 1.0):
        flow = closed(by).flow
        assert flow is not None
        rows = (coordinates(flow) + flow)[0, 1, :, MIDDLE]
        assert (rows.diff() > -1e-5).all(), "nothing is shown twice"


def test_eyes_close_by_what_is_missing_to_closed_ones() -> None:
    network = UpperFaceNetwork()
    network.trained.fill_(1)
    own, asked = torch.zeros(3, COUNT), torch.zeros(3, COUNT)
    column = positions((45,))[0]
    own[:, column] = torch.tensor([0.0, 0.4, 0.4])
    asked[:, column] = torch.tensor([0.35, 0.8, 0.1])
    torch.testing.assert_close(network.closing(own, asked), torch.tensor([0.5, 1.0, 0.0]))
    change = network.left_to_flow(asked - own, found())
    torch.testing.assert_close(change[:, column], torch.tensor([0.0, 0.0, -0.3]))


@pytest.mark.parametrize("mirrored", [False, True])
def test_lines_of_eyes_by_landmarks(mirrored: bool) -> None:
    points = torch.zeros(1, 68, 2)
    x = torch.tensor([20.0, 28, 36, 44])
    for eye, right in ((36, 0.0), (42, 50.0)):
        y = torch.tensor([50.0, 46, 46, 50])
        points[0, eye : eye + 4] = torch.stack([x + right, y], 1)
        lower = torch.tensor([[36.0 + right, 53.0], [28.0 + right, 53.0]])
        points[0, eye + 4 : eye + 6] = lower
    columns = torch.arange(SIDE) + 0.5
    if mirrored:
        points[..., 0] = SIDE - points[..., 0]
    upper, lower = eye_lines(points, columns)[0]
    middle = 32 if not mirrored else SIDE - 33
    assert upper[middle] == pytest.approx(46, abs=0.1)
    assert lower[middle] == pytest.approx(53, abs=0.1)
    assert upper[0] == lower[0] == 50 and upper[SIDE // 2] == lower[SIDE // 2]
    points[0, [37, 38]] += torch.tensor([0.0, 20.0])
    shut = eye_lines(points, columns)[0]
    assert (shut[1] >= shut[0]).all(), "lids of closed eyes are in order"
