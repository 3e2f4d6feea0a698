"""What the watch says of logs as they are seen when a training goes wrong, and of a good one."""

import pytest

from ganim.model.training.diagnostics import look, stalled

GOOD = {
    "critic_adversarial": -0.4,
    "gp": 0.01,
    "critic_aus": 0.008,
    "aus": 0.012,
    "copy_aus": 0.03,
    "attention": 0.5,
}


def log(**changes):
    return [{"iteration": n, "epoch": n / 100, **GOOD, **changes} for n in range(50, 1050, 50)]


def kinds(lines, size=128):
    return [concern.kind for concern in look(lines, size)]


def test_a_good_run_gives_no_cause():
    assert kinds(log()) == []
    assert kinds([]) == []


@pytest.mark.parametrize(
    ("changes", "kind", "advice"),
    [
        ({"attention": 0.995}, "attention-one", "--colour residual"),
        ({"attention": 0.005}, "attention-zero", "--lambda-cycle"),
        ({"critic_adversarial": -30.0}, "critic-ahead", "--critic-steps 1"),
        ({"gp": 4.0}, "critic-slope", "--lambda-gp"),
        ({"aus": 0.0295}, "copying", "--lambda-aus"),
    ],
)
def test_each_fault_is_named_with_something_to_try(changes, kind, advice):
    (concern,) = look(log(**changes), 128)
    assert concern.kind == kind and advice in concern.text
    assert kinds(log(**changes)[:9]) == [], "a moment is no reason to speak"


def test_how_far_the_critic_is_ahead_does_not_depend_on_the_size():
    """The same faces, a quarter of the pixels: half the distance."""
    assert (
        kinds(log(critic_adversarial=-16.0), 128)
        == kinds(log(critic_adversarial=-8.0), 64)
        == ["critic-ahead"]
    )
    assert kinds(log(critic_adversarial=-9.0), 128) == []


def test_no_obedience_on_held_out_faces_is_told_after_two_epochs():
    def epoch(number, error):
        return {"iteration": number, "epoch": number, "test_aus": error, "test_aus_copy": 0.03}

    assert kinds([epoch(1, 0.031)]) == []
    assert kinds([epoch(1, 0.031), epoch(2, 0.03)]) == ["copying-held-out"]
    assert kinds([epoch(1, 0.031), epoch(2, 0.03), epoch(3, 0.02)]) == []


def test_a_run_has_stalled_when_no_error_of_late_is_below_the_best_before():
    def errors(*values):
        return [{"test_aus": value} for value in values]

    assert not stalled(errors(3, 2), 2)
    assert not stalled(errors(3, 4, 2), 2)
    assert stalled(errors(3, 4, 5), 2)
    assert stalled(errors(3, 4, 3), 2), "as low is not lower"
    assert not stalled(errors(3, 4, 5), 3)
