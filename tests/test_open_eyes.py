"""Eyes between lids that move: irises keep their size, lids and lashes go up and down over them."""

import torch
from torch import Tensor

from ganim.model.editing.brows import LAYERS, Brows, brows_of
from ganim.model.editing.masks import Masks
from ganim.model.editing.occlusion import bounds
from ganim.model.editing.open_eyes import light_in_eyes, seen_eyes, with_open_eyes
from ganim.model.editing.upper_face import UpperFaceNetwork
from ganim.model.warp import coordinates, warped
from ganim.pipeline.action_units import COUNT, positions

SIDE = 160
MIDDLES, ROW, RADIUS = (48, 112), 60, 5.5
"""Columns and row of the middles of two irises, and their radius, in px."""
HALF, UPPER, LOWER = 13, 4.0, 5.0
"""Half the width of an eye, and how far its lids lie from the middle of the iris, in px: the upper
one, and less than the lower one, covers a part of the iris."""
SKIN, WHITE, IRIS, LASH = 0.3, 0.8, -0.6, -0.9
FREE = torch.ones(1, 1, SIDE // 2, SIDE // 2)
NO_LIGHT = torch.zeros(1)
UNLIMITED = torch.zeros(1, 2, SIDE // 4, SIDE // 4)
"""What `bounds` gives where nothing covers the face."""
PLACES = torch.tensor(
    [[[(middle * 2 / SIDE) - 1, ROW * 2 / SIDE - 1, RADIUS * 2 / SIDE] for middle in MIDDLES]]
)


def eye_rows() -> tuple[Tensor, Tensor]:
    """(w,) each, in px: where the upper lid of each column ends and the lower one begins."""
    columns = torch.arange(SIDE) + 0.5
    away = torch.stack([(columns - middle) / HALF for middle in MIDDLES]).abs().amin(0)
    arch = (1 - away.square()).clamp(min=0)
    return ROW - UPPER * arch, ROW + LOWER * arch


def face() -> Tensor:
    """(1, 3, SIDE, SIDE): skin with two eyes, with irises and, above, lashes."""
    rows, columns = torch.meshgrid(
        torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij"
    )
    upper, lower = eye_rows()
    picture = torch.full((SIDE, SIDE), SKIN)
    eye = (rows > upper) & (rows < lower)
    iris = torch.stack(
        [((rows - ROW).square() + (columns - middle).square()).sqrt() for middle in MIDDLES]
    ).amin(0)
    picture[eye] = WHITE
    picture[eye & (iris < RADIUS)] = IRIS
    picture[(rows <= upper) & (rows > upper - 2) & (lower > upper)] = LASH
    return picture.expand(1, 3, -1, -1).clone()


def found() -> Brows:
    upper, lower = (row * 2 / SIDE - 1 for row in eye_rows())
    begin = torch.full_like(upper, 40 * 2 / SIDE - 1)
    within = torch.stack(
        [(lower > upper) * (torch.arange(SIDE) < SIDE // 2), lower > upper]
    ).float()
    within[1] -= within[0]
    rows = torch.stack([begin, begin + 0.05, upper - 0.03])
    return Brows(rows[None], within[None], torch.stack([upper, lower])[None])


def masks(flow: Tensor | None = None) -> Masks:
    flow = torch.zeros(1, 2, SIDE, SIDE) if flow is None else flow
    return Masks(torch.ones(1, 1, SIDE, SIDE), face(), warped(face(), flow), flow)


def shown(
    by: float, before: Masks | None = None, free: Tensor = FREE, limits: Tensor = UNLIMITED
) -> Masks:
    return with_open_eyes(
        before or masks(), face(), found(), PLACES, torch.tensor([by]), NO_LIGHT, free, limits
    )


def squeezing() -> Tensor:
    """A flow (1, 2, SIDE, SIDE) by which eyes become half as high."""
    flow = torch.zeros(1, 2, SIDE, SIDE)
    rows = torch.arange(SIDE) + 0.5 - ROW
    away = rows.abs().clamp(max=20)
    flow[:, 1] = (rows.sign() * torch.where(away < 3, away, (20 - away) * 3 / 17) * 2 / SIDE)[
        :, None
    ]
    return flow


def dark(picture: Tensor, row: int = ROW) -> int:
    """How many pixels of a row near the left eye show the iris."""
    near = picture[0, 0, row, MIDDLES[0] - 9 : MIDDLES[0] + 9]
    return int((near < 0).sum())


def height(picture: Tensor) -> int:
    """How many rows in the middle of the left eye are no skin or lashes."""
    column = picture[0, 0, ROW - 15 : ROW + 15, MIDDLES[0] - 8]
    return int((column > SKIN + 0.2).sum())


def test_eyes_that_open_show_more_of_the_same_iris_below_lashes_that_are_as_they_were() -> None:
    before, opened = face(), shown(1.0).blend()
    assert height(opened) >= height(before) + 2
    assert dark(opened) == dark(before), "as wide as it was"
    column = slice(ROW - 20, ROW + 10), MIDDLES[0]
    lashes = [(picture[0, 0][column] < LASH + 0.1).sum() for picture in (before, opened)]
    assert abs(lashes[0] - lashes[1]) <= 1
    above = ROW - 4
    assert opened[0, 0, above, MIDDLES[0]] < 0
    assert opened[0, 0, above, MIDDLES[0] + 5] > SKIN, "the iris is round"


def test_lids_that_come_nearer_cover_the_eye_and_do_not_press_it() -> None:
    narrowed = masks(squeezing())
    pressed, kept = narrowed.blend(), shown(0.0, narrowed).blend()
    assert height(kept) < height(face()) and abs(height(kept) - height(pressed)) <= 2
    assert dark(kept) == dark(face())
    inside = middle_of_eye(kept)
    torch.testing.assert_close(inside, middle_of_eye(face()))


def middle_of_eye(picture: Tensor) -> Tensor:
    """The middle of the left eye."""
    return picture[0, :, ROW - 1 : ROW + 1, MIDDLES[0] - 8 : MIDDLES[0] + 8]


def test_eyes_are_not_painted() -> None:
    painted = masks()._replace(attention=torch.zeros(1, 1, SIDE, SIDE), colour=face() - 0.5)
    result = shown(0.0, painted).blend()
    torch.testing.assert_close(middle_of_eye(result), middle_of_eye(face()), atol=0.03, rtol=0)
    torch.testing.assert_close(result[..., :20, :], face()[..., :20, :] - 0.5)


def test_nothing_changes_without_motion_or_where_eyes_are_covered() -> None:
    torch.testing.assert_close(shown(0.0).blend(), face(), atol=2e-3, rtol=0)
    torch.testing.assert_close(shown(1.0, free=FREE * 0).blend(), face(), atol=1e-4, rtol=0)
    opened = shown(1.0).blend()
    assert (opened - face())[..., :38, :].abs().max() < 1e-4
    assert (opened - face())[..., 90:, :].abs().max() < 1e-4


def test_glasses_above_the_eye_are_shown_once() -> None:
    frame = torch.zeros(1, 1, SIDE // 2, SIDE // 2)
    row = (ROW - 12) // 2
    frame[:, :, row : row + 2] = 1
    before = face()
    before[..., 2 * row : 2 * row + 4, :] = -1.0
    masks_of_it = masks()._replace(face=before)
    opened = [
        with_open_eyes(
            masks_of_it, before, found(), PLACES, torch.ones(1), NO_LIGHT, 1 - frame, limits
        )
        for limits in (UNLIMITED, bounds(frame))
    ]
    above = slice(2 * row - 6, 2 * row), slice(MIDDLES[0] - 5, MIDDLES[0] + 6)
    twice, once = ((SKIN - one.blend()[0, 0][above]).sum() for one in opened)
    assert once < 0.3 * twice


def in_shadow() -> Tensor:
    """The face with the shadow of the lids on two rows of its eyes, whose whites are grey."""
    picture = face()
    picture[picture == WHITE] = 0.0
    upper, lower = (row[None] for row in eye_rows())
    rows = torch.arange(SIDE)[:, None] + 0.5
    picture[0, :, (rows > upper) & (rows < upper + 2) & (rows < lower)] -= 0.35
    return picture


def test_no_shadow_is_left_where_the_lid_was_and_whites_are_lit() -> None:
    before = in_shadow()
    still = torch.zeros(1, 2, SIDE, SIDE)
    masks = Masks(torch.ones(1, 1, SIDE, SIDE), before, before, still)
    opened = with_open_eyes(
        masks, before, found(), PLACES, torch.tensor([1.0]), NO_LIGHT, FREE, UNLIMITED
    ).blend()
    lid = round(ROW - UPPER)
    for across, left in ((0, 0.1), (7, 0.0)):  # an iris, and the white beside it
        column = MIDDLES[0] + across
        shaded, below = before[0, 0, lid + 1, column], before[0, 0, ROW, column]
        assert shaded < below - 0.3
        assert opened[0, 0, lid + 1, column] > opened[0, 0, ROW, column] - left - 0.02
    white = opened[0, 0, ROW, MIDDLES[0] + 7]
    assert 0.03 < white < 0.84 * (1 + SKIN) - 1 + 0.02, "before: 0"
    pupil = opened[0, 0, ROW, MIDDLES[0]]
    assert abs(pupil - IRIS) < 0.05


def test_an_iris_keeps_the_light_that_it_reflects_below_the_lid() -> None:
    before = in_shadow()
    row, column = round(ROW - UPPER) + 2, MIDDLES[0] + 1
    before[..., row : row + 2, column : column + 2] = 0.9
    still = torch.zeros(1, 2, SIDE, SIDE)
    masks = Masks(torch.ones(1, 1, SIDE, SIDE), before, before, still)
    opened = with_open_eyes(
        masks, before, found(), PLACES, torch.ones(1), NO_LIGHT, FREE, UNLIMITED
    ).blend()
    assert opened[0, 0, row, column] > 0.4
    assert abs(opened[0, 0, row, column - 3] - IRIS) < 0.15


def test_more_light_falls_into_eyes_that_are_open() -> None:
    eyes = [
        with_open_eyes(
            masks(), face(), found(), PLACES, torch.zeros(1), torch.tensor([light]), FREE, UNLIMITED
        ).blend()
        for light in (-0.2, 0.0, 0.2)
    ]
    column = MIDDLES[0] + 7
    dark, same, lit = (each[0, :, ROW, column] for each in eyes)
    assert (dark < same - 0.05).all() and (lit >= same).all()
    assert dark[0] > dark[1], "shade is redder"
    skin = slice(0, ROW - 10)
    assert torch.equal(eyes[0][..., skin, :], eyes[2][..., skin, :])

    def light(opening: float, **changes: float) -> float:
        change = torch.zeros(1, COUNT)
        for name, by in changes.items():
            change[:, positions((int(name[2:]),))] = by
        return float(light_in_eyes(change, torch.tensor([opening])))

    assert light(0.0) == 0
    assert light(0.5) > 0.15 and light(1.0) == light(0.5), "no more than in photographs"
    assert light(0.0, au4=0.8) < -0.15 and light(0.0, au6=0.9) < -0.1
    assert light(0.0, au6=0.9) == light(0.0, au6=0.9, au7=0.9)


def test_a_little_changes_little() -> None:
    change = (shown(0.02).blend() - face()).abs()
    assert change.mean() < 2e-3


def test_no_row_is_shown_above_one_that_lies_higher() -> None:
    for before in (masks(), masks(squeezing())):
        flow = shown(0.8, before).flow
        assert flow is not None
        rows = (coordinates(flow) + flow)[0, 1, :, MIDDLES[0]]
        assert (rows.diff() > -1e-4).all()


def test_closed_eyes_are_left_to_the_generator() -> None:
    network = UpperFaceNetwork()
    network.trained.fill_(1)
    upper, lower = eye_rows()
    ends = torch.stack([upper - 20, upper - 14, upper, lower])[None].repeat(2, 1, 1)
    ends[1, 3] = ends[1, 2] + 1
    assert ends.shape[1] == LAYERS - 1
    seen = brows_of(ends)
    own, asked = torch.zeros(2, COUNT), torch.zeros(2, COUNT)
    column = positions((5,))[0]
    asked[:, column] = 0.6
    torch.testing.assert_close(network.opening(own, asked, seen), torch.tensor([0.6, 0.0]))
    left = network.left_to_flow(asked - own, seen)[:, column]
    torch.testing.assert_close(left, torch.tensor([0.0, 0.6]))
    closing = asked.clone()
    closing[:, positions((45,))] = 1
    assert not network.opening(own, closing, seen).any(), "eyes that close do not open"
    assert seen_eyes(found()).item() == 1
