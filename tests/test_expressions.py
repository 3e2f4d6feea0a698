"""The 22 expressions by name, and what a request makes of a face's own AUs."""

import numpy as np
import pytest

from ganim.pipeline.action_units import COUNT, NUMBERS, Edit
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.expressions import EXPRESSIONS, Request, parse_expression

OWN = np.linspace(0.1, 0.9, COUNT, dtype=np.float32)
BLINK = NUMBERS.index(45)


def value(aus: np.ndarray, number: int) -> float:
    return float(aus[NUMBERS.index(number)])


def test_the_22_of_du_et_al_are_aus_in_range() -> None:
    assert len(EXPRESSIONS) == 22
    for name, aus in EXPRESSIONS.items():
        assert set(aus) <= set(NUMBERS) and all(0 < value <= 1 for value in aus.values()), name
    # Table 1 of the paper: AUs that more than 70% of the people showed.
    assert {12, 25} <= set(EXPRESSIONS["happy"])
    assert {1, 2, 12, 25} <= set(EXPRESSIONS["happily surprised"])
    assert {1, 4, 10, 20, 25} <= set(EXPRESSIONS["fearfully disgusted"])


@pytest.mark.parametrize(
    "text",
    ["happily surprised", "Happily_Surprised", "happily-surprised", "happily surprised=1"],
)
def test_names_are_read_as_people_write_them(text: str) -> None:
    aus = parse_expression(text)
    assert value(aus, 12) == pytest.approx(0.62) and value(aus, 4) == 0


def test_an_expression_takes_a_strength_and_the_noun() -> None:
    assert value(parse_expression("happiness=0.5"), 12) == pytest.approx(0.375)
    assert value(parse_expression("happy=2"), 12) == 1.0


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("boredom", "There is no expression 'boredom': they are neutral, happy"),
        ("hapy", "did you mean 'happy'?"),
        ("happy=3", "'3' is not a strength from 0 to 2"),
        ("happy=", "'' is not a strength"),
        ("happy=nan", "'nan' is not a strength"),
    ],
)
def test_mistakes_are_named(text: str, mistake: str) -> None:
    with pytest.raises(WrongUse) as refusal:
        parse_expression(text)
    assert mistake in str(refusal.value)


def test_an_expression_is_of_the_whole_face_but_for_blinks() -> None:
    target = Request(expression=parse_expression("happy")).target(OWN)
    assert value(target, 12) == pytest.approx(0.75) and value(target, 4) == 0
    assert target[BLINK] == OWN[BLINK]
    neutral = Request(expression=parse_expression("neutral")).target(OWN)
    assert not np.delete(neutral, BLINK).any() and neutral[BLINK] == OWN[BLINK]


def test_single_aus_change_an_expression() -> None:
    edits = [Edit(12, 0.1, relative=True), Edit(4, 0.3)]
    request = Request(edits, parse_expression("happy"))
    target = request.target(OWN)
    assert value(target, 12) == pytest.approx(0.85) and value(target, 4) == pytest.approx(0.3)
    assert request.numbers == [4, 6, 12, 25]


def test_asked_for_nothing_a_face_keeps_its_own() -> None:
    np.testing.assert_array_equal(Request([Edit(12, 0.0, relative=True)]).target(OWN), OWN)
