"""What the network of mouths is trained on: edits that open a mouth, as the generator gives them to
that network, and photographs of open mouths.

All are made once and kept in memory, cut to the mouth: 0.3 MB an example of the shipped weights.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...pipeline.action_units import COUNT, positions
from ...pipeline.errors import WrongUse
from ..networks.flow_generator import NUISANCE, FlowGenerator
from ..networks.mouth import cut_to_mouth
from ..pixels import from_model
from .pair_augmentation import Augmentation, Deviations
from .pair_sampler import PairSampler

_BATCH = 16
"""Faces that are edited at once."""
_PAIRS = 0.25
"""Share of the faces that have a photograph to compare with."""
JUDGED_BY = positions((10, 12, 20, 25, 26))
"""Columns of the AUs that say what is seen in a mouth."""
_COMBINATIONS = (
    (6, 12, 25), (12, 25), (6, 12, 25, 26), (12, 25, 26), (25,), (25,), (25,), (25, 26), (25, 26),
    (25, 26), (26,), (1, 2, 5, 25, 26), (1, 2, 5, 25, 26), (20, 25), (9, 10, 25), (10, 25),
    (1, 2, 25, 26), (4, 25, 26),
)  # fmt: skip
"""AUs that unpaired faces are asked for, each of these as often."""
_WHOLE = 0.1
"""Share of the unpaired faces that are asked for all AUs of another face instead."""
_LOWEST, _HIGHEST, _APART = 0.4, 1.0, 0.1
"""The AUs of a combination are of one value, and differ from it by this standard deviation."""
_OPENING = positions((25, 26))
_CANDIDATES, _BEST = 6, 2
"""Pairs that are drawn, and those of them that open the mouth most, per pair that is used."""
_LEAST = 0.012
"""Mean opening, over what is cut, below which an example is left out."""
_OPEN = {25: 0.2, 26: 0.3, 12: 0.3}
"""Photographs in which one of these AUs is higher show an open mouth, or nearly so."""
_VIEWS = 2
"""Of each of these photographs."""
_NEAR = 40
"""Photographs with which the results of an unpaired face are compared."""
_DEVIATIONS = Deviations(0.04, 0.04, 0.03, (0.0, 0.0), 0.04, 0.1, 0.1, 0.1, 0.02, 0.1)
"""Smaller changes than usual: all mouths lie where the network will see them."""
_ELSEWHERE = 9.0
"""What is added to the distance of a photograph of another collection: more than any distance."""
_CPU = torch.device("cpu")
_CHUNK = 64


class Mouths(NamedTuple):
    """What the network of mouths is given for n faces, cut to the mouth: the arguments of its
    `forward` in half precision, with the opening in 0-255; and what was asked for."""

    features: Tensor
    style: Tensor
    faces: Tensor
    opening: Tensor
    aus: Tensor
    """(n, 17) in 0-1."""

    def part(self, chosen: Tensor) -> "Mouths":
        """Some of them, as the network takes them."""
        features, style, faces, opening, aus = (each.float() for each in self.where(chosen))
        return Mouths(features, style, faces, opening / 255, aus)

    def where(self, chosen: Tensor) -> "Mouths":
        """Some of them."""
        return Mouths(*(each[chosen] for each in self))

    @property
    def opened(self) -> Tensor:
        """(n,) bool: whether the mouth opens so far that there is something to paint."""
        return self.opening.float().mean((1, 2, 3)) > 255 * _LEAST


class Examples(NamedTuple):
    """What a training draws from."""

    pairs: Mouths
    targets: Tensor
    """(pairs, 3, h, w) uint8: the other photograph of each."""
    unpaired: Mouths
    near: Tensor
    """(unpaired, at most 40): positions of photographs that show nearly what was asked for."""
    photographs: Tensor
    """(k, 3, h, w) uint8: open mouths."""
    shown: Tensor
    """(k, 17) in 0-1: their AUs."""


class MouthSampler(PairSampler):
    """Random edits that open the mouth. The arguments are those of PairSampler."""

    def pairs(
        self, generator: FlowGenerator, count: int, draw: torch.Generator
    ) -> tuple[Mouths, Tensor]:
        """Faces that are asked for the AUs of another face of their series, and these: targets
        (n, 3, h, w) uint8. n is at most `count`, as mouths that do not open are left out."""
        source, target = self._draw_pairs(_CANDIDATES * count, draw)
        rises = (self.faces.aus[target] - self.faces.aus[source])[:, _OPENING].amax(1)
        best = rises.topk(_BEST * count).indices
        best = best[torch.randperm(len(best), generator=draw)[:count]]
        source, target = source[best], target[best]
        augmentation = Augmentation.draw(count, draw, _DEVIATIONS)
        told = self._told(source, target, augmentation)
        own, asked = self.faces.aus[source], self.faces.aus[target]
        faces = self._views(source, augmentation.maps, augmentation, _CPU)
        mouths = _edited(generator, faces, asked, asked - own, told, asked)
        maps = self._target_maps(source, target, augmentation)
        targets = _bytes(self._views(target, maps, augmentation, _CPU))
        return mouths.where(mouths.opened), targets[mouths.opened]

    def unpaired(
        self, generator: FlowGenerator, count: int, draw: torch.Generator
    ) -> tuple[Mouths, Tensor]:
        """Faces that are asked for AUs of which there is no photograph, by the changes that are
        shown in use; and their positions (n,). n is as in `pairs`."""
        chosen = torch.randint(len(self.faces), (count,), generator=draw)
        own, asked = self.faces.aus[chosen], self._asked(chosen, draw)
        change = generator.shown_change(asked, own)
        augmentation = Augmentation.draw(count, draw, _DEVIATIONS)
        faces = self._views(chosen, augmentation.maps, augmentation, _CPU)
        aus, told = (own + change).clamp(0, 1), torch.zeros(count, NUISANCE)
        mouths = _edited(generator, faces, aus, change, told, asked)
        return mouths.where(mouths.opened), chosen[mouths.opened]

    def photographs(self, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Photographs of open mouths (k, 3, h, w) uint8, and their positions (k,). Raises WrongUse
        if there are none."""
        limits = torch.full((COUNT,), torch.inf)
        limits[positions(_OPEN)] = torch.tensor(list(_OPEN.values()))
        chosen = (self.faces.aus > limits).any(1).nonzero()[:, 0].repeat(_VIEWS)
        if not len(chosen):
            raise WrongUse("No photograph shows an open mouth by its AU12, AU25 or AU26. Add some.")
        mouths = []
        for part in chosen.split(_CHUNK):
            augmentation = Augmentation.draw(len(part), draw, _DEVIATIONS)
            mouths.append(_bytes(self._views(part, augmentation.maps, augmentation, _CPU)))
        return torch.cat(mouths), chosen

    def _asked(self, chosen: Tensor, draw: torch.Generator) -> Tensor:
        """(n, 17) in 0-1: what the chosen faces are asked for."""
        asked = self.faces.aus[chosen]
        for each in asked:
            if torch.rand((), generator=draw) < _WHOLE:
                each.copy_(self.faces.aus[torch.randint(len(self.faces), (), generator=draw)])
                continue
            which = int(torch.randint(len(_COMBINATIONS), (), generator=draw))
            columns = positions(_COMBINATIONS[which])
            level = _LOWEST + (_HIGHEST - _LOWEST) * torch.rand((), generator=draw)
            each[columns] = level + _APART * torch.randn(len(columns), generator=draw)
        return asked.clamp(0, 1)


