"""Lines of the skin that become deeper: which, where, and for which AUs."""

import pytest
import torch
from torch import Tensor

from ganim.model.editing.brows import Brows
from ganim.model.editing.lines import with_deeper_lines
from ganim.model.editing.lips import Lips
from ganim.model.editing.masks import Masks
from ganim.model.warp import coordinates
from ganim.pipeline.action_units import COUNT, positions

SIDE = 160
FREE = torch.ones(1, 1, SIDE // 2, SIDE // 2)
SKIN = torch.tensor([0.5, 0.1, -0.1])[:, None, None]
X, Y = coordinates(torch.zeros(1, 1, SIDE, SIDE)).split(1, 1)
LINES = {
    "forehead": (Y + 0.6).abs() < 0.012,
    "corner of the eye": ((Y + 0.1).abs() < 0.012) & (X > 0.62),
    "cheek": ((X - 0.45 - 0.6 * (Y - 0.35)).abs() < 0.015) & (Y > 0.15) & (Y < 0.55),
    "between the brows": (X.abs() < 0.012) & (Y < -0.1),
}


def face(*lines: str) -> Tensor:
    """(1, 3, SIDE, SIDE): skin with faint dark lines."""
    skin = SKIN.expand(1, 3, SIDE, SIDE).clone()
    for line in lines:
        skin = torch.where(LINES[line], skin - 0.12, skin)
    return skin


def brows() -> Brows:
    lines = [torch.full((SIDE,), row) for row in (-0.4, -0.3, -0.15, -0.05)]
    within = torch.stack([(X[0, 0, 0] < -0.2).float(), (X[0, 0, 0] > 0.2).float()])[None]
    return Brows(torch.stack(lines[:3])[None], within, torch.stack([lines[2], lines[2]])[None])


def lips() -> Lips:
    rows = torch.tensor([0.55, 0.62, 0.62, 0.7])[:, None].expand(1, 4, SIDE)
    return Lips(rows, (X[0, 0, 0].abs() < 0.3).float()[None], torch.ones(1), torch.zeros(1))


def deeper(faces: Tensor, by: float, *aus: int, free: Tensor = FREE) -> Tensor:
    """How much darker each pixel becomes, (SIDE, SIDE)."""
    masks = Masks(torch.ones(1, 1, SIDE, SIDE), faces, faces, torch.zeros(1, 2, SIDE, SIDE))
    rise = torch.zeros(1, COUNT)
    rise[:, positions(aus)] = by
    after = with_deeper_lines(masks, brows(), lips(), free, rise)
    return (faces - after.blend()).mean(1)[0]


def in_line(values: Tensor, line: str) -> float:
    """The strongest value in a line."""
    return float(values[LINES[line][0, 0]].max())


@pytest.mark.parametrize(
    ("line", "folding", "other"),
    [
        ("forehead", (1, 2), (4, 9, 12)),
        ("corner of the eye", (6, 12), (1, 4, 9)),
        ("cheek", (9, 10, 12), (1, 4, 6)),
        ("between the brows", (4,), (6, 9, 12)),
    ],
)
def test_a_line_becomes_deeper_by_the_aus_that_fold_it(
    line: str, folding: tuple[int, ...], other: tuple[int, ...]
) -> None:
    for au in folding:
        half, whole = (in_line(deeper(face(line), by, au), line) for by in (0.5, 1.0))
        assert 0 < half < whole and whole > 0.02
        assert not deeper(face(line), -0.5, au).any(), "falls"
    for au in other:
        assert in_line(deeper(face(line), 1, au), line) < 4e-3
    assert deeper(face(line), 1, *folding, free=FREE * 0).abs().max() < 1e-5, "covered"


def test_smooth_skin_stays_smooth() -> None:
    assert deeper(face(), 1, 1, 2, 4, 6, 9, 10, 12).abs().max() < 2e-3


def test_light_on_a_round_forehead_is_no_line() -> None:
    lit = face() + 0.08 * torch.exp(-(((Y + 0.6) / 0.15) ** 2))
    assert deeper(lit, 1, 1, 2)[:50].abs().max() < 2e-3


def test_brows_and_lips_are_no_lines() -> None:
    eyebrows = (Y > -0.4) & (Y < -0.3) & (X.abs() > 0.2)
    mouth = (Y > 0.55) & (Y < 0.7) & (X.abs() < 0.3)
    shown = torch.where(eyebrows | mouth, -0.7, face())
    assert deeper(shown, 1, 1, 2, 4, 6, 9, 10, 12).abs().max() < 0.02


def test_a_line_is_darkened_within_a_limit() -> None:
    dark = torch.where(LINES["forehead"], -0.9, face())
    left = (dark - deeper(dark, 1, 1, 2) + 1) / (dark + 1)
    assert left.min() > 0.7
