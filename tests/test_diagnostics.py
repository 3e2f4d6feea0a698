"""Diagnostics of metrics logs: each known failure is recognised, a good log gives none."""

import pytest

from ganim.model.training.diagnostics import diagnose, stalled

GOOD = {
    "critic_adversarial": -0.4,
    "gp": 0.01,
    "critic_aus": 0.008,
    "aus": 0.012,
    "copy_aus": 0.03,
    "attention": 0.5,
}


def entries(**changes):
    """A log of 20 entries with constant metrics."""
    return [{"iteration": n, "epoch": n / 100, **GOOD, **changes} for n in range(50, 1050, 50)]


def kinds(log, size=128):
    return [diagnostic.kind for diagnostic in diagnose(log, size)]


def test_a_good_log_has_no_diagnostics():
    assert kinds(entries()) == []
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
def test_each_failure_is_recognised_with_advice(changes, kind, advice):
    (diagnostic,) = diagnose(entries(**changes), 128)
    assert diagnostic.kind == kind and advice in diagnostic.text
    assert kinds(entries(**changes)[:9]) == [], "nine entries are too few for a rule"


def test_the_rule_on_the_critic_does_not_depend_on_the_size():
    """With a quarter of the pixels, the L2 distance of the same faces is half."""
    assert (
        kinds(entries(critic_adversarial=-16.0), 128)
        == kinds(entries(critic_adversarial=-8.0), 64)
        == ["critic-ahead"]
    )
    assert kinds(entries(critic_adversarial=-9.0), 128) == []


def test_copying_on_held_out_faces_is_recognised_after_two_epochs():
    def epoch(number, error):
        return {"iteration": number, "epoch": number, "test_aus": error, "test_aus_copy": 0.03}

    assert kinds([epoch(1, 0.031)]) == []
    assert kinds([epoch(1, 0.031), epoch(2, 0.03)]) == ["copying-held-out"]
    assert kinds([epoch(1, 0.031), epoch(2, 0.03), epoch(3, 0.02)]) == []


def test_a_training_has_stalled_when_no_recent_error_is_below_the_best_before():
    def errors(*values):
        return [{"test_aus": value} for value in values]

    assert not stalled(errors(3, 2), 2)
    assert not stalled(errors(3, 4, 2), 2)
    assert stalled(errors(3, 4, 5), 2)
    assert stalled(errors(3, 4, 3), 2), "an equal error is no decrease"
    assert not stalled(errors(3, 4, 5), 3)
