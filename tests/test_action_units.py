"""Action units: the table of settings a person may type, and what they do to a face's own."""

import numpy as np
import pytest

from ganim.pipeline.action_units import (
    COLUMNS,
    COUNT,
    EXPRESSIONS,
    MAX_INTENSITY,
    NAMES,
    NUMBERS,
    Edit,
    apply_edits,
    expression_edits,
    parse_edit,
    to_intensity,
    to_unit,
)
from ganim.pipeline.errors import WrongUse


def test_the_seventeen_of_openface_in_its_order() -> None:
    openface = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
    assert openface == NUMBERS
    assert COLUMNS[0] == "AU01_r" and COLUMNS[-1] == "AU45_r"
    assert len(NUMBERS) == len(NAMES) == COUNT == 17


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("12=1.0", Edit(12, 1.0)),
        ("12=1", Edit(12, 1.0)),
        ("12=0", Edit(12, 0.0)),
        ("12=.5", Edit(12, 0.5)),
        ("12=1.", Edit(12, 1.0)),
        ("1=0.25", Edit(1, 0.25)),
        ("04=0.25", Edit(4, 0.25)),
        ("AU12=0.5", Edit(12, 0.5)),
        ("au06=0.5", Edit(6, 0.5)),
        (" 45=1 ", Edit(45, 1.0)),
        ("12=+0.3", Edit(12, 0.3, relative=True)),
        ("12=-0.3", Edit(12, -0.3, relative=True)),
        ("12=+1", Edit(12, 1.0, relative=True)),
        ("12=-0", Edit(12, 0.0, relative=True)),
    ],
)
def test_parse_edit_reads(text: str, edit: Edit) -> None:
    assert parse_edit(text) == edit


@pytest.mark.parametrize(
    "text",
    [
        "99=1",
        "3=0.5",
        "28=1",  # OpenFace knows its presence, not its intensity
        "0=1",
        "-12=1",
        "1" + "2" * 5000 + "=1",  # more digits than Python turns into a number
        "12=7",
        "12=1.01",
        "12=-2",
        "12=+1.5",
        "12=" + "9" * 5000,
        "12=nan",
        "12=inf",
        "12=1e-1",
        "12=0x1",
        "12=1,0",
        "12=0.5.1",
        "12=++1",
        "12=",
        "12=.",
        "=1",
        "12",
        "12:1",
        "12 = 1",
        "12=1 25=1",
        "smile",
        "AU=1",
        "nan",
        "",
    ],
)
def test_parse_edit_refuses_and_says_what_may_be_written(text: str) -> None:
    with pytest.raises(WrongUse) as refusal:
        parse_edit(text)
    message = str(refusal.value)
    assert "1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45" in message
    assert "from 0 to 1" in message


def test_apply_edits_changes_what_is_named_and_keeps_the_rest() -> None:
    own = np.linspace(0.1, 0.9, COUNT, dtype=np.float32)
    before = own.copy()
    edits = [parse_edit("12=1.0"), parse_edit("4=+0.2"), parse_edit("45=-0.5")]
    target = apply_edits(own, edits)

    index = NUMBERS.index
    assert target[index(12)] == 1.0
    assert target[index(4)] == pytest.approx(own[index(4)] + 0.2)
    assert target[index(45)] == pytest.approx(own[index(45)] - 0.5)
    named = [index(12), index(4), index(45)]
    np.testing.assert_array_equal(np.delete(target, named), np.delete(own, named))
    np.testing.assert_array_equal(own, before)
    assert target.dtype == np.float32 and target.shape == (COUNT,)


def test_apply_edits_stays_within_the_range_and_in_the_order_given() -> None:
    own = np.full(COUNT, 0.5)
    target = apply_edits(own, [Edit(12, 0.9, relative=True), Edit(4, -0.9, relative=True)])
    assert target[NUMBERS.index(12)] == 1.0
    assert target[NUMBERS.index(4)] == 0.0
    both = apply_edits(own, [Edit(12, 0.2), Edit(12, 0.1, relative=True)])
    assert both[NUMBERS.index(12)] == pytest.approx(0.3)
    np.testing.assert_allclose(apply_edits(own, []), own)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_are_settings_of_known_units(name: str) -> None:
    edits = expression_edits(name)
    assert edits
    for edit in edits:
        assert edit.number in NAMES and 0 < edit.value <= 1 and not edit.relative
    halved = expression_edits(name, 0.5)
    assert [edit.value for edit in halved] == [edit.value / 2 for edit in edits]


def test_units_and_intensities_are_inverse_and_clamped() -> None:
    intensities = np.array([0.0, 1.0, 2.5, MAX_INTENSITY])
    np.testing.assert_allclose(to_unit(intensities), [0, 0.2, 0.5, 1])
    np.testing.assert_allclose(to_intensity(to_unit(intensities)), intensities)
    np.testing.assert_array_equal(to_unit(np.array([-1.0, 6.0])), [0, 1])
    np.testing.assert_array_equal(to_intensity(np.array([-1.0, 6.0])), [0, MAX_INTENSITY])
