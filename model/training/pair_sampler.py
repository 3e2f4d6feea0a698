"""The batches of a paired training: pairs of series, unpaired faces, and all random draws.

All draws come from a generator that is seeded with the seed of the training and the number of the
iteration, as in sampler.py.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...pipeline.action_units import COUNT, positions, region_masks
from ...pipeline.errors import WrongUse
from ..config import TrainSettings
from ..data import Faces
from ..landmarks.frame import frame_maps, into_frame, maps_between
from ..landmarks.nuisance import MIRRORED_SIGN, difference, nuisance
from .framing import composed, sampled
from .pair_augmentation import Augmentation
from .sampler import SEED_STRIDE
from .whitening import whitening, within_series

MIN_SERIES = 4
"""Faces that a series must have to be used."""
UNKNOWN = 9.0
"""The coordinate of landmarks that are not known: far outside."""
_CANDIDATES = 3
"""Random faces of a series, of which the most unlike is the target in half of the pairs."""
_STRONG = 0.5, 1.0
"""Changes of the AUs of a region that are looked at for folds."""
_LOWEST, _HIGHEST = 0.3, 1.0
"""Unpaired faces are asked for one or two AUs of a value between these."""
MAX_GAINS = (1.5, 1.3, 1.5, 1.6, 1.6, 2.0, 1.5, 1.8, 1.2, 1.8, 1.7, 1.8, 1.8, 2.0, 1.5, 1.3, 1.2)
"""Factors of the AU changes that unpaired faces are asked for: in pairs AUs come in company, so a
generator that learns from them shows a single AU more weakly than it is asked for. Of stronger
changes it has never been told what looks wrong, so the gains of the weights end here, too."""
_MEASURED = 64
"""Side in px of the frames in which colour and light are measured."""
_LIMITING = 2000
"""Pairs whose changes limit painting."""
_CHUNK = 256


class Unpaired(NamedTuple):
    """Faces that are asked for AUs of which there is no photograph."""

    faces: Tensor
    """(m, 3, size, size) in -1..1."""
    own: Tensor
    """(m, 17) in 0-1: their AUs."""
    aus: Tensor
    """(m, 17) in 0-1: the AUs that they are asked for, times the gains."""
    change: Tensor
    """(m, 17): the change of the AUs, times the gains."""
    asked: Tensor
    """(m, 17): the change without the gains, which should be seen."""
    strong: Tensor
    """(m, 17): a strong change of AUs of one region, by which the flow must not fold."""

    @property
    def wanted(self) -> Tensor:
        """(m, 17) in 0-1: the AUs that they should have afterwards."""
        return (self.own + self.asked).clamp(0, 1)


class PairBatch(NamedTuple):
    """The faces of one iteration and its random draws, on the device that trains."""

    sources: Tensor
    """(n, 3, size, size) in -1..1."""
    targets: Tensor
    """(n, 3, size, size): other faces of the same series."""
    source_landmarks: Tensor
    """(n, points, 2) in -1..1 across the sources; UNKNOWN where not known."""
    target_landmarks: Tensor
    """The same of the targets."""
    aus: Tensor
    """(n, 17) in 0-1: the AUs of the targets."""
    change: Tensor
    """(n, 17): the AUs of the targets less those of the sources."""
    nuisance: Tensor
    """(n, 12): what else differs, targets less sources (landmarks/nuisance.py)."""
    strong: Tensor
    """(n, 17): as in Unpaired."""
    unpaired: Unpaired | None
    """None if all faces of the batch are in pairs."""


class PairSampler:
    """Batches by the number of the iteration.

    faces: the training faces. aligned: (faces, 68, 2), the aligner's landmarks in the crops.
    reference: (68, 2), where those of a mean face lie in the frame. If the faces have no known
    landmarks, flow and pose are taken from those of the aligner.
    Raises WrongUse if no series has MIN_SERIES faces.
    """

    def __init__(
        self, faces: Faces, settings: TrainSettings, aligned: Tensor, reference: Tensor
    ) -> None:
        self.faces, self.settings = faces, settings
        self.series = _usable(faces.series)
        known = positions(settings.generator.aus)
        self._trained = torch.zeros(COUNT).index_fill(0, torch.tensor(known), 1)
        self._regions = torch.from_numpy(region_masks())
        self._known, self._gains = torch.tensor(known), torch.tensor(MAX_GAINS) * settings.free_gain
        self._deviation = _deviations(faces.aus, self.series)[known]
        self.maps = frame_maps(aligned, reference)
        """(faces, 2, 3), from the frame of each face to its crop."""
        points = aligned if faces.landmarks is None else faces.landmarks
        self.landmarks = into_frame(points, self.maps)
        """(faces, points, 2) in the frame, NaN where not known."""
        parts = torch.arange(len(faces)).split(_CHUNK)
        self.nuisance = torch.cat([self._measured(part) for part in parts])
        """(faces, 12)."""

    @property
    def whitening(self) -> Tensor:
        """For `FlowGenerator.whiten`: that of the changes and nuisances of pairs."""
        return whitening(torch.cat([self.faces.aus[:, self._known], self.nuisance], 1), self.series)

    @property
    def largest_changes(self) -> Tensor:
        """(17,): the change of each AU that 1% of pairs exceed, for `FlowGenerator`'s limit of
        painting."""
        draw = torch.Generator().manual_seed(self.settings.seed * SEED_STRIDE)
        source, target = self._draw_pairs(_LIMITING, draw)
        changes = (self.faces.aus[target] - self.faces.aus[source]).abs()
        return changes.quantile(0.99, 0)

    def batch(
        self, iteration: int, device: torch.device, pairs: int, share: tuple[int, int] = (0, 1)
    ) -> PairBatch:
        """The batch of an iteration, or a share of it.

        pairs: how many pairs it has; its other faces are unpaired. share: number and count of the
        shares, as several processes divide a batch.
        """
        draw = torch.Generator().manual_seed(self.settings.seed * SEED_STRIDE + iteration)
        source, target = self._draw_pairs(pairs, draw)
        change = self.faces.aus[target] - self.faces.aus[source]
        augmentation = Augmentation.draw(pairs, draw)
        told = self._told(source, target, augmentation)
        strong = self._strong_changes(pairs, draw)
        unpaired = self._unpaired(self.settings.batch - pairs, draw, device, share)

        part = _part(pairs, share)
        source, target, augmentation = source[part], target[part], augmentation.part(part)
        maps, target_maps = augmentation.maps, self._target_maps(source, target, augmentation)
        return PairBatch(
            self._views(source, maps, augmentation, device),
            self._views(target, target_maps, augmentation, device),
            self._points(source, maps).to(device),
            self._points(target, target_maps).to(device),
            self.faces.aus[target].to(device),
            change[part].to(device),
            told[part].to(device),
            strong[part].to(device),
            unpaired,
        )

    def _draw_pairs(self, count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Sources and targets (count,), of random series, each series as often.

        Half of the targets are the most unlike of _CANDIDATES random faces, by the AU that differs
        most over its deviation within series: so rare AUs are seen more often.
        """
        pairs = []
        for which in torch.randint(len(self.series), (count,), generator=draw).tolist():
            series = self.series[which]
            order = torch.randperm(len(series), generator=draw)[: _CANDIDATES + 1]
            source, targets = series[order[0]], series[order[1:]]
            differences = (self.faces.aus[targets] - self.faces.aus[source]).abs()[:, self._known]
            unlike = targets[(differences / self._deviation).amax(1).argmax()]
            rare = torch.rand((), generator=draw) < 0.5
            pairs.append(torch.stack([source, unlike if rare else targets[0]]))
        source, target = torch.stack(pairs).T
        return source, target

    def _told(self, source: Tensor, target: Tensor, augmentation: Augmentation) -> Tensor:
        """(n, 12): what differs between the views of pairs beside their AUs."""
        told = difference(self.nuisance[source], self.nuisance[target])
        return torch.where(augmentation.mirrored[:, None], told * torch.tensor(MIRRORED_SIGN), told)

    def _target_maps(self, source: Tensor, target: Tensor, augmentation: Augmentation) -> Tensor:
        """(n, 2, 3): from the views of targets to their frames, so that they lie as the sources do,
        by landmarks that expressions hardly move."""
        aligned = maps_between(self.landmarks[source], self.landmarks[target])
        return composed(aligned, augmentation.maps)

    def _unpaired(
        self, count: int, draw: torch.Generator, device: torch.device, share: tuple[int, int]
    ) -> Unpaired | None:
        """Random faces, of which one or two AUs are asked for at random, or all AUs of another
        face."""
        if not count:
            return None
        chosen, others = torch.randint(len(self.faces), (2, count), generator=draw)
        own = self.faces.aus[chosen]
        first, second = self._draw_aus(count, draw)
        single = torch.rand(count, generator=draw) < 0.5
        which = torch.stack([first, torch.where(single, first, second)], 1)
        levels = torch.rand(count, COUNT, generator=draw) * (_HIGHEST - _LOWEST) + _LOWEST
        asked = torch.zeros(count, COUNT).scatter(1, which, (levels - own).gather(1, which))
        whole = torch.rand(count, 1, generator=draw) < self.settings.whole_expressions
        asked = torch.where(whole, (self.faces.aus[others] - own) * self._trained, asked)
        change = asked * self._gains
        strong = self._strong_changes(count, draw)
        augmentation, part = Augmentation.draw(count, draw), _part(count, share)
        augmentation, chosen = augmentation.part(part), chosen[part]
        faces = self._views(chosen, augmentation.maps, augmentation, device)
        aus = (own + change).clamp(0, 1)
        numbers = (each[part].to(device) for each in (own, aus, change, asked, strong))
        return Unpaired(faces, *numbers)

    def _draw_aus(self, count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Columns (count,) of two AUs for each face; half of the second are of the first's region,
        whose AUs act on the same pixels."""
        first = self._known[torch.randint(len(self._known), (count,), generator=draw)]
        near = torch.rand(count, 1, generator=draw) < 0.5
        apart = (self._regions.T @ self._regions)[first] == 0
        # The least is drawn: the first again only if no other is trained.
        order = torch.rand(count, COUNT, generator=draw) + (near & apart) + 9 * (1 - self._trained)
        order = order.scatter(1, first[:, None], 5)
        return first, order.argmin(1)

    def _strong_changes(self, count: int, draw: torch.Generator) -> Tensor:
        """(count, 17): for each face, about half of the AUs of a region at random."""
        lowest, highest = _STRONG
        which = torch.randint(len(self._regions), (count,), generator=draw)
        chosen = self._regions[which] * self._trained
        chosen = chosen * (torch.rand(count, COUNT, generator=draw) < 0.5)
        return chosen * (torch.rand(count, COUNT, generator=draw) * (highest - lowest) + lowest)

    def _views(
        self, chosen: Tensor, maps: Tensor, augmentation: Augmentation, device: torch.device
    ) -> Tensor:
        """The chosen faces (n, 3, size, size), sampled once from their crops.

        maps: (n, 2, 3), from the views to the frames.
        """
        maps = composed(self.maps[chosen], maps).to(device)
        faces = sampled(self.faces.images[chosen].to(device), maps, self.settings.size)
        return augmentation.to(device).coloured(faces)

    def _points(self, chosen: Tensor, maps: Tensor) -> Tensor:
        """The landmarks of the chosen faces in their views."""
        return into_frame(self.landmarks[chosen], maps).nan_to_num(nan=UNKNOWN)

    def _measured(self, chosen: Tensor) -> Tensor:
        frames = sampled(self.faces.images[chosen], self.maps[chosen], _MEASURED)
        return nuisance(frames, self.landmarks[chosen])


def _part(count: int, share: tuple[int, int]) -> slice:
    number, shares = share
    size = count // shares
    return slice(number * size, (number + 1) * size)


def members_of(series: Sequence[str | None]) -> list[Tensor]:
    """The positions of the faces of each series, in order of appearance."""
    members: dict[str, list[int]] = {}
    for position, name in enumerate(series):
        if name is not None:
            members.setdefault(name, []).append(position)
    return [torch.tensor(one) for one in members.values()]


def _usable(series: Sequence[str | None]) -> list[Tensor]:
    """The positions of the faces of each series with MIN_SERIES faces, in order of appearance."""
    members = members_of(series)
    usable = [one for one in members if len(one) >= MIN_SERIES]
    if not usable:
        raise WrongUse(
            f"--paired needs series of {MIN_SERIES} faces or more, and these shards have "
            f"{len(members) or 'none'}{' smaller ones' if members else ''}. Prepare photographs or "
            "clips of persons with several expressions with --series."
        )
    return usable


def _deviations(aus: Tensor, series: Sequence[Tensor]) -> Tensor:
    """(17,): the standard deviation of each AU within series."""
    return within_series(aus, series).square().mean(0).sqrt().clamp(min=1e-3)
