"""Edits in two steps: a mouth that shows its teeth is closed before it is opened differently."""

import numpy as np
import pytest

from ganim.model.animation.animator import Animator
from ganim.model.animation.faces import Face
from ganim.model.networks.two_steps import closed, edits_of_faces, edits_of_still
from ganim.pipeline.action_units import COUNT, Edit, apply_edits, positions
from ganim.pipeline.expressions import parse_expression
from ganim.pipeline.faces.chain import applied, chained
from ganim.pipeline.faces.paste import Change

BROW, CHEEKS, SMILE, LIPS, JAW = positions((1, 6, 12, 25, 26))


def aus(**values: float) -> np.ndarray:
    row = np.zeros((1, COUNT), np.float32)
    for name, value in values.items():
        row[0, globals()[name]] = value
    return row


LAUGH = aus(SMILE=0.8, CHEEKS=0.6, LIPS=0.7, JAW=0.1)


@pytest.mark.parametrize(
    "asked",
    [
        aus(BROW=0.9),  # the mouth closes
        aus(SMILE=0.8, CHEEKS=0.6, LIPS=1, JAW=0.1),  # the lips part more
        LAUGH,
    ],
)
def test_one_step_is_made_where_one_does(asked):
    assert np.array_equal(closed(asked, LAUGH), asked)


def test_closed_lips_are_opened_in_one_step():
    asked, calm = aus(LIPS=0.9, JAW=0.9, BROW=1), aus(CHEEKS=0.1)
    assert np.array_equal(closed(asked, calm), asked)


def test_the_first_step_closes_the_mouth_and_leaves_the_brows():
    surprised = aus(BROW=0.8, LIPS=0.6, JAW=0.7)
    (between,) = closed(surprised, LAUGH)
    assert not between[[SMILE, CHEEKS, LIPS, JAW, BROW]].any()
    dropped = aus(BROW=0.8, SMILE=0.8, CHEEKS=0.6, LIPS=0.7, JAW=0.9)
    (between,) = closed(dropped, LAUGH)
    assert not between[[LIPS, JAW, BROW]].any()
    np.testing.assert_array_equal(between[[SMILE, CHEEKS]], LAUGH[0, [SMILE, CHEEKS]])


def test_an_animation_has_no_jump():
    target = aus(BROW=0.8, LIPS=0.6, JAW=0.7)
    path = np.concatenate([LAUGH + t * (target - LAUGH) for t in np.linspace(0, 1, 401)])
    between = closed(path, LAUGH)
    # Where the second step begins, the first goes from all of the change to nearly nothing.
    second = (between != path).any(1)
    assert np.abs(np.diff(between[second], axis=0)).max() < 0.03
    assert np.abs(between[second][0] - LAUGH).max() < 0.03
    assert np.abs(path[second][0] - LAUGH).max() < 0.03


def smooth_change(seed: int, blur: bool) -> Change:
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:64j, -1:1:64j].astype(np.float32)
    waves = [np.sin(draw.uniform(1, 3) * x + draw.uniform(1, 3) * y) for _ in range(5)]
    flow = 0.06 * np.stack(waves[:2], 2)
    difference = 20 * np.stack(waves[2:], 2)
    share = np.exp(-8 * (x**2 + y**2)) if blur else None
    return Change(difference, flow, share)


@pytest.mark.parametrize("blurs", [(False, False), (True, False), (False, True), (True, True)])
def test_chained_changes_give_what_two_give_in_turn(astronaut, blurs):
    crop = np.ascontiguousarray(astronaut[63:191:2, 159:287:2])
    first, second = (smooth_change(seed, blur) for seed, blur in enumerate(blurs))
    expected = applied(applied(crop, first), second).astype(int)
    one = chained(crop, first, second)
    np.testing.assert_array_equal(applied(crop, one), expected)
    assert one.flow is not None and (one.blur is None) == (not any(blurs))
    # What is added is what the second painted, and little else: the pictures are moved alike.
    unpainted = [change._replace(difference=0 * change.difference) for change in (first, second)]
    left = chained(crop, *unpainted).difference[8:-8, 8:-8]
    assert np.abs(left).mean() < 4


@pytest.fixture(scope="module")
def animator() -> Animator:
    return Animator()


@pytest.fixture(scope="module")
def face(animator: Animator, astronaut: np.ndarray) -> Face:
    return animator.find(astronaut)


def test_a_still_is_rendered_as_a_face_of_many(animator, face, astronaut):
    surprised = expression("surprised", face)
    targets = np.stack([surprised, apply_edits(face.own_aus, [Edit(4, 0.8)]), face.own_aus])
    _, (square,) = animator.cut([astronaut], [face])
    still = edits_of_still(animator.renderer, square, face.own_aus)(targets)
    owns, squares = (np.repeat(each[None], 3, 0) for each in (face.own_aus, square))
    many = edits_of_faces(animator.renderer, squares, targets, owns)
    for a, b in zip(still.changes, many.changes, strict=True):
        assert a.flow is not None and b.flow is not None
        difference = applied(square, a).astype(int) - applied(square, b)
        assert np.abs(difference).mean() < 1  # a still may be rendered in bfloat16
    assert np.array_equal(applied(square, many.changes[2]), square)
    assert many.attention.shape == (3, animator.renderer.size, animator.renderer.size)


def expression(name: str, face: Face) -> np.ndarray:
    asked = parse_expression(name)
    return np.where(np.isnan(asked), face.own_aus, asked).astype(np.float32)


def test_the_teeth_of_a_smile_are_no_strips_in_a_mouth_that_opens(animator, face, astronaut):
    """She smiles, and is asked for surprise."""
    asked = expression("surprised", face)
    _, squares = animator.cut([astronaut], [face])
    given = squares, asked[None], face.own_aus[None]
    one = applied(squares[0], animator.renderer.render(*given).changes[0])
    two = applied(squares[0], edits_of_faces(animator.renderer, *given).changes[0])

    def strips(picture: np.ndarray) -> float:
        """The mean contrast of neighbouring columns between the lips."""
        rows, columns = slice(130, 142), slice(67, 93)
        return float(np.abs(np.diff(picture[rows, columns].mean((0, 2)))).mean())

    assert strips(two) < 0.7 * strips(one), (strips(one), strips(two))


def test_what_needs_one_step_is_what_the_generator_gives(animator, face, astronaut):
    asked = apply_edits(face.own_aus, [Edit(12, 1.0), Edit(4, 0.5)])[None]
    _, squares = animator.cut([astronaut], [face])
    given = squares, asked, face.own_aus[None]
    (plain,), (used,) = (
        animator.renderer.render(*given).changes,
        edits_of_faces(animator.renderer, *given).changes,
    )
    for a, b in zip(plain, used, strict=True):
        assert (a is None and b is None) or np.array_equal(a, b)


def test_aus_of_double_precision_need_no_more_steps(animator, face, astronaut):
    _, squares = animator.cut([astronaut], [face])
    asked = apply_edits(face.own_aus, [Edit(4, 0.3)])[None].astype(float)
    own = face.own_aus[None].astype(float)
    used = edits_of_faces(animator.renderer, squares, asked, own).changes[0]
    plain = animator.renderer.render(squares, asked, own).changes[0]
    assert np.array_equal(used.difference, plain.difference)
