"""Photographs in black and white, and toned ones, stay so."""

import torch
from torch import Tensor

from ganim.model.editing.masks import Masks
from ganim.model.editing.skin import brightness
from ganim.model.editing.tint import tone_of, toned_like, with_skin_colours
from ganim.model.warp import warped

SIDE = 64
SEPIA = torch.tensor([1.2, 1.0, 0.8])[:, None, None]


def grey() -> Tensor:
    """(1, 3, SIDE, SIDE)."""
    torch.manual_seed(0)
    cells = torch.rand(1, 1, SIDE // 8, SIDE // 8) * 1.4 - 0.8
    return cells.repeat_interleave(8, 2).repeat_interleave(8, 3).expand(-1, 3, -1, -1).clone()


def toned() -> Tensor:
    return ((grey() + 1) * SEPIA * 0.8 - 1).clamp(-1, 1)


def coloured() -> Tensor:
    """With red lips on skin."""
    faces = (grey() + 1) * torch.tensor([1.15, 1.0, 0.85])[:, None, None] * 0.8 - 1
    faces[:, 1:, 40:50, 20:44] -= 0.3
    return faces.clamp(-1, 1)


def edited(seen: Tensor) -> Masks:
    """Masks that move faces, and paint red on them."""
    flow = torch.full((1, 2, SIDE, SIDE), 0.03)
    face = warped(seen, flow)
    painted = face + torch.tensor([0.3, 0.0, -0.1])[:, None, None]
    attention = torch.ones(1, 1, SIDE, SIDE)
    attention[..., 20:40, 20:40] = 0.5
    return Masks(attention, painted, face, flow)


def deviation(faces: Tensor, tone: Tensor) -> float:
    """Of the colours of faces from those of a tone (3, 1, 1)."""
    return float((faces + 1 - tone * brightness(faces + 1)).abs().max())


def test_what_is_toned() -> None:
    for faces, expected in ((grey(), 1), (toned(), 1), (coloured(), 0)):
        assert float(tone_of(faces)[1]) == expected
    torch.testing.assert_close(tone_of(toned())[0][0], SEPIA, atol=0.02, rtol=0)
    assert float(tone_of(torch.zeros(1, 3, SIDE, SIDE))[1]) == 1, "nothing is divided by 0"


def test_networks_see_toned_faces_in_the_colours_of_skin_and_as_bright() -> None:
    for faces in (grey(), toned()):
        seen = with_skin_colours(faces)
        torch.testing.assert_close(brightness(seen), brightness(faces))
        assert seen.abs().max() <= 1
        assert (seen[:, 0] > seen[:, 1]).all() and (seen[:, 1] > seen[:, 2]).all()
    assert torch.equal(with_skin_colours(coloured()), coloured())


def test_edits_of_toned_faces_have_their_tone() -> None:
    for faces, tone in ((grey(), torch.ones(3, 1, 1)), (toned(), SEPIA)):
        seen = with_skin_colours(faces)
        masks = edited(seen)
        result = toned_like(masks, faces, seen)
        assert deviation(result.blend(), tone) < 0.02
        torch.testing.assert_close(result.face, warped(faces, masks.flow), atol=1e-5, rtol=0)
        change = brightness(result.blend() - result.face)
        torch.testing.assert_close(change, brightness(masks.blend() - masks.face))


def test_edits_of_coloured_faces_stay_as_they_are() -> None:
    masks = edited(coloured())
    result = toned_like(masks, coloured(), coloured())
    for one, other in zip(result, masks, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)
