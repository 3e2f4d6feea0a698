"""The network that finds irises, and its training."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ganim.model.animation.animator import Animator
from ganim.model.data import Faces
from ganim.model.editing.brows import brows_of
from ganim.model.editing.iris_network import USUAL_RADIUS, IrisNetwork, eyes_of
from ganim.model.editing.irises import irises_of
from ganim.model.editing.upper_face import UpperFaceNetwork
from ganim.model.landmarks.points import MESH_POINTS
from ganim.model.networks.flow_generator import FlowGenerator
from ganim.model.training.train_irises import irises_of_mesh, train_irises, with_mesh
from ganim.pipeline.action_units import COUNT

SIDE, ROW, HALF, HEIGHT = 160, 60, 15, 11
MIDDLES = 48, 112
"""Columns of the middles of two eyes, in px; their row, half their width, and their height."""
RADIUS = 5.5


def ends() -> Tensor:
    """(1, 4, SIDE), in px: what `UpperFaceNetwork.ends_of` finds."""
    columns = torch.arange(SIDE) + 0.5
    away = torch.stack([(columns - middle) / HALF for middle in MIDDLES]).abs().amin(0)
    arch = (1 - away.square()).clamp(min=0) * HEIGHT / 2
    return torch.stack([ROW - 25 - arch, ROW - 18 - arch, ROW - arch, ROW + arch])[None]


def drawn(shifts: Tensor) -> tuple[Tensor, Tensor]:
    """Faces (n, 3, SIDE, SIDE) uint8, whose irises look aside by shifts (n,) in px, and where these
    are, (n, 2, 3) in half sides."""
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    _, _, upper, lower = ends()[0]
    pictures = torch.full((len(shifts), SIDE, SIDE), 150)
    places = torch.empty(len(shifts), 2, 3)
    for picture, place, shift in zip(pictures, places, shifts.tolist(), strict=True):
        eye = (y > upper) & (y < lower)
        picture[eye] = 230
        for side, middle in enumerate(MIDDLES):
            far = ((x - middle - shift).square() + (y - ROW).square()).sqrt()
            picture[eye & (far < RADIUS)] = 40
            where = torch.tensor([middle + shift - SIDE / 2, ROW - SIDE / 2, RADIUS])
            place[side] = where / (SIDE / 2)
    return pictures[:, None].repeat(1, 3, 1, 1).byte(), places


class Finding(UpperFaceNetwork):
    """Finds the eyes of the drawn faces."""

    def ends_of(self, faces: Tensor) -> Tensor:
        return ends().repeat(len(faces), 1, 1)


def with_landmarks(images: Tensor, places: Tensor) -> Faces:
    """Faces with the landmarks of MediaPipe, of which the irises are right."""
    count = len(images)
    mesh = torch.zeros(count, MESH_POINTS, 2)
    around = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    for first, side in ((468, 1), (473, 0)):  # the person's right eye is on the left
        middle, radius = places[:, side, None, :2], places[:, side, None, 2:]
        mesh[:, first : first + 1] = middle
        mesh[:, first + 1 : first + 5] = middle + radius * around
    names = [str(number) for number in range(count)]
    return Faces(images, torch.zeros(count, COUNT), names, names, landmarks=mesh)


def test_irises_of_the_mesh_are_in_order_from_left_to_right() -> None:
    images, places = drawn(torch.tensor([0.0, 3.0]))
    faces = with_landmarks(images, places)
    assert faces.landmarks is not None
    torch.testing.assert_close(irises_of_mesh(faces.landmarks), places)


def test_untrained_it_gives_the_usual_place() -> None:
    images, _ = drawn(torch.zeros(1))
    brows = brows_of(ends())
    eyes = eyes_of(brows)
    torch.testing.assert_close(eyes.width, torch.tensor([[HALF * 4 / SIDE]]), atol=0.05, rtol=0)
    found = IrisNetwork()(images / 127.5 - 1, brows, eyes)[0]
    middles = (found[:, 0] + 1) * SIDE / 2
    torch.testing.assert_close(middles, torch.tensor(MIDDLES).float(), atol=1.0, rtol=0)
    torch.testing.assert_close(found[:, 2], (USUAL_RADIUS * eyes.width[0]).expand(2))


def test_columns_have_the_iris_of_their_side() -> None:
    places = torch.tensor([[[-0.4, -0.2, 0.06], [0.4, -0.3, 0.07]]])
    irises = irises_of(brows_of(ends()), places)
    for side, middle in enumerate(MIDDLES):
        at = torch.stack([each[0, middle] for each in (irises.x, irises.y, irises.radius)])
        torch.testing.assert_close(at, places[0, side])


def test_irises_that_look_aside_are_learned() -> None:
    torch.manual_seed(0)
    images, places = drawn(torch.linspace(-6, 6, 32))
    upper_face = Finding()
    errors = list(train_irises(upper_face, with_landmarks(images, places), 60))
    assert np.mean(errors[-5:]) < 0.4 * errors[0]
    assert not any(each.requires_grad for each in upper_face.irises.parameters())
    images, places = drawn(torch.tensor([-4.5, 4.5]))
    found = upper_face.irises_in(images / 127.5 - 1, upper_face.ends_of(images))
    assert (found - places)[..., 0].abs().max() * SIDE / 2 < 2.5


def test_faces_without_the_mesh_teach_nothing() -> None:
    images, places = drawn(torch.zeros(3))
    faces = with_landmarks(images, places)
    assert faces.landmarks is not None
    faces.landmarks[1] = torch.nan
    assert with_mesh(faces).keys == ["0", "2"]
    other = replace(faces, landmarks=torch.zeros(3, 68, 2))
    assert not len(with_mesh(other)) and not len(with_mesh(replace(faces, landmarks=None)))


def test_the_irises_of_a_portrait(astronaut: np.ndarray) -> None:
    animator = Animator()
    face = animator.find(astronaut)
    network = animator.renderer.network  # type: ignore[attr-defined]
    assert isinstance(network, FlowGenerator) and face.region is not None
    square = torch.from_numpy(face.region.cut(astronaut, animator.renderer.size))
    seen = square.permute(2, 0, 1)[None] / 127.5 - 1
    with torch.inference_mode():
        found = network.upper_face.irises_in(seen, network.upper_face.ends_of(seen))[0].numpy()
    frame = face.region
    places = frame.to_picture(found[:, :2])  # type: ignore[attr-defined]
    assert np.abs(places - [(203.2, 100.7), (246.1, 103.3)]).max() < 1.2
