"""How many times lighter photographs are than edits that ask another photograph of the same person
for what they show.

A photograph is first aligned with the edit by optical flow, as a fold that lies one pixel beside is
no use.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...pipeline.errors import GanimError
from ..data import Faces
from ..editing.brows import brows_of
from ..editing.expression_ratios import skin_of_face
from ..editing.mouth import lips_in
from ..networks.flow_generator import FlowGenerator
from ..pixels import from_model, to_model
from ..warp import resized
from .pair_sampler import members_of

_CALMEST = 0.6
"""Share of pairs whose first photograph is the one of its series with the smallest AUs."""
_CHANGED, _TRIES = 0.25, 8
"""By how much an AU changes in a pair, if one is found in so many draws."""
_DARK = 0.06
"""Is added to the brightness, 0-1, before its logarithm is taken."""
_CONTRAST, _TILES = 2.0, 4
"""Of the equalisation of contrast before the flow is found."""
_PATCH, _STRIDE, _EVEN = 16, 4, 60.0
"""Of the optical flow, at twice the size of the frame; and how smooth it is."""
_BLUR = 1 / 64
"""Standard deviation by which it is smoothed then, in sides of the frame."""


class Examples(NamedTuple):
    """n edits."""

    ratios: Tensor
    """(n, 1, h, w): logarithms of how many times lighter the photograph is than the edit."""
    skin: Tensor
    """(n, 1, h, w) in 0-1: where there is skin."""
    change: Tensor
    """(n, 17): of the AUs."""


@torch.inference_mode()
def ratio_examples(
    generator: FlowGenerator, faces: Faces, count: int, draw: torch.Generator
) -> Examples:
    """Edits of faces that lie in the frame, by a generator that leaves light and shade as they are.

    Raises: GanimError if no series has two photographs.
    """
    source, target = torch.tensor(list(_pairs(faces, count, draw))).unbind(1)
    known = generator.encode(to_model(faces.images[source]))
    masks = generator.animate(known, faces.aus[target], faces.aus[source])
    assert masks.flow is not None
    lips = lips_in(known.faces, known.lips, torch.ones(count))
    skin = skin_of_face(masks.flow, brows_of(known.upper_face), lips)
    skin = skin * (1 - resized(known.occlusion, masks.flow))
    edits = from_model(masks.blend()).round().byte()
    each = zip(edits, faces.images[target], skin, strict=True)
    ratios = torch.stack([ratio(*one) for one in each])
    return Examples(ratios, skin, faces.aus[target] - faces.aus[source])


def _pairs(faces: Faces, count: int, draw: torch.Generator) -> Iterator[tuple[int, int]]:
    """Two photographs of a series each."""
    series = [each for each in members_of(faces.series) if len(each) > 1]
    if not series:
        raise GanimError(
            "Light and shade are learned from series, and these shards have none: "
            "prepare them with --series."
        )
    for _ in range(count):
        for _ in range(_TRIES):
            those = series[int(torch.randint(len(series), (), generator=draw))]
            source, target = those[torch.randperm(len(those), generator=draw)[:2]].tolist()
            calmest = int(those[faces.aus[those].sum(1).argmin()])
            if calmest != target and torch.rand((), generator=draw) < _CALMEST:
                source = calmest
            if (faces.aus[target] - faces.aus[source]).abs().max() > _CHANGED:
                break
        yield source, target


def ratio(edit: Tensor, photograph: Tensor, skin: Tensor) -> Tensor:
    """(1, h, w): logarithms of how many times lighter a photograph (3, h, w) uint8 is than an edit,
    with which it is aligned; 0 in the mean of the skin (1, h, w)."""
    here, there = (each.permute(1, 2, 0).contiguous().numpy() for each in (edit, photograph))
    ratios = torch.from_numpy(_light(_aligned(there, here)) - _light(here))[None]
    return ratios - (ratios * skin).sum() / skin.sum().clamp(min=1e-3)


def _aligned(image: NDArray[np.uint8], like: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image (h, w, 3) whose pixels are moved to where those of another one are, by dense inverse
    search (Kroeger et al. 2016)."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    search.setPatchSize(_PATCH)
    search.setPatchStride(_STRIDE)
    search.setVariationalRefinementAlpha(_EVEN)
    height, width = like.shape[:2]
    still = np.zeros((2 * height, 2 * width, 2), np.float32)
    flow = search.calc(_contrasted(like), _contrasted(image), still)
    flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / 2
    flow = cv2.GaussianBlur(flow, (0, 0), _BLUR * width)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x + flow[..., 0], y + flow[..., 1]
    moved = cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def _contrasted(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The brightness of an image at twice its size, with equal contrast everywhere."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.createCLAHE(_CONTRAST, (_TILES, _TILES)).apply(grey), np.uint8)


def _light(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, w): the logarithm of the brightness of an image (h, w, 3)."""
    return np.log(image.mean(2, dtype=np.float32) / 255 + _DARK)
