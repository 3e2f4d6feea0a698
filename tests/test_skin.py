"""The colours of a face's own skin, which what is painted on skin gets."""

import pytest
import torch
from torch import Tensor

from ganim.model.editing.skin import cheeks, in_skin_colours

NOWHERE = torch.zeros(1, 1, 128, 128)


def coloured(brightness: Tensor, shares: Tensor) -> Tensor:
    """A face (1, 3, 128, 128) of a brightness (128, 128), 0 for black, and the shares (3, 128, 128)
    of its channels."""
    return (brightness * shares)[None] - 1


def shares(faces: Tensor) -> Tensor:
    lit = faces + 1
    return lit / lit.mean(1, keepdim=True)


def test_shade_and_light_have_their_own_colours():
    brightness = torch.linspace(0.5, 1.2, 128)[:, None].expand(128, 128)
    # Shade is redder than what is lit.
    red = 1.6 - 0.4 * brightness
    face = coloured(brightness, torch.stack([red, torch.ones_like(red), 2 - red]))
    painted = torch.full_like(face, -0.2)
    found = in_skin_colours(painted, face, NOWHERE)
    torch.testing.assert_close(found.mean(1), painted.mean(1))
    red, green, blue = shares(found)[0, :, 64, 64]
    assert float(red) == pytest.approx(1.6 - 0.4 * 0.8, abs=0.03)
    assert float(green) == pytest.approx(1, abs=0.01) and float(blue) < 0.75
    darker = shares(in_skin_colours(painted - 0.25, face, NOWHERE))[0, :, 64, 64]
    assert darker[0] > red + 0.02


def test_two_lamps_colour_the_two_sides_of_a_face():
    red = torch.linspace(1.1, 1.5, 128).expand(128, 128)
    face = coloured(torch.ones(128, 128), torch.stack([red, torch.ones_like(red), 2 - red]))
    found = shares(in_skin_colours(torch.full_like(face, -0.3), face, NOWHERE))[0, 0, 60]
    assert found[32] < 1.25 < 1.35 < found[96]


def test_only_skin_counts():
    skin = torch.tensor([1.4, 1.0, 0.6])[:, None, None].expand(3, 128, 128).clone()
    brightness = torch.ones(128, 128)
    skin[:, :20], brightness[100:, 48:80] = torch.tensor([0.5, 1.0, 1.5])[:, None, None], 0.1
    face = coloured(brightness, skin)
    eye = face.clone()
    eye[..., 40:56, 28:52] = torch.tensor([0.2, 0.1, 0.3])[:, None, None]
    share = NOWHERE.clone()
    share[..., 40:56, 28:52] = 1
    found = shares(in_skin_colours(torch.full_like(face, -0.3), eye, share))[0, :, 48, 40]
    torch.testing.assert_close(found, torch.tensor([1.4, 1.0, 0.6]), atol=0.03, rtol=0)


def test_a_face_without_light_has_finite_colours():
    black = torch.full((1, 3, 128, 128), -1.0)
    found = in_skin_colours(black, black, NOWHERE)
    assert found.isfinite().all() and torch.equal(found, black)
    assert cheeks(black).min() > 0
