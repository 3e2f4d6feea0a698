"""Finding lips, and moving them as they are."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from ganim.model.editing.layer_network import LayerNetwork, layer_ends
from ganim.model.editing.lip_changes import LipChanges, lip_changes
from ganim.model.editing.lip_columns import lip_columns
from ganim.model.editing.lip_flows import (
    closing,
    dropped,
    raised,
    tightened,
    wide_enough,
    with_low_sides,
)
from ganim.model.editing.lips import LAYERS, Lips, lips_of
from ganim.model.editing.parting import parted, with_lips
from ganim.model.training.lip_lines import lip_lines
from ganim.model.warp import coordinates, warped
from ganim.pipeline.action_units import COUNT, positions

SIDE = 128
UPPER, LINE, LOWER = 0.3, 0.4, 0.5
"""Rows of lips that touch, in -1..1."""
CALM = torch.zeros(1)
"""No smile."""


def lips(line: float = LINE, gap: float = 0.0) -> Lips:
    """Of one face, from left to right in the middle half of it."""
    rows = torch.tensor([UPPER, line, line + gap, LOWER + gap])[None, :, None].repeat(1, 1, SIDE)
    x = torch.linspace(-1, 1, SIDE)
    return Lips(
        rows, (1 - (2 * x).square()).clamp(min=0).sqrt()[None], torch.ones(1), torch.zeros(1)
    )


def opening(by: float) -> Tensor:
    """A smooth flow (1, 2, SIDE, SIDE) by which what is below the line goes down."""
    y = torch.linspace(-1, 1, SIDE)
    down = -by * torch.sigmoid((y - LINE - by / 2) / (by / 4))
    return torch.stack([torch.zeros(SIDE, SIDE), down[:, None].expand(-1, SIDE)])[None]


def shown_rows(flow: Tensor) -> Tensor:
    """(h, w): the row that each pixel of a result shows, in -1..1."""
    return (coordinates(flow) + flow)[0, 1]


def test_ends_of_layers_are_rows() -> None:
    layers = torch.tensor([0, 0, 0, 1, 1, 2, 3, 3, 4, 4])
    logits = 20.0 * torch.nn.functional.one_hot(layers, LAYERS).T[None, :, :, None].float()
    torch.testing.assert_close(layer_ends(logits)[0, :, 0], torch.tensor([3.0, 5, 6, 8]))
    between = logits.clone()
    between[:, :, 5] = 0
    between[:, [1, 2], 5] = 20
    torch.testing.assert_close(layer_ends(between)[0, 1, 0], torch.tensor(5.5))


def test_the_network_finds_the_layers_of_each_column() -> None:
    ends = layer_ends(LayerNetwork(LAYERS)(torch.rand(2, 3, 24, 40) * 2 - 1))
    assert ends.shape == (2, 4, 40)
    assert (ends.diff(dim=1) >= 0).all() and ends.min() > 0 and ends.max() < 24


def test_lips_lie_in_the_frame_and_part_in_the_middle() -> None:
    ends = torch.full((1, 4, 40), 12.0)
    ends[:, :, 10:30] = torch.tensor([8.0, 11, 13, 16])[:, None]
    faces = torch.zeros(1, 3, 64, 64)
    found = lips_of(ends, 24, faces, torch.ones(1))
    assert found.rows.shape == (1, 4, 64) and found.open.shape == (1, 64)
    centre = found.rows[0, :, 32]
    inner = torch.tensor([11.0, 13]) + 64 - 24
    torch.testing.assert_close(centre[1:3], inner / 32 - 1)
    assert centre[0] <= (8 + 40) / 32 - 1 and centre[3] >= (16 + 40) / 32 - 1
    assert found.open[0, 32] > 0.95 and not found.open[0, :15].any()
    assert (found.rows.diff(dim=1) >= 0).all()
    assert found.whole == 1 and lips_of(ends + 8, 24, faces, torch.ones(1)).whole == 0
    touching = lips_of(ends, 24, faces, torch.zeros(1)).rows[0, :, 32]
    torch.testing.assert_close(touching[1], touching[2])


def test_lips_that_part_keep_their_height_and_leave_a_hole() -> None:
    flow = opening(0.3)
    moved = parted(flow, lips(), CALM)
    middle = SIDE // 2
    hole, rows = moved.hole[0, 0, :, middle], shown_rows(moved.flow)[:, middle]
    pixel = 2 / SIDE
    stretched = ((shown_rows(flow)[:, middle] - LINE).abs() < 0.05).sum()
    assert hole.sum() > 0.15 / pixel and hole.max() == 1
    assert hole.sum() > 0.6 * stretched
    y = torch.linspace(-1 + pixel / 2, 1 - pixel / 2, SIDE)
    upper = (rows > UPPER + 0.01) & (rows < LINE - 0.01) & (y < 0.45)
    lower = (rows > LINE + 0.01) & (rows < LOWER - 0.01) & (y > 0.45)
    for lip in (upper, lower):
        lip = lip & (hole < 0.5)
        assert 0.055 < lip.sum() * pixel < 0.11, "a tenth, or a little thinner"
    assert (rows.diff() > -1e-4).all(), "nothing is seen twice"


def test_lips_that_touch_do_so_at_the_dark_line_near_by() -> None:
    ends = torch.full((1, 4, 40), 12.0)
    ends[:, :, 10:30] = torch.tensor([8.0, 12, 12, 16])[:, None]
    faces = torch.zeros(1, 3, 64, 64)
    found = lips_of(ends, 24, faces, torch.zeros(1)).rows[0, 1, 32]
    faces[:, :, 50] = -0.8
    dark = lips_of(ends, 24, faces, torch.zeros(1)).rows[0, 1, 32]
    pixel = 2 / 64
    torch.testing.assert_close(found, torch.tensor(52 * pixel - 1))
    torch.testing.assert_close(dark, torch.tensor(50.5 * pixel - 1), atol=0.6 * pixel, rtol=0)
    ends[:, 1:3, 10:30] = torch.tensor([11.0, 13])[:, None]  # a dark gap below teeth
    apart = lips_of(ends, 24, faces, torch.ones(1)).rows[0, 1:3, 32]
    torch.testing.assert_close(apart.mean(), found)


@pytest.mark.parametrize("between, deep", [(-0.8, 1), (0.2, 0)])
def test_a_mouth_is_deep_that_is_open_and_dark(between: float, deep: float) -> None:
    ends = torch.full((1, 4, 40), 12.0)
    ends[:, :, 10:30] = torch.tensor([4.0, 7, 13, 16])[:, None]
    faces = torch.zeros(1, 3, 64, 64)
    faces[:, :, 47:53, 22:42] = between  # teeth, or the inside of a mouth
    assert lips_of(ends, 24, faces, torch.ones(1)).deep == deep
    assert lips_of(ends, 24, faces, torch.zeros(1)).deep == 0, "noise between lips that touch"


def test_the_edges_of_lips_do_not_depend_on_rounding() -> None:
    y = coordinates(torch.zeros(1, 1, SIDE, SIDE))[0, 1]
    down = torch.where(y < LINE, 0.0, (LINE - y).clamp(min=-0.2))  # rows repeat the line
    flow = torch.stack([torch.zeros_like(down), down])[None]
    edges = [lip_columns(flow + off, lips()).lower for off in (-1e-6, 1e-6)]
    torch.testing.assert_close(*edges, atol=1e-4, rtol=0)


def test_lips_that_part_leave_the_dark_line_between_them() -> None:
    face = torch.ones(1, 1, SIDE, SIDE)
    y = coordinates(face)[:, 1:]
    face[(y - LINE - 0.005).abs() < 0.012] = -1
    middle = SIDE // 2
    for gap, left in ((0.0, 0.5), (0.1, 0.9)):
        flow = opening(0.4)
        moved = parted(flow, lips(gap=gap), CALM)
        seen = (1 - warped(face, moved.flow)) * (1 - moved.hole)
        dark = float(seen[0, 0, :, middle].sum()) / float((1 - face[0, 0, :, middle]).sum())
        assert (dark < left) if gap == 0 else (dark > left), "teeth have none"
    still = parted(torch.zeros_like(flow), lips(), CALM)
    torch.testing.assert_close(still.flow, torch.zeros_like(flow), atol=1e-3, rtol=0)


def test_a_mouth_is_darkest_below_the_teeth_that_a_smile_shows_and_lighter_at_the_lower_lip() -> (
    None
):
    flow, changes = opening(0.4), lip_changes(aus(), aus(au25=1, au26=1))
    smiling = changes._replace(smile=torch.ones(1))
    dark = {}
    for name, change in (("calm", changes), ("smile", smiling)):
        moved = with_lips(flow, lips(), change)
        rows = (moved.hole[0, 0, :, SIDE // 2] > 0.9).nonzero().flatten()
        dark[name] = moved.shade[0, 0, rows, SIDE // 2]
        deepest = int(dark[name].argmax())
        assert dark[name].max() == 1 and 0 < deepest < len(rows) - 4
        assert dark[name][-1] < 0.2
    assert dark["calm"][2] > 0.3 and dark["smile"][2] == 0
    elliptic = flow * (1 - (2 * torch.linspace(-1, 1, SIDE)).square()).clamp(min=0)
    still = with_lips(elliptic, lips(), changes._replace(jaw=torch.zeros(1)))
    shade = still.shade[0, 0] * (still.hole[0, 0] > 0.9)
    assert not shade[:, SIDE // 2].any()
    assert shade[:, : SIDE // 4 + 8].max() > 0.5, "the corners are dark"


def test_the_sides_of_the_lower_lip_hang_in_a_smile_that_shows_teeth() -> None:
    flow = opening(0.3)
    side, middle = SIDE // 2 + SIDE // 6, SIDE // 2
    smile = torch.ones(1)
    low = with_low_sides(flow, lips(), smile)
    ends = {
        x: [float(lip_columns(f, lips()).end[0, 0, x]) for f in (flow, low)] for x in (side, middle)
    }
    assert 0.01 < ends[side][1] - ends[side][0] < 0.04
    assert abs(ends[middle][1] - ends[middle][0]) < 0.005
    closed = torch.zeros_like(flow)
    torch.testing.assert_close(with_low_sides(closed, lips(), smile), closed, atol=1e-4, rtol=0)
    upper = torch.linspace(-1, 1, SIDE) < LINE
    torch.testing.assert_close(low[:, :, upper], flow[:, :, upper], atol=5e-3, rtol=0)


def test_what_is_deep_in_a_mouth_is_stretched_and_the_rest_goes_with_the_lips() -> None:
    gap, flow, middle = 0.2, opening(0.4), SIDE // 2
    wide = lips(gap=gap)._replace(deep=torch.ones(1))
    moved = parted(flow, wide, CALM)
    assert not moved.hole.any(), "nothing has to be painted"
    rows = shown_rows(moved.flow)[:, middle]
    inside = rows[(rows > LINE + 0.01) & (rows < LINE + gap - 0.01)]
    steps = inside.diff() * SIDE / 2
    assert (steps > 0).all() and len(inside) > 1.4 * gap * SIDE / 2
    for part in (steps[:4], steps[-1:]):
        torch.testing.assert_close(part, torch.ones_like(part), atol=0.1, rtol=0)
    assert steps.min() < 0.7
    assert parted(flow, lips(gap=gap), CALM).hole.any(), "teeth are not stretched"


def test_nothing_else_moves() -> None:
    flow = opening(0.3)
    moved = parted(flow, lips(), CALM)
    rows = shown_rows(flow)
    beyond = (rows < UPPER - 0.05) | (rows > LOWER + 0.05)
    torch.testing.assert_close(moved.flow[0, :, beyond], flow[0, :, beyond])
    assert not moved.hole[0, 0, beyond].any() and not moved.mouth[0, 0, beyond].any()
    beside = slice(0, SIDE // 4 - 2)
    torch.testing.assert_close(moved.flow[..., beside], flow[..., beside], atol=0.02, rtol=0)
    assert not moved.hole[..., beside].any() and not moved.mouth[..., beside].any()
    still = parted(torch.zeros_like(flow), lips(), CALM)
    torch.testing.assert_close(still.flow, torch.zeros_like(flow), atol=1e-3, rtol=0)
    assert still.hole.max() < 0.05


def test_teeth_keep_their_height_below_the_upper_lip() -> None:
    gap, flow = 0.1, opening(0.4)
    moved = parted(flow, lips(gap=gap), CALM)
    rows, hole = shown_rows(moved.flow)[:, SIDE // 2], moved.hole[0, 0, :, SIDE // 2]
    teeth = (rows > LINE + 0.005) & (rows < LINE + gap - 0.005)
    assert abs(teeth.sum() * 2 / SIDE - gap) < 0.03
    assert hole[teeth].mean() < 0.2 and hole.max() == 1
    first = int(hole.argmax())
    assert first > int(teeth.nonzero().max()) - 1, "the hole is below the teeth"


@pytest.mark.parametrize("gap", [0.1, 0.25])
def test_lips_close_over_what_was_between_them(gap: float) -> None:
    open_mouth = lips(gap=gap)
    still = torch.zeros(1, 2, SIDE, SIDE)
    face = torch.zeros(1, 1, SIDE, SIDE)
    y = coordinates(face)[:, 1:]
    face[(y > LINE) & (y < LINE + gap)] = 1  # teeth
    shown = {}
    for share in (0.0, 0.5, 1.0):
        closed = closing(still, open_mouth, torch.tensor([share]))
        flow = parted(closed, open_mouth, CALM).flow
        shown[share] = float(warped(face, flow)[0, 0, :, SIDE // 2].sum() * 2 / SIDE)
    assert shown[0.0] == pytest.approx(gap, abs=0.02)
    assert 0.3 * gap < shown[0.5] < 0.7 * gap
    assert shown[1.0] < 0.02


def test_lips_by_landmarks() -> None:
    angles = torch.linspace(math.pi, 0, 7)
    landmarks = torch.zeros(1, 68, 2)
    x, y = 20 + 8 * angles.cos(), 4 * angles.sin()
    landmarks[0, 48:55] = torch.stack([x, 30 - y], 1)
    landmarks[0, 55:60] = torch.stack([x, 30 + y], 1)[1:6].flip(0)
    inner = torch.linspace(14, 26, 5)
    landmarks[0, 60:65] = torch.stack([inner, torch.tensor([30.0, 29, 28, 29, 30])], 1)
    landmarks[0, 65:68] = torch.stack([inner, torch.tensor([30.0, 31, 32, 31, 30])], 1)[1:4].flip(0)
    rows, corners = lip_lines(landmarks, torch.arange(40.0))
    torch.testing.assert_close(rows[0, :, 20], torch.tensor([26.0, 28, 32, 34]), atol=0.01, rtol=0)
    torch.testing.assert_close(rows[0, :, 2], torch.full((4,), 30.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(corners[0], torch.tensor([13.0, 27]))
    mirrored = landmarks.clone()
    mirrored[..., 0] = 40 - mirrored[..., 0]
    again, _ = lip_lines(mirrored, torch.arange(40.0))
    torch.testing.assert_close(again[0, :, 20], rows[0, :, 20], atol=0.01, rtol=0)


def test_tight_lips_are_thinner_and_the_line_between_them_stays() -> None:
    still = torch.zeros(1, 2, SIDE, SIDE)
    rows = shown_rows(tightened(still, lips(), torch.ones(1)))[:, SIDE // 2]
    pixel, y = 2 / SIDE, coordinates(still)[0, 1, :, 0]
    for begin, end in ((UPPER, LINE), (LINE, LOWER)):
        assert ((rows > begin) & (rows < end)).sum() * pixel < 0.7 * (end - begin)
    assert (rows - LINE).abs()[(y - LINE).abs() < pixel].max() < 2 * pixel
    assert (rows.diff() > 0).all(), "nothing is seen twice"
    assert torch.equal(rows[: SIDE // 2], y[: SIDE // 2])
    torch.testing.assert_close(tightened(still, lips(), torch.zeros(1)), still)


def aus(**values: float) -> Tensor:
    row = torch.zeros(1, COUNT)
    for name, value in values.items():
        row[0, positions((int(name.removeprefix("au")),))] = value
    return row


def test_what_aus_do_to_lips() -> None:
    shut, smile = aus(), aus(au12=0.5, au25=0.5)
    assert lip_changes(shut, shut).moved == lip_changes(smile, smile).moved == 0
    assert lip_changes(shut, aus(au1=1, au6=1)).moved == 0
    pulled = lip_changes(shut, aus(au12=1, au10=1))
    assert pulled.moved == pulled.closed == 1, "closed lips stay closed"
    assert lip_changes(shut, aus(au12=1, au25=1)).closed == 0
    assert lip_changes(smile, aus(au12=1, au25=0.5)).moved == 1, "teeth keep their shape"
    for opened in (aus(au25=0.5), aus(au26=0.5)):
        changes = lip_changes(shut, opened)
        assert changes.moved == 1 and changes.closed == changes.teeth == 0
    for level, closed in ((0.0, 1.0), (0.25, 0.5), (0.5, 0.0)):
        changes = lip_changes(smile, aus(au12=0.5, au25=level))
        assert changes.closed == closed and changes.teeth == 1
    tight = lip_changes(shut, aus(au23=0.8))
    assert tight.tight == 0.8 and tight.closed == tight.moved == 1
    assert 0.4 < lip_changes(smile, aus(au12=0.5, au25=0.5, au17=1)).closed < 0.8
    assert lip_changes(shut, aus(au25=0.5, au17=1)).closed == 0, "as asked for"


def test_a_jaw_that_drops_takes_the_lower_lip_along() -> None:
    flow = opening(0.2)
    holes = [
        parted(dropped(flow, lips(), torch.tensor([jaw])), lips(), CALM).hole[0, 0, :, SIDE // 2]
        for jaw in (0.0, 0.5, 1.0)
    ]
    first = [int((hole > 0.5).float().argmax()) for hole in holes]
    heights = [float(hole.sum()) for hole in holes]
    assert max(first) - min(first) <= 1, "the upper lip stays"
    drops = [after - before for before, after in pairwise(heights)]
    assert drops == pytest.approx([0.0075 * SIDE / 2] * 2, abs=0.06)
    y = torch.linspace(-1, 1, SIDE)
    moved = dropped(flow, lips(), torch.ones(1))
    torch.testing.assert_close(moved[0, :, y < UPPER], flow[0, :, y < UPPER], atol=1e-4, rtol=0)


def test_a_smile_raises_both_lips_in_the_middle_and_lowers_them_as_it_goes() -> None:
    flow, here = opening(0.2), slice(SIDE // 2 - 2, SIDE // 2 + 2)
    smiles = [raised(flow, lips(), torch.tensor([smile])) for smile in (0.0, 0.5, 1.0)]
    torch.testing.assert_close(smiles[0], flow, atol=1e-5, rtol=0)
    lines = [lip_columns(each, lips()) for each in smiles]
    for part in ("begin", "upper", "lower", "end"):
        rows = [float(getattr(each, part)[0, 0, here].mean()) for each in lines]
        assert rows[0] > rows[1] > rows[2], part
        assert rows[0] - rows[2] == pytest.approx(0.045, abs=0.015), part
        gone = raised(flow, lips(), torch.tensor([-1.0]))
        below = float(getattr(lip_columns(gone, lips()), part)[0, 0, here].mean())
        assert below - rows[0] == pytest.approx(0.045, abs=0.015), "a smile that goes"
    step = smiles[2] - flow
    assert step[:, 1].min() > -0.01, "nothing goes down"
    assert step[:, 0].abs().max() < 0.01 and step[:, :, : SIDE // 4].abs().max() < 1e-5
    assert step[:, 1, :, [0, -1]].abs().max() < 0.01, "what is beside the mouth stays"


def test_what_is_left_of_the_inside_vanishes_where_lips_are_closed() -> None:
    still, none = torch.zeros(1, 2, SIDE, SIDE), torch.zeros(1)
    for closed in (0.5, 1.0):
        changes = LipChanges(torch.ones(1), torch.tensor([closed]), *[none] * 3, torch.ones(1))
        parting = with_lips(still, lips(gap=0.1), changes)
        assert (parting.inside.max() > 0.3) == (closed == 1)
        below = coordinates(parting.below)[:, 1:] > LOWER + 0.2
        assert parting.below[below].max() == closed
        assert not parting.below[:, :, : SIDE // 2].any()


def width_of_mouth(flow: Tensor) -> int:
    """Columns that show the mouth, in px."""
    x = (coordinates(flow) + flow)[0, 0, round((LINE + 1) * SIDE / 2)]
    return int((x.abs() < 0.5).sum())


def test_mouths_that_become_narrow_stay_wide_enough() -> None:
    x = torch.linspace(-1, 1, SIDE)
    narrow = torch.zeros(1, 2, SIDE, SIDE)
    narrow[:, 0] = 0.7 * x * torch.exp(-((x / 0.5) ** 4))
    own = width_of_mouth(torch.zeros_like(narrow))
    assert width_of_mouth(narrow) < 0.7 * own
    wider = wide_enough(narrow, lips())
    assert width_of_mouth(wider) == pytest.approx(0.85 * own, abs=6)
    upper_face = (..., slice(20), slice(None))
    torch.testing.assert_close(wider[upper_face], narrow[upper_face])
    shown = (coordinates(wider) + wider)[0, 0]
    assert (shown.diff(dim=1) > 0).all(), "nothing is shown twice"


def test_mouths_that_are_wide_enough_stay_as_they_are() -> None:
    still = opening(0.1)
    torch.testing.assert_close(wide_enough(still, lips()), still)
