"""What the network of mouths is trained on: photographs of open mouths, and edits that open one.

All are made once and kept in memory, cut to the mouth: 50 KB an example of the shipped weights.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...pipeline.action_units import positions
from ...pipeline.errors import WrongUse
from ..config import TrainSettings
from ..data import Faces
from ..landmarks.frame import into_frame
from ..networks.flow_generator import NUISANCE, FlowGenerator
from ..networks.mouth import cut_to_mouth, hole_of
from ..pixels import from_model, to_model
from .mouth_holes import INNER_LIPS, OUTER_LIPS, polygons
from .pair_augmentation import Augmentation, Deviations
from .pair_sampler import PairSampler

_BATCH = 16
"""Faces that are edited at once."""
_PAIRS = 0.25
"""Share of the edited faces that have a photograph to compare with."""
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
"""Mean opening, over what is cut, below which an edit is left out."""
_LIPS, _GAPS = (61, 62, 63), (67, 66, 65)
"""Landmarks of the upper and the lower lip whose distance says how far a mouth is open."""
_OPEN, _PARTED, _WIDE_OPEN = 0.025, 0.15, 0.05
"""Mouths are open by so much of the frame, and from so much of AU25 on, or by more than the third
number: landmarks of closed lips lie apart by some pixels, too."""
_WIDER, _DROPPED, _OFTEN = 0.075, 0.4, 2.0
"""Mouths that are wider open than this, and those with more of AU26, are drawn so much more often
than others, as there are few."""
_VIEWS = 2
"""Of each photograph."""
_SHOWN = 0.96
"""Quantile of the AUs of photographs up to which the network is told them."""
_NEAR = 40
"""Photographs with which the results of an unpaired face are compared."""
_DEVIATIONS = Deviations(0.04, 0.04, 0.03, (0.0, 0.0), 0.04, 0.1, 0.1, 0.1, 0.02, 0.1)
"""Smaller changes than usual: all mouths lie where the network will see them."""
_ELSEWHERE = 9.0
"""What is added to the distance of a photograph of another collection: more than any distance."""
_NONE = "No photograph shows an open mouth. Add some."
_CPU = torch.device("cpu")
_CHUNK = 64


class Mouths(NamedTuple):
    """n mouths, cut from faces, in bytes to save memory; `part` gives the numbers."""

    faces: Tensor
    """(n, 3, h, w): pixels."""
    hole: Tensor
    """(n, 1, h, w): what is filled; of photographs, what is between their lips."""
    aus: Tensor
    """(n, 17) in 0-1: what they show, or are asked for."""

    def part(self, chosen: Tensor) -> "Mouths":
        """Some of them: pixels in -1..1, holes in 0-1."""
        faces, hole, aus = self.where(chosen)
        return Mouths(to_model(faces), hole / 255, aus)

    def where(self, chosen: Tensor | slice) -> "Mouths":
        """Some of them."""
        return Mouths(*(each[chosen] for each in self))


class Examples(NamedTuple):
    """What a training draws from."""

    photographs: Mouths
    lips: Tensor
    """(photographs, 1, h, w) uint8: as `hole`, with the lips."""
    weights: Tensor
    """(photographs,): how often each is drawn, beside others."""
    pairs: Mouths
    targets: Tensor
    """(pairs, 3, h, w) uint8: the other photograph of each."""
    unpaired: Mouths
    near: Tensor
    """(unpaired, at most 40): positions of photographs that show nearly what was asked for."""

    @property
    def most(self) -> Tensor:
        """(17,): how much of each AU photographs show, and edits are asked for."""
        return _most_shown(self.photographs)


class MouthSampler(PairSampler):
    """Photographs of open mouths, and random edits that open one. The arguments are those of
    PairSampler."""

    def __init__(
        self, faces: Faces, settings: TrainSettings, aligned: Tensor, reference: Tensor
    ) -> None:
        super().__init__(faces, settings, aligned, reference)
        self._aligned = into_frame(aligned, self.maps)

    def photographs(self, draw: torch.Generator) -> tuple[Mouths, Tensor, Tensor, Tensor]:
        """Photographs of k open mouths, `lips` and `weights` of Examples, and their positions (k,).
        Raises WrongUse if there are none."""
        apart = self._aligned[:, _LIPS] - self._aligned[:, _GAPS]
        gap = apart.norm(dim=2).amax(1) / 2
        parted, dropped = self.faces.aus[:, _OPENING].T
        open_ = ((gap > _OPEN) & (parted > _PARTED)) | (gap > _WIDE_OPEN)
        chosen = open_.nonzero()[:, 0].repeat(_VIEWS)
        if not len(chosen):
            raise WrongUse(_NONE)
        views, holes = [], []
        for part in chosen.split(_CHUNK):
            augmentation = Augmentation.draw(len(part), draw, _DEVIATIONS)
            faces = self._views(part, augmentation.maps, augmentation, _CPU)
            views.append(_bytes(faces))
            points = into_frame(self._aligned[part], augmentation.maps)
            holes.append(_around(points, faces))
        inside, lips = (torch.cat(each) for each in zip(*holes, strict=True))
        # Landmarks may lie outside of what is cut.
        seen = inside.flatten(1).amax(1) > 127
        if not seen.any():
            raise WrongUse(_NONE)
        chosen = chosen[seen]
        often = (gap[chosen] > _WIDER).float() + (dropped[chosen] > _DROPPED)
        mouths = Mouths(torch.cat(views)[seen], inside[seen], self.faces.aus[chosen])
        return mouths, lips[seen], 1 + _OFTEN * often, chosen

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
        mouths, opened = _edited(generator, faces, asked, asked - own, told)
        maps = self._target_maps(source, target, augmentation)
        targets = _bytes(self._views(target, maps, augmentation, _CPU))
        return mouths.where(opened), targets[opened]

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
        mouths, opened = _edited(generator, faces, aus, change, told)
        return mouths.where(opened), chosen[opened]

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
    """Cut photographs of open mouths, edit `count` faces, and keep those whose mouths open.

    progress: is given the number of faces that were edited, after each batch. Raises WrongUse if no
    mouth opens in pairs, in other faces, or in photographs.
    """
    draw = torch.Generator().manual_seed(sampler.settings.seed)
    photographs, lips, weights, shown = sampler.photographs(draw)
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
    most, collections = _most_shown(photographs), _collections(sampler.faces.sources)
    paired_mouths, mouths = (
        each._replace(aus=each.aus.minimum(most)) for each in (_joined(pairs), _joined(unpaired))
    )
    of_edits = collections[torch.cat(chosen)]
    near = _nearest(mouths.aus, of_edits, photographs.aus, collections[shown])
    return Examples(photographs, lips, weights, paired_mouths, torch.cat(targets), mouths, near)


@torch.no_grad()
def _edited(
    generator: FlowGenerator, faces: Tensor, aus: Tensor, change: Tensor, told: Tensor
) -> tuple[Mouths, Tensor]:
    """Faces (n, 3, size, size) in -1..1 before their mouths are filled, and (n,) whether these open
    so far that there is something to fill; the others are the arguments of `before_mouths`."""
    masks, opening = generator.before_mouths(generator.encode(faces), aus, change, told)
    edited, opening = masks.blend(), cut_to_mouth(opening, 2)
    hole = hole_of(opening, cut_to_mouth(edited, 4))
    mouths = Mouths(_bytes(edited), (hole * 255).round().byte(), aus)
    return mouths, opening.mean((1, 2, 3)) > _LEAST


def _around(landmarks: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """What is between the lips of faces (n, 3, size, size), without and with them, cut to the
    mouth: (n, 1, h, w) uint8. landmarks: (n, 68, 2) in the faces, -1..1."""
    side = faces.shape[3]
    pixels = (landmarks + 1) * (side / 2) - 0.5
    inside, lips = (
        cut_to_mouth(polygons(pixels[:, which], side, side), 4)
        for which in (INNER_LIPS, OUTER_LIPS)
    )
    return inside.clone(), lips.clone()


def _most_shown(photographs: Mouths) -> Tensor:
    return photographs.aus.quantile(_SHOWN, 0)


def _joined(parts: Sequence[Mouths]) -> Mouths:
    return Mouths(*(torch.cat(each) for each in zip(*parts, strict=True)))


def _bytes(views: Tensor) -> Tensor:
    """The mouths of faces (n, 3, size, size) in -1..1, as uint8."""
    return from_model(cut_to_mouth(views, 4)).round().clamp(0, 255).byte()


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
