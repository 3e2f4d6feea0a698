"""What someone who has trained many would say of a run while it trains: what is wrong, and what to
try.

Each rule looks at the log alone, so that a resumed run is judged as an undisturbed one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from .log import Line

_LAST = 10
"""Lines a figure must hold for before it is worth a word: 500 iterations."""
_EPOCHS = 2


@dataclass(frozen=True)
class Concern:
    """Something that looks wrong in a run."""

    kind: str
    """Which rule spoke; each speaks once a run."""
    text: str


def look(lines: list[Line], size: int) -> Iterator[Concern]:
    """What the log of a run at `size` px gives cause to warn of now."""
    attention = _recent(lines, "attention")
    if attention is not None and attention > 0.98:
        yield Concern(
            "attention-one",
            f"Attention has saturated at 1 (mean {attention:.3f}): the photograph comes back as it "
            "was. Try --colour residual, a critic that reads AUs before the generator starts "
            "(--critic-warmup 3000), or a higher --lambda-aus.",
        )
    if attention is not None and attention < 0.02:
        yield Concern(
            "attention-zero",
            f"Attention has saturated at 0 (mean {attention:.3f}): every pixel is painted anew, "
            "and the face may become another's. Try a lower --lambda-attention, or a higher "
            "--lambda-cycle.",
        )
    yield from _critic(lines, size)
    yield from _copying(lines)


def _critic(lines: list[Line], size: int) -> Iterator[Concern]:
    gap, penalty = _recent(lines, "critic"), _recent(lines, "penalty")
    # The slope of the critic is held near 1, so a gap between real and generated faces is a
    # distance that they are apart at least, in the direction the critic looks: the root of the
    # sum over all values of a face. As a root mean square it does not depend on the size.
    apart = None if gap is None else -gap / (3 * size**2) ** 0.5
    if apart is not None and apart > 0.05:
        yield Concern(
            "critic-ahead",
            f"The critic is far ahead: it tells every generated face from a real one (they are "
            f"{100 * apart / 2:.0f}% of the range apart where it looks). Give the generator more "
            "steps (--critic-steps 1), or a higher weight to realism (--lambda-adversarial).",
        )
    if penalty is not None and penalty > 1:
        yield Concern(
            "critic-slope",
            f"The critic's slope is not held at 1 (gradient penalty {penalty:.2f}), so its verdict "
            "means little. Try a higher --lambda-gp, or a lower --lr.",
        )


def _copying(lines: list[Line]) -> Iterator[Concern]:
    obeyed, copied = _recent(lines, "generator_aus"), _recent(lines, "copy_aus")
    measured = [line for line in lines if "test_aus" in line]
    advice = (
        "Try a higher --lambda-aus, --conditioning adain, or a critic that reads AUs before the "
        "generator starts (--critic-warmup 3000)."
    )
    if obeyed is not None and copied is not None and obeyed > 0.95 * copied:
        yield Concern(
            "copying",
            f"The generator does not obey: by the critic its faces miss the AUs asked by "
            f"{obeyed:.4f}, the photographs as they are by {copied:.4f}. If this does not fall "
            f"within an epoch or two it learns to copy. {advice}",
        )
    elif len(measured) >= _EPOCHS and all(
        line["test_aus"] >= line["test_aus_copy"] for line in measured[-_EPOCHS:]
    ):
        yield Concern(
            "copying-held-out",
            f"On held-out faces the AUs asked are missed by {measured[-1]['test_aus']:.4f}, by the "
            f"photographs as they are by {measured[-1]['test_aus_copy']:.4f}: after "
            f"{len(measured)} epochs nothing is learned that another reader of AUs sees. {advice}",
        )


def _recent(lines: list[Line], name: str) -> float | None:
    """The mean of a figure over the last lines, if there are enough of them."""
    values = [line[name] for line in lines[-4 * _LAST :] if name in line][-_LAST:]
    return fmean(values) if len(values) == _LAST else None


def stalled(lines: list[Line], patience: int) -> bool:
    """Whether the AU error on held-out faces has not fallen for `patience` epochs."""
    errors = [line["test_aus"] for line in lines if "test_aus" in line]
    return len(errors) > patience and min(errors[:-patience]) <= min(errors[-patience:])
