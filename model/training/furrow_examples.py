"""What the network of furrows is trained on: faces that a generator has edited, with the skin in
them.

All are edited once and kept in memory: 91 KB each at 160 px.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ...pipeline.action_units import positions
from ..data import Faces
from ..editing.brows import brows_of
from ..editing.furrows import FROWN, skin_of
from ..networks.flow_generator import FlowGenerator
from ..pixels import from_model, to_model
from .pair_sampler import members_of

_PAIRED, _WHOLE = 0.4, 0.2
"""Shares of edits that ask a face for what another photograph of its series shows, and for what
a photograph of another person shows. The others are asked for AUs of one group."""
_GROUPS = ((4,), (4,), (1, 4), (4, 7), (4, 9), (1, 4, 15), (4, 5, 7, 23))
"""AUs that are asked for together."""
_LEAST = 0.3
"""Such are asked for by a number between this and 1."""
_CHANGED, _SHOWN, _TRIES = 0.2, 0.25, 6
"""How much AU4 rises in a pair, if one is found in so many draws; and how much of it people show
whose expressions others are asked for."""
_CHUNK = 24


class Edits(NamedTuple):
    """n edited faces."""

    source: Tensor
    """(n,) integers: of which photograph each was made."""
    target: Tensor
    """(n,) integers: the photograph that shows what it should, of the same series; -1: there is
    none."""
    asked: Tensor
    """(n, 17) in 0-1."""
    own: Tensor
    """(n, 17) in 0-1: what the photograph shows."""
    results: Tensor
    """(n, 3, h, w) uint8, in the frame."""
    skin: Tensor
    """(n, 1, h', w) uint8: 255 where there is skin in the upper face."""

    def where(self, chosen: Tensor) -> "Edits":
        """Some of them."""
        return Edits(*(each[chosen] for each in self))


@torch.inference_mode()
def edited(generator: FlowGenerator, faces: Faces, count: int, draw: torch.Generator) -> Edits:
    """Ask faces that lie in the frame for other AUs."""
    drawn = list(_draws(faces, count, draw))
    source, target = (torch.tensor([each[at] for each in drawn]) for at in (0, 1))
    asked, own = torch.stack([each[2] for each in drawn]), faces.aus[source]
    results, skin = [], []
    for part in torch.arange(count).split(_CHUNK):
        known = generator.encode(to_model(faces.images[source[part]]))
        masks = generator.animate(known, asked[part], own[part])
        results.append(from_model(masks.blend()).round().byte())
        assert masks.flow is not None
        found = skin_of(masks.flow, brows_of(known.upper_face), 1 - known.occlusion)
        skin.append((found * 255).round().byte())
    return Edits(source, target, asked, own, torch.cat(results), torch.cat(skin))


def _draws(faces: Faces, count: int, draw: torch.Generator) -> Iterator[tuple[int, int, Tensor]]:
    """Photographs, the targets or -1, and AUs (17,) that are asked for."""
    series = [each for each in members_of(faces.series) if len(each) > 1]
    shown = torch.where(faces.aus[:, FROWN] > _SHOWN)[0].tolist() or list(range(len(faces)))
    groups = [list(positions(group)) for group in _GROUPS]

    def one(among: int) -> int:
        return int(torch.randint(among, (), generator=draw))

    for _ in range(count):
        kind = float(torch.rand((), generator=draw))
        source = one(len(faces))
        if kind < _PAIRED and series:
            for _ in range(_TRIES):
                those = series[one(len(series))]
                source, target = those[torch.randperm(len(those), generator=draw)[:2]].tolist()
                if faces.aus[target, FROWN] - faces.aus[source, FROWN] > _CHANGED:
                    break
            yield source, target, faces.aus[target]
        elif kind < _PAIRED + _WHOLE:
            yield source, -1, faces.aus[shown[one(len(shown))]]
        else:
            asked = faces.aus[source].clone()
            for column in groups[one(len(groups))]:
                strength = _LEAST + (1 - _LEAST) * torch.rand((), generator=draw)
                asked[column] = asked[column].maximum(strength)
            yield source, -1, asked
