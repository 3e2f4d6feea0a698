"""Edges that are as sharp as those of the photograph."""

import torch
from torch import Tensor

from ganim.model.editing.masks import Masks, smoothed
from ganim.model.editing.sharpness import as_sharp_as, sharpness_of

SIDE = 128


def photograph(rounds: int) -> Tensor:
    """(1, 3, SIDE, SIDE), blurred so often."""
    torch.manual_seed(0)
    cells = torch.randn(1, 1, SIDE // 8, SIDE // 8).clamp(-1, 1) * 0.6
    picture = cells.repeat_interleave(8, 2).repeat_interleave(8, 3)
    for _ in range(rounds):
        picture = smoothed(picture)
    return picture.expand(-1, 3, -1, -1).clone()


def edited(faces: Tensor) -> Masks:
    """Masks that paint a sharp edge."""
    painted = faces.clone()
    painted[..., 40:60, 40:80] = 0.8
    flow = torch.zeros(1, 2, SIDE, SIDE)
    return Masks(torch.zeros(1, 1, SIDE, SIDE), painted, faces, flow)


def steepest(masks: Masks) -> float:
    return float(masks.blend()[0, 0, 36:44, 50:70].diff(dim=0).abs().amax())


def test_sharp_edges_become_blurred_in_blurred_photographs() -> None:
    blurred, sharp = photograph(6), photograph(0)
    before, after = edited(blurred), as_sharp_as(edited(blurred), sharpness_of(blurred))
    assert steepest(after) < 0.8 * steepest(before)
    same = as_sharp_as(edited(sharp), sharpness_of(sharp))
    assert steepest(same) > 0.97 * steepest(edited(sharp))


def test_what_is_not_edited_stays() -> None:
    faces = photograph(3)
    after = as_sharp_as(edited(faces), sharpness_of(faces))
    far = (..., slice(90, None), slice(None))
    torch.testing.assert_close(after.blend()[far], faces[far])
    still = Masks(torch.ones(1, 1, SIDE, SIDE), faces, faces, torch.zeros(1, 2, SIDE, SIDE))
    assert torch.equal(as_sharp_as(still, sharpness_of(faces)).blend(), faces)