def make_examples(
    generator: FlowGenerator, sampler: MouthSampler, count: int, progress: Callable[[int], object]
) -> Examples:
    """Edit `count` faces, and keep those whose mouths open.

    progress: is given the number of faces that were edited, after each batch. Raises WrongUse if no
    mouth opens in pairs, in other faces, or in photographs.
    """
    draw = torch.Generator().manual_seed(sampler.settings.seed)
    faces, shown = sampler.photographs(draw)
    paired = round(_PAIRS * _BATCH)
    pairs, targets, unpaired, chosen = [], [], [], []
    for made in range(0, count, _BATCH):
        mouths, answers = sampler.pairs(generator, paired, draw)
        pairs.append(mouths)
        targets.append(answers)
        mouths, places = sampler.unpaired(generator, _BATCH - paired, draw)
        unpaired.append(mouths)
        chosen.append(places)
        progress(made + _BATCH)
    counts = [sum(len(each.aus) for each in kind) for kind in (pairs, unpaired)]
    if not all(counts):
        raise WrongUse(
            f"Too few of {count} faces open their mouths when they are edited: {counts[0]} of "
            f"pairs, and {counts[1]} others. Ask for more --examples, or add series in which AU25 "
            "and AU26 differ."
        )
    mouths, collections = _joined(unpaired), _collections(sampler.faces.sources)
    aus = sampler.faces.aus[shown]
    near = _nearest(mouths.aus, collections[torch.cat(chosen)], aus, collections[shown])
    return Examples(_joined(pairs), torch.cat(targets), mouths, near, faces, aus)


@torch.no_grad()
def _edited(
    generator: FlowGenerator,
    faces: Tensor,
    aus: Tensor,
    change: Tensor,
    told: Tensor,
    asked: Tensor,
) -> Mouths:
    """What the network of mouths is given for faces (n, 3, size, size) in -1..1; the others are the
    arguments of `before_mouths`, and what the result should show."""
    encoded = generator.encode(faces)
    masks, outputs, opening = generator.before_mouths(encoded, aus, change, told)
    # Copies, as parts would keep the whole in memory.
    return Mouths(
        cut_to_mouth(outputs.features, 2).to(torch.half, copy=True),
        outputs.style,
        cut_to_mouth(masks.blend(), 4).to(torch.half, copy=True),
        (cut_to_mouth(opening, 2) * 255).round().byte(),
        asked,
    )


def _joined(parts: Sequence[Mouths]) -> Mouths:
    return Mouths(*(torch.cat(each) for each in zip(*parts, strict=True)))


def _bytes(views: Tensor) -> Tensor:
    """The mouths of faces (n, 3, size, size) in -1..1, as uint8."""
    return from_model(cut_to_mouth(views, 4)).round().byte()


def _collections(sources: Sequence[str]) -> Tensor:
    """(faces,): the number of each face's collection: the first folder of its source."""
    names = [source.split("/")[0] if "/" in source else "" for source in sources]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([numbers[name] for name in names])


def _nearest(aus: Tensor, collections: Tensor, others: Tensor, of_others: Tensor) -> Tensor:
    """(n, at most _NEAR): of others, with AUs (k, 17) and collections (k,), those whose AUs are
    nearest. Others of another collection are taken only if there are too few."""
    near = []
    for some, own in zip(aus.split(_CHUNK), collections.split(_CHUNK), strict=True):
        distance = torch.cdist(some[:, JUDGED_BY], others[:, JUDGED_BY])
        distance = distance + _ELSEWHERE * (own[:, None] != of_others)
        near.append(distance.topk(min(_NEAR, len(others)), largest=False).indices)
    return torch.cat(near)
