"""Finding brows and eyes, moving brows as they are, and the lids below."""

from pathlib import Path

import pytest
import torch
from part_training import train_part
from tiny import randomise
from torch import Tensor

from ganim.model.config import GeneratorSettings
from ganim.model.editing.brow_motion import with_brows
from ganim.model.editing.brows import Brows, brows_of, cut_to_upper_face
from ganim.model.editing.columns import centres, fitted
from ganim.model.editing.foreheads import with_still_hair
from ganim.model.editing.lids import with_even_lids
from ganim.model.editing.masks import Masks
from ganim.model.editing.upper_face import UpperFaceNetwork
from ganim.model.networks.flow_generator import FlowGenerator
from ganim.model.training import train_upper_face
from ganim.model.training.upper_face_examples import upper_face_ends
from ganim.model.warp import coordinates, warped
from ganim.pipeline.action_units import COUNT, positions

SIDE = 128
BEGIN, END, EYE = -0.6, -0.5, -0.3
"""Rows of brows and eyes, in -1..1."""
LEFT, RIGHT = slice(28, 56), slice(72, 100)
"""Columns of the brows, in px."""
BOUNDS = torch.zeros(1, 2, SIDE // 4, SIDE // 4)
"""Nothing covers the face."""
MIDDLE = 42
"""A column in the middle of the left one."""


def brows() -> Brows:
    """Of one face."""
    rows = torch.tensor([BEGIN, END, EYE])[None, :, None].repeat(1, 1, SIDE)
    within = torch.zeros(1, 2, SIDE)
    within[0, 0, LEFT] = within[0, 1, RIGHT] = 1
    return Brows(rows, within, torch.full((1, 2, SIDE), EYE))


def raising(by: float, row: float = BEGIN) -> Tensor:
    """A smooth flow (1, 2, SIDE, SIDE) by which a face goes up around a row."""
    y = torch.linspace(-1, 1, SIDE)
    up = by * torch.exp(-((y - row + by) / 0.2).square())
    return torch.stack([torch.zeros(SIDE, SIDE), up[:, None].expand(-1, SIDE)])[None]


def shown_rows(flow: Tensor) -> Tensor:
    """(h, w): the row that each pixel of a result shows, in -1..1."""
    return (coordinates(flow) + flow)[0, 1]


def height_of_brow(flow: Tensor, column: int = MIDDLE) -> float:
    rows = shown_rows(flow)[:, column]
    return float(((rows > BEGIN) & (rows < END)).sum()) * 2 / SIDE


def test_a_raised_brow_keeps_its_height() -> None:
    flow = raising(0.15)
    motion = with_brows(flow, brows())
    height = END - BEGIN
    assert height_of_brow(flow) > 1.3 * height, "the flow stretches it"
    assert height_of_brow(motion.flow) == pytest.approx(height, abs=2 / SIDE)
    lowest = shown_rows(motion.flow)[:, MIDDLE]
    assert (lowest.diff() > -1e-5).all(), "nothing is shown twice"


def test_what_is_far_from_brows_is_moved_by_the_flow() -> None:
    flow = raising(0.15)
    motion = with_brows(flow, brows())
    same = (motion.flow - flow).abs().amax(1)[0] < 1e-5
    assert same[round((EYE + 1) * SIDE / 2) + 2 :].all(), "eyes, and what is below"
    assert same[:, :4].all() and same[:, -4:].all(), "beside the face"
    for part in (motion.brow, motion.lid):
        assert part[0, 0, :, SIDE // 2].max() < 0.05, "nothing between the brows"
    assert motion.lid[0, 0, :, MIDDLE].max() > 0.9
    y = centres(SIDE, flow)
    shown = y[motion.lid[0, 0, :, MIDDLE] > 0.5]
    assert shown.min() > END - 0.25 and shown.max() < EYE


def test_a_brow_is_bent_by_a_smooth_curve() -> None:
    flow = raising(0.15)
    flow[..., MIDDLE : MIDDLE + 4] *= 2
    motion = with_brows(flow, brows())
    row = round((BEGIN - 0.15 + 1) * SIDE / 2) + 4
    before, after = (each[0, 1, row, LEFT].diff().abs().max() for each in (flow, motion.flow))
    assert after < 0.2 * before


def test_a_brow_that_is_lowered_stops_above_the_eye() -> None:
    flow = -raising(0.3, row=BEGIN - 0.3)
    rows = shown_rows(with_brows(flow, brows()).flow)[:, MIDDLE]
    eye = rows[round((EYE + 1) * SIDE / 2) + 1 :]
    assert (eye > EYE - 0.02).all(), "the eye is not covered"
    assert height_of_brow(with_brows(flow, brows()).flow) > 0.7 * (END - BEGIN)


def test_brows_lie_in_the_frame_on_both_sides() -> None:
    ends = torch.full((1, 4, SIDE), 44.0)
    for columns in (LEFT, RIGHT):
        ends[:, :, columns] = torch.tensor([26.0, 32, 44, 50])[:, None]
    ends = torch.roll(ends, 8, 2)
    found = brows_of(ends)
    left, right = found.within[0]
    assert left[MIDDLE + 8] == 1 and right[MIDDLE + 8] == 0
    assert right[SIDE - MIDDLE + 8] == 1 and left[SIDE - MIDDLE + 8] == 0
    assert not found.within[..., SIDE // 2 + 8].any()
    begin, end, eye = found.rows[0, :, MIDDLE + 8]
    assert -1 < begin < 26 * 2 / SIDE - 1 < 32 * 2 / SIDE - 1 < end < eye < 44 * 2 / SIDE - 1
    upper, lower = found.eyes[0]
    assert upper[MIDDLE] == pytest.approx(44 * 2 / SIDE - 1)
    assert lower[MIDDLE + 8] == pytest.approx(50 * 2 / SIDE - 1)
    assert torch.equal(upper[: LEFT.start], lower[: LEFT.start])


def test_a_polynomial_is_fitted_to_some_columns() -> None:
    x = centres(SIDE, torch.zeros(1))
    curve = (1 + 2 * x + 3 * x.square())[None]
    weights = torch.zeros(1, SIDE)
    weights[0, LEFT] = 1
    spoiled = torch.where(weights > 0, curve, 100.0)
    torch.testing.assert_close(fitted(spoiled, weights, 1), curve, atol=0.02, rtol=0.02)
    line = fitted(curve, weights, 0)
    assert line.diff(n=2).abs().max() < 1e-4
    nothing = fitted(torch.zeros(1, SIDE), torch.zeros(1, SIDE), 1)
    assert not nothing.any()


def drawn_face(light: float) -> tuple[Tensor, Tensor]:
    """A face (1, 3, SIDE, SIDE) uint8 with dark brows, which rise outwards, and its landmarks."""
    face = torch.full((SIDE, SIDE), 180.0 * light)
    columns = torch.arange(SIDE)
    upper = 30 - (columns - SIDE / 2).abs() / 10
    rows = torch.arange(SIDE)[:, None]
    dark = (rows >= upper.round()) & (rows < upper.round() + 7)
    within = torch.zeros(SIDE, dtype=torch.bool)
    within[LEFT] = within[RIGHT] = True
    face[dark & within] *= 0.4
    points = torch.zeros(1, 68, 2)
    for first, eye, part in ((17, 36, LEFT), (22, 42, RIGHT)):
        x = torch.linspace(part.start, part.stop, 5)
        line = torch.stack([x, torch.full((5,), 28.0)], 1)
        points[0, first : first + 5] = line
        points[0, eye : eye + 4] = torch.stack([x[:4] + 4, torch.full((4,), 50.0)], 1)
    return face.expand(1, 3, -1, -1).round().byte(), points * (2 / SIDE) - 1


@pytest.mark.parametrize("light", [1.0, 0.4])
def test_edges_of_brows_are_found_near_to_landmarks(light: float) -> None:
    face, landmarks = drawn_face(light)
    columns = torch.arange(SIDE)
    eyes = torch.stack([torch.full((SIDE,), 50.0), torch.full((SIDE,), 56.0)])[None]
    ends = upper_face_ends(face, landmarks, eyes)
    assert (ends.diff(dim=1) >= 0).all()
    assert torch.equal(ends[:, 2:], eyes)
    upper = 30 - (columns - SIDE / 2).abs() / 10
    for part in (slice(32, 52), slice(76, 96)):
        assert (ends[0, 0, part] - upper[part]).abs().max() < 1.2
        assert (ends[0, 1, part] - upper[part] - 7).abs().max() < 1.2
    beside = ends[0, :, SIDE // 2]
    assert beside[0] == beside[2], "no brow between the two"


def skin() -> Tensor:
    """A face (1, 3, SIDE, SIDE) in -1..1 with dark lids that have upright strips."""
    face = torch.tensor([0.4, 0.1, -0.1])[None, :, None, None].repeat(1, 1, SIDE, SIDE)
    strips = (torch.arange(SIDE) % 4 < 2) * 0.2
    rows = slice(round((END + 1) * SIDE / 2), round((EYE + 1) * SIDE / 2))
    face[:, :, rows] = (strips - 0.3).expand(1, 3, rows.stop - rows.start, -1)
    return face


def skin_masks(flow: Tensor) -> Masks:
    return Masks(torch.ones(1, 1, SIDE, SIDE), skin(), warped(skin(), flow), flow)


def test_lids_become_lighter_and_have_no_strips() -> None:
    motion = with_brows(raising(0.25, row=END), brows())
    masks = skin_masks(motion.flow)
    before, after = masks.blend(), with_even_lids(masks, motion.lid, motion.high).blend()
    lid = (motion.lid * motion.high)[0, 0] > 0.5
    assert lid.any()
    assert after[0, :, lid].mean() > before[0, :, lid].mean() + 0.05
    assert after[0, 2, lid].std() < 0.7 * before[0, 2, lid].std()
    assert torch.equal(after[..., SIDE // 2 :, :], before[..., SIDE // 2 :, :])
    still = masks._replace(flow=torch.zeros_like(motion.flow))
    assert with_even_lids(still, motion.lid, motion.high) is still, "where nothing is stretched"


def test_brows_are_moved_where_aus_of_brows_change_and_the_network_is_trained() -> None:
    network = UpperFaceNetwork().eval().requires_grad_(False)
    masks = skin_masks(raising(0.15))
    faces, free, still = skin(), torch.ones(1, 1, SIDE // 2, SIDE // 2), torch.zeros(1)
    found = brows()
    ends = (torch.cat([found.rows, found.eyes[:, 1:] + 0.1], 1) + 1) * (SIDE / 2)
    ends[:, :, SIDE // 2 - 8 : SIDE // 2 + 8] = ends[:, 2:3, :1]
    seen, irises = brows_of(ends), network.irises_in(faces, ends)
    change = torch.zeros(1, COUNT)
    change[:, positions((1,))] = 1
    assert network.shown(masks, faces, seen, irises, change, still, still, free, BOUNDS) is masks, (
        "untrained"
    )
    network.trained.fill_(1)
    other = torch.zeros(1, COUNT)
    other[:, positions((12,))] = 1
    below = (..., slice(round((BEGIN + 1) * SIDE / 2), None), slice(None))
    shut = seen._replace(eyes=seen.eyes[:, :1].expand(-1, 2, -1))
    smiling = network.shown(masks, faces, shut, irises, other, still, still, free, BOUNDS)
    assert torch.equal(smiling.blend()[below], masks.blend()[below])
    assert network.shown(masks, faces, seen, irises, other * 0, still, still, free, BOUNDS) is masks
    used = network.shown(masks, faces, seen, irises, change, still, still, free, BOUNDS)
    assert used.flow is not None and masks.flow is not None
    assert (used.flow - masks.flow).abs().max() > 0.02
    covered = network.shown(masks, faces, seen, irises, change, still, still, free * 0, BOUNDS)
    assert covered.flow is not None and torch.equal(covered.flow[below], masks.flow[below])


def test_hair_is_not_moved_and_foreheads_gradually() -> None:
    flow = torch.zeros(1, 2, SIDE, SIDE)
    flow[:, 1] = 0.05
    face = torch.rand(1, 3, SIDE, SIDE) * 2 - 1
    moved = warped(face, flow)
    masks = Masks(torch.full((1, 1, SIDE, SIDE), 0.5), moved + 0.25, moved, flow)
    used = with_still_hair(masks, face, brows(), torch.ones(()))
    assert used.flow is not None
    down = used.flow[0, 1]
    begin = round((BEGIN - 0.05 + 1) * SIDE / 2)
    assert torch.equal(down[begin - 2 :], flow[0, 1, begin - 2 :])
    assert (down.diff(dim=0) >= -1e-6).all() and down[0].max() < 0.005
    torch.testing.assert_close(used.colour - used.face, masks.colour - masks.face)
    assert used.attention[..., 0, :].min() > 0.95 and used.attention[..., SIDE // 2, 0] == 0.5
    off = with_still_hair(masks, face, brows(), torch.zeros(()))
    assert torch.equal(off.blend(), masks.blend())


def test_the_upper_part_of_faces_is_searched() -> None:
    faces = torch.rand(2, 3, 160, 160) * 2 - 1
    assert cut_to_upper_face(faces).shape == (2, 3, 88, 160)
    ends = UpperFaceNetwork().ends_of(faces)
    assert ends.shape == (2, 4, 160) and ends.max() < 88


def test_the_command_changes_the_network_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = FlowGenerator(GeneratorSettings(8, architecture="flow"))
    randomise(generator)
    landmarks = drawn_face(1.0)[1][0]
    generator.reference.copy_(landmarks + 0.01 * torch.randn_like(landmarks))
    monkeypatch.setattr(
        train_upper_face, "find_landmarks", lambda faces: landmarks.expand(len(faces), -1, -1)
    )
    monkeypatch.setattr(train_upper_face, "_SHOWN", 2)
    few = ["--steps", "2", "--batch", "4"]
    trained = train_part(train_upper_face.main, generator, 64, tmp_path, few)
    assert "16 pictures" in trained.output and "\n     2 " in trained.output
    assert trained.parts == {"upper_face"} and trained.weights["upper_face.trained"] == 1


def test_weights_without_the_network_leave_brows_and_close_eyes_by_flow() -> None:
    generator = FlowGenerator(GeneratorSettings(8, architecture="flow"))
    state = {name: x for name, x in generator.state_dict().items() if "upper_face" not in name}
    state["brows.trained"] = torch.ones(())  # of version 17
    later = FlowGenerator(generator.settings)
    later.load_state_dict(state)
    assert later.upper_face.trained == 0
    change, own = torch.ones(1, COUNT), torch.zeros(1, COUNT)
    assert torch.equal(later.upper_face.left_to_flow(change, brows()), change)
    assert later.upper_face.closing(own, change) == 0
