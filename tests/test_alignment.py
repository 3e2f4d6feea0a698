"""Alignment by landmarks, and the augmentation of crops with their landmarks."""

import numpy as np
import pytest
import torch

from ganim.model.estimator.augment import Augmentation, augment, compressed, corrupt
from ganim.model.landmarks.alignment import VIEW, UprightView, mean_face
from ganim.model.landmarks.points import MIRRORED, POINTS
from ganim.model.warp import moved


def some_face(seed: int = 0) -> torch.Tensor:
    """Random landmarks (68, 2) that are symmetric, as a mean face is."""
    points = torch.rand(POINTS, 2, generator=torch.Generator().manual_seed(seed)) - 0.5
    mirrored = points[list(MIRRORED)] * torch.tensor([-1.0, 1.0])
    return (points + mirrored) / 2


def similar(points: torch.Tensor, angle: float, scale: float, shift: list[float]) -> torch.Tensor:
    """Rotate, scale and translate points."""
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    return points @ torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float32).T + torch.tensor(
        shift
    )


def test_mirroring_twice_gives_the_same_landmarks():
    assert sorted(MIRRORED) == list(range(POINTS))
    assert all(MIRRORED[MIRRORED[point]] == point for point in range(POINTS))


def test_landmarks_are_aligned_to_the_mean_face():
    face = some_face()
    seen = torch.stack(
        [similar(face, 0.3, 0.8, [0.1, -0.2]), similar(face, -0.5, 1.3, [-0.3, 0.05])]
    )
    straight = UprightView(face).straighten(seen)
    assert torch.allclose(straight, face.expand(2, -1, -1), atol=1e-5)


def test_an_open_mouth_does_not_change_the_alignment():
    face = some_face()
    open_mouth = face.clone()
    open_mouth[48:] += torch.tensor([0.0, 0.5])
    turn, shift = UprightView(face).similarity(open_mouth[None])
    assert torch.allclose(turn[0], torch.eye(2), atol=1e-5)
    assert torch.allclose(shift, torch.zeros(1, 2), atol=1e-5)


def test_the_view_does_not_depend_on_the_position_of_the_face():
    face = some_face()
    line = torch.linspace(0, 6, 128)
    smooth = torch.stack([torch.sin(line)[None] * torch.cos(line)[:, None]] * 3)[None]
    turn, shift = torch.tensor([[[0.9, -0.2], [0.2, 0.9]]]), torch.tensor([[0.05, -0.1]])
    # The pixel at p in the moved crop is that at turn p + shift; landmarks need the inverse map.
    landmarks = (face - shift) @ torch.linalg.inv(turn[0]).T
    view = UprightView(face)
    straight = view(smooth, face[None])
    again = view(moved(smooth, turn, shift), landmarks[None])
    inner = slice(VIEW // 4, -VIEW // 4)
    assert (straight - again)[:, :, inner, inner].abs().max() < 0.02


def test_mean_face_does_not_depend_on_positions_and_is_centred():
    generator = np.random.default_rng(0)
    face = some_face()
    seen = torch.stack(
        [
            similar(face, a, s, [x, y])
            for a, s, x, y in generator.uniform(
                [-0.2, 0.8, -0.1, -0.1], [0.2, 1.2, 0.1, 0.1], (200, 4)
            )
        ]
    )
    mean = mean_face(seen)
    straight = UprightView(mean).straighten(seen)
    assert straight.std(0).max() < 1e-3, "all faces are the same up to a similarity"
    mirrored = mean[list(MIRRORED)] * torch.tensor([-1.0, 1.0])
    assert torch.allclose(mirrored, mean, atol=1e-5)
    assert mean.amin(0) == pytest.approx((-mean.amax(0)).numpy(), abs=1e-4), "centred"


def test_augmentation_moves_landmarks_with_the_image():
    # A bright square at the landmark: after augmentation, the crop is bright at the new landmark.
    landmarks = torch.zeros(8, POINTS, 2) + torch.tensor([0.25, -0.125])
    images = torch.zeros(8, 3, 128, 128, dtype=torch.uint8)
    images[:, :, 52:60, 76:84] = 255
    how = Augmentation(gamma=0.0, blur=0.0, jpeg=0.0, occlusion=0.0)
    crops, moved_to = augment(images, landmarks, torch.Generator().manual_seed(1), how)
    for crop, points in zip(crops, moved_to, strict=True):
        x, y = ((points[0] + 1) * 64 - 0.5).round().int().tolist()
        assert crop[:, y, x].min() > 0.6
        assert crop.mean() < 0.05


def test_mirrored_faces_swap_left_and_right_landmarks():
    landmarks = some_face().expand(32, -1, -1).clone()
    landmarks[:, 36:42, 0] = -0.8  # one eye, far to the left
    how = Augmentation(shift=0.0, scale=0.0, turn=0.0, blur=0.0, jpeg=0.0, occlusion=0.0)
    images = torch.zeros(32, 3, 64, 64, dtype=torch.uint8)
    _, points = augment(images, landmarks, torch.Generator().manual_seed(0), how)
    mirrored = points[:, 42:48, 0].mean(1) > 0.7
    assert 4 < mirrored.sum() < 28
    assert torch.allclose(points[~mirrored], landmarks[~mirrored], atol=1e-5)


def test_augmentation_repeats_with_its_generator():
    images = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    landmarks = some_face().expand(4, -1, -1)
    first, second = (
        augment(images, landmarks, torch.Generator().manual_seed(7))[0] for _ in range(2)
    )
    assert torch.equal(first, second)
    assert first.min() >= 0 and first.max() <= 1


def test_corrupted_crops_differ_from_the_originals():
    crops = torch.rand(16, 3, 64, 64)
    corrupted = corrupt(crops, torch.Generator().manual_seed(0))
    assert corrupted.shape == crops.shape
    assert ((corrupted - crops).abs().mean((1, 2, 3)) > 0.1).all()


def test_jpeg_loses_more_at_a_lower_quality():
    crop = torch.rand(3, 64, 64)
    errors = [(compressed(crop, quality) - crop).abs().mean().item() for quality in (95, 50, 15)]
    assert errors == sorted(errors) and errors[0] < errors[2]
