"""The flow fields of AUs as they are used: corners of the mouth, brows and eyes."""

import torch
from torch import Tensor

from ganim.model.editing.fields import shown_fields
from ganim.pipeline.action_units import COUNT, NUMBERS, positions

SIDE = 8
CORNERS, CHIN, INNER, OUTER, CHEEKS, LIDS = positions((15, 17, 1, 2, 6, 7))
ACROSS = positions((10, 12, 14, 15, 17, 20, 25, 26))
LIFTING = positions((6, 9, 10, 14, 17, 20))


def of_faces() -> Tensor:
    """Fields that are 0 where they are used in part."""
    fields = torch.randn(1, COUNT + 2, 2, SIDE, SIDE)
    fields[:, ACROSS, 0] = 0
    fields[:, LIFTING, 1, SIDE // 2 :] = 0
    return fields


def asked(lips_part: float, rise: float) -> tuple[Tensor, Tensor]:
    """The AUs that a face is asked for, and the change."""
    aus, change = torch.zeros(2, 1, COUNT)
    aus[:, positions((25,))] = lips_part
    change[:, CORNERS] = rise
    return aus, change


def test_corners_of_the_mouth_go_down_and_nothing_goes_up():
    torch.manual_seed(0)
    fields = torch.randn(1, COUNT + 2, 2, SIDE, SIDE)
    before = fields.clone()
    opened, closed = (
        shown_fields(fields, *asked(lips, 0.5), NUMBERS)[0, CORNERS] for lips in (1.0, 0.0)
    )
    torch.testing.assert_close(opened[0], 0.3 * before[0, CORNERS, 0])
    assert opened[1].max() <= 0 and torch.equal(opened[1], before[0, CORNERS, 1].clamp(max=0))
    chin = closed - 1.6 * opened
    of_chin = shown_fields(fields, *asked(1.0, 0.0), NUMBERS)[0, CHIN]
    torch.testing.assert_close(chin, 0.2 * of_chin)  # a closed mouth raises the chin, too
    assert torch.equal(fields, before), "the input is kept: other AUs of a face use it"


def test_other_fields_and_falls_stay_as_they_are():
    fields = of_faces()
    shown = shown_fields(fields, *asked(0.0, 0.5), NUMBERS)
    others = [column for column in range(COUNT + 2) if column != CORNERS]
    assert torch.equal(shown[:, others], fields[:, others])
    for change in (0.0, -0.5):
        assert torch.equal(shown_fields(fields, *asked(0.0, change), NUMBERS), fields)


def test_weights_that_do_not_know_both_aus_have_their_own_fields():
    fields = torch.randn(1, 2, 2, SIDE, SIDE)
    assert torch.equal(shown_fields(fields, *asked(0.0, 0.5), (4, 7)), fields)


def test_outer_brows_take_the_inner_ends_along_unless_these_rise_too():
    fields = of_faces()
    aus, change = torch.zeros(2, 1, COUNT)
    change[:, OUTER] = 0.6
    alone = shown_fields(fields, aus, change, NUMBERS)
    added = alone[:, OUTER] - fields[:, OUTER]
    torch.testing.assert_close(added, 0.5 * fields[:, INNER])
    assert torch.equal(alone[:, INNER], fields[:, INNER])
    change[:, INNER] = 0.6
    torch.testing.assert_close(shown_fields(fields, aus, change, NUMBERS), fields)
    change[:, [INNER, OUTER]] = torch.tensor([0.6, -0.6])
    assert torch.equal(shown_fields(fields, aus, change, NUMBERS), fields)


def test_cheeks_that_rise_narrow_the_eyes_unless_lids_are_asked_to():
    fields = of_faces()
    aus, change = torch.zeros(2, 1, COUNT)
    change[:, CHEEKS] = 0.6
    alone = shown_fields(fields, aus, change, NUMBERS)
    torch.testing.assert_close(alone[:, CHEEKS] - fields[:, CHEEKS], 0.9 * fields[:, LIDS])
    change[:, LIDS] = 0.6
    torch.testing.assert_close(shown_fields(fields, aus, change, NUMBERS), fields)
    change[:, [CHEEKS, LIDS]] = -0.6
    torch.testing.assert_close(shown_fields(fields, aus, change, NUMBERS), fields)


def test_mouths_become_as_much_wider_and_are_lifted_as_those_of_people():
    fields = torch.ones(1, COUNT + 2, 2, SIDE, SIDE)
    for known in (NUMBERS, NUMBERS[:10]):
        shown = shown_fields(fields, *torch.zeros(2, 1, COUNT), known)
        for at, number in enumerate(known):
            across = shown[0, at, 0].unique().item()
            assert (across < 0.95) == (number in (10, 12, 14, 15, 17, 20, 25))
            assert (across > 1) == (number == 26)
            lifted = shown[0, at, 1]
            assert (lifted[: SIDE // 2] == 1).all()
            assert (lifted[-SIDE // 4 :].max() < 0.8) == (number in (6, 9, 10, 14, 17, 20))
        assert (shown[:, len(known) :] == 1).all()
