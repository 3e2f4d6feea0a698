"""Action units: the table of settings a person may type, and what they do to a face's own."""

import numpy as np
import pytest

from ganim.pipeline.action_units import (
    COLUMNS,
    COUNT,
    MAX_INTENSITY,
    NAMES,
    NUMBERS,
    Edit,
    apply_edits,
    parse_edits,
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
        ("04=0.25", Edit(4, 0.25)),
        ("AU12=0.5", Edit(12, 0.5)),
        ("au06=0.5", Edit(6, 0.5)),
        (" 45 = 1 ", Edit(45, 1.0)),
        ("lip_corner_puller=0.5", Edit(12, 0.5)),
        ("lip corner puller = 0.5", Edit(12, 0.5)),
        ("Lip-Corner-Puller=+0.5", Edit(12, 0.5, relative=True)),
        ("12=+0.3", Edit(12, 0.3, relative=True)),
        ("12=-0.3", Edit(12, -0.3, relative=True)),
        ("12=\N{MINUS SIGN}0.3", Edit(12, -0.3, relative=True)),
        ("12=-0", Edit(12, 0.0, relative=True)),
    ],
)
def test_parse_edits_reads(text: str, edit: Edit) -> None:
    assert parse_edits([text]) == [edit]


def test_several_settings_in_one_text() -> None:
    assert parse_edits(["12=1,6=0.7", "blink=+0.1"]) == [
        Edit(12, 1.0),
        Edit(6, 0.7),
        Edit(45, 0.1, relative=True),
    ]
    assert parse_edits(["12=0,5=0.3"]) == [Edit(12, 0.0), Edit(5, 0.3)]
    assert parse_edits([]) == []


@pytest.mark.parametrize(
    ("texts", "mistake"),
    [
        (["12=1,0"], "decimal comma: write 12=1.0, with a point"),
        (["6=0.5,12=0,75"], "decimal comma: write 12=0.75"),
        (["12=1,,6=1"], "a comma with nothing"),
        (["12=1,"], "a comma with nothing"),
        (["12=0.5,25"], "'25' says no value for AU25"),
        (["12=1", "12=0.5"], "AU12 is given twice, as '12=1' and '12=0.5'"),
        (["12=1,lip corner puller=+0.5"], "AU12 is given twice"),
        (["99=1"], "AU99 is not one of the 17"),
        (["28=1"], "AU28 is not one of the 17"),  # OpenFace knows its presence, not its intensity
        (["1" + "2" * 5000 + "=1"], "There is no AU"),  # more digits than Python makes a number
        (["-12=1"], "There is no AU '-12'"),
        (["lip corner puler=1"], "did you mean 'lip corner puller' (AU12)?"),
        (["smile"], "There is no AU 'smile'. The 17 are 1 inner brow raiser"),
        (["AU=1"], "There is no AU 'AU'"),
        (["12=7"], "7 is above 1. The value runs from 0 to 1."),
        (["12=3"], "3 is above 1. The value runs from 0 to 1; OpenFace's 0 to 5 is divided by 5"),
        (["12=-2"], "-2 is below -1. The value runs from -1 to +1"),
        (["12=+1.5"], "+1.5 is above 1. The value runs from -1 to +1"),
        (["12=" + "9" * 400], "is above 1"),
        (["12=50%"], "has a percentage"),
        (["12=nan"], "'nan' is not a number such as"),
        (["12=1e-1"], "'1e-1' is not a number"),
        (["12=0.5.1"], "'0.5.1' is not a number"),
        (["12=++1"], "'++1' is not a number"),
        (["12=."], "'.' is not a number"),
        (["12="], "no value after the equals sign"),
        (["=1"], "names no AU before the equals sign"),
        (["12"], "says no value for AU12"),
        (["12:1"], "has a colon"),
        (["12=1 25=1"], "put a comma between settings"),
        (["12==1"], "two equals signs"),
        ([""], "An empty AU setting"),
    ],
)
def test_parse_edits_names_the_mistake(texts: list[str], mistake: str) -> None:
    with pytest.raises(WrongUse) as refusal:
        parse_edits(texts)
    assert mistake.lower() in str(refusal.value).lower()


def test_apply_edits_changes_what_is_named_and_keeps_the_rest() -> None:
    own = np.linspace(0.1, 0.9, COUNT, dtype=np.float32)
    before = own.copy()
    edits = parse_edits(["12=1.0,4=+0.2", "45=-0.5"])
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


def test_units_and_intensities_are_inverse_and_clamped() -> None:
    intensities = np.array([0.0, 1.0, 2.5, MAX_INTENSITY])
    np.testing.assert_allclose(to_unit(intensities), [0, 0.2, 0.5, 1])
    np.testing.assert_allclose(to_intensity(to_unit(intensities)), intensities)
    np.testing.assert_array_equal(to_unit(np.array([-1.0, 6.0])), [0, 1])
    np.testing.assert_array_equal(to_intensity(np.array([-1.0, 6.0])), [0, MAX_INTENSITY])
