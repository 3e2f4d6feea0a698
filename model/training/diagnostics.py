"""Diagnostics: rules that recognise common failures of a training in its metrics log.

Each rule reads the log alone, so that a resumed training gets the same warnings as one that was not
interrupted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from .log import Entry

_ENTRIES = 10
"""Entries over which a metric is averaged: 500 iterations. With fewer, a rule does not apply."""
_EPOCHS = 2
"""Validations after which the rule on held-out faces applies."""


@dataclass(frozen=True)
class Diagnostic:
    """A failure that a rule recognised."""

    kind: str
    """The name of the rule. A run is warned at most once by each."""
    text: str
    """What the metrics show, and what to change."""


def diagnose(entries: list[Entry], size: int) -> Iterator[Diagnostic]:
    """Apply all rules to a metrics log.

    Args:
        entries: the log.
        size: the side of the faces in px.
    """
    attention = _recent(entries, "attention")
    if attention is not None and attention > 0.98:
        yield Diagnostic(
            "attention-one",
            f"Attention has saturated at 1 (mean {attention:.3f}): the generator copies its input. "
            "Try --colour residual, a critic that is trained to read AUs before the generator "
            "starts (--critic-warmup 3000), or a higher --lambda-aus.",
        )
    if attention is not None and attention < 0.02:
        yield Diagnostic(
            "attention-zero",
            f"Attention has saturated at 0 (mean {attention:.3f}): the generator replaces every "
            "pixel, and the identity of the face may change. Try a lower --lambda-attention, or a "
            "higher --lambda-cycle.",
        )
    yield from _critic(entries, size)
    yield from _copying(entries)


def _critic(entries: list[Entry], size: int) -> Iterator[Diagnostic]:
    difference, penalty = _recent(entries, "critic_adversarial"), _recent(entries, "gp")
    # The norm of the critic's gradient is held near 1, so the difference of its mean scores is a
    # lower bound of the L2 distance between real and generated faces. Divided by the root of the
    # number of values in a face it is a root mean square, which does not depend on the size.
    distance = None if difference is None else -difference / (3 * size**2) ** 0.5
    if distance is not None and distance > 0.05:
        yield Diagnostic(
            "critic-ahead",
            "The critic tells every generated face from a real one (a distance of "
            f"{100 * distance / 2:.0f}% of the pixel range along its gradient). Give the generator "
            "more steps (--critic-steps 1), or a higher weight to realism (--lambda-adversarial).",
        )
    if penalty is not None and penalty > 1:
        yield Diagnostic(
            "critic-slope",
            f"The norm of the critic's gradient is not near 1 (gradient penalty {penalty:.2f}), so "
            "its scores are no estimate of the Wasserstein distance. Try a higher --lambda-gp, or "
            "a lower --lr.",
        )


def _copying(entries: list[Entry]) -> Iterator[Diagnostic]:
    error, copy_error = _recent(entries, "aus"), _recent(entries, "copy_aus")
    validations = [entry for entry in entries if "test_aus" in entry]
    advice = (
        "Try a higher --lambda-aus, --conditioning adain, or a critic that is trained to read AUs "
        "before the generator starts (--critic-warmup 3000)."
    )
    if error is not None and copy_error is not None and error > 0.95 * copy_error:
        yield Diagnostic(
            "copying",
            f"The generator does not show its target AUs: by the critic, their error is "
            f"{error:.4f} in generated faces and {copy_error:.4f} in the photographs. If it does "
            f"not decrease within an epoch or two, the generator learns to copy. {advice}",
        )
    elif len(validations) >= _EPOCHS and all(
        entry["test_aus"] >= entry["test_aus_copy"] for entry in validations[-_EPOCHS:]
    ):
        yield Diagnostic(
            "copying-held-out",
            f"On held-out faces, the error of the target AUs by the estimator is "
            f"{validations[-1]['test_aus']:.4f} in generated faces and "
            f"{validations[-1]['test_aus_copy']:.4f} in the photographs: after {len(validations)} "
            f"epochs the generator does no better than a copy. {advice}",
        )


def _recent(entries: list[Entry], name: str) -> float | None:
    """The mean of a metric over the last _ENTRIES entries that have it; None if there are fewer."""
    values = [entry[name] for entry in entries[-4 * _ENTRIES :] if name in entry][-_ENTRIES:]
    return fmean(values) if len(values) == _ENTRIES else None


def stalled(entries: list[Entry], patience: int) -> bool:
    """Whether the validation error has not decreased for `patience` epochs."""
    errors = [entry["test_aus"] for entry in entries if "test_aus" in entry]
    return len(errors) > patience and min(errors[:-patience]) <= min(errors[-patience:])
