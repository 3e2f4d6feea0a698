"""The batches of a training: faces, target AUs, and all other random draws of an iteration.

All draws come from a generator that is seeded with the seed of the training and the number of the
iteration. So a resumed training makes the same draws as an uninterrupted one. When several
processes train together, each makes all draws and takes its part of the batch.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...pipeline.action_units import positions
from ..config import TrainSettings
from ..data import Faces
from ..pixels import to_model
from ..warp import moved
from .views import coarsened

SEED_STRIDE = 1_000_003
"""Difference between the first seeds of two trainings whose seeds differ by one."""
_SINGLE_AU_WEIGHT = 5.0
"""Weight of the error of the AU that changes in a single-AU target. In faces, and in what the
critic learns from them, AUs change together. With a weight of 1 the error of the other AUs, which
should stay, exceeds that of the one that should change, and the generator changes too little."""
_LEVEL_QUANTILE, _LEVEL_FACTOR = 0.999, 1.2
"""A single AU is drawn from 0 up to this quantile over the faces times this factor, and not up to
1. The critic has seen no faces with much higher values, so its AU error there does not describe
faces: teeth turned cyan, and brows became black strokes."""


class CriticAugmentation(NamedTuple):
    """How each face, real or generated, is changed before the critic sees it."""

    matrix: Tensor
    """(n, 2, 2): rotation and scale, for `warp.moved`."""
    shift: Tensor
    """(n, 2), in half sides, for `warp.moved`."""
    coarse: Tensor
    """(n,) bool: faces that are made grey and coarse, by `views.coarsened`."""


class Batch(NamedTuple):
    """The faces of one iteration and its random draws, on the device that trains."""

    faces: Tensor
    """(n, 3, size, size) in -1..1."""
    own_aus: Tensor
    """(n, 17) in 0-1: the AUs of the faces."""
    target_aus: Tensor
    """(n, 17) in 0-1: the AUs that the generator is asked for."""
    au_weight: Tensor
    """(n, AUs): weight of the squared error of each AU that the generator knows."""
    target_weight: Tensor
    """(n, AUs): the same for target AUs in the generator's step; single AUs count more."""
    alpha: Tensor
    """(n,) in 0-1: share of the real face in the interpolation for the gradient penalty."""
    augmentation: CriticAugmentation | None
    """None: the critic sees the faces as they are."""

    def augmented(self, faces: Tensor) -> Tensor:
        """Faces (n, 3, size, size) of this batch, real or generated, as the critic sees them."""
        if self.augmentation is None:
            return faces
        matrix, shift, coarse = self.augmentation
        return coarsened(moved(faces, matrix, shift), coarse)


class Sampler:
    """Batches by the number of the iteration.

    Each epoch contains every face once, in a new random order; the last faces that do not fill a
    batch are left out.
    """

    def __init__(self, faces: Faces, settings: TrainSettings) -> None:
        self.faces, self.settings = faces, settings
        self.per_epoch = len(faces) // settings.batch
        known = positions(settings.generator.aus)
        self._known = torch.tensor(known)
        self._balance = (
            _inverse_deviation(faces.aus[:, known])
            if settings.balanced_aus
            else torch.ones(len(known))
        )
        # numpy computes it, because torch.quantile is limited to a million values.
        quantile = np.quantile(faces.aus.numpy(), _LEVEL_QUANTILE, axis=0)
        highest = np.minimum(quantile * _LEVEL_FACTOR, 1.0)
        self._highest = torch.from_numpy(highest.astype(np.float32))
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def batch(self, iteration: int, device: torch.device, part: slice = slice(None)) -> Batch:
        """The batch of an iteration, or a part of it.

        A target is the AUs of a random face with uniform noise, clamped to 0-1; or, for a share of
        `single_au`, the face's own AUs with one of those that the generator knows drawn anew.
        """
        settings, size = self.settings, self.settings.batch
        draw = torch.Generator().manual_seed(settings.seed * SEED_STRIDE + iteration)
        epoch, position = divmod(iteration, self.per_epoch)
        chosen = self._epoch_order(epoch)[position * size : (position + 1) * size]
        mirrored = torch.rand(size, generator=draw) < 0.5
        others = torch.randint(len(self.faces), (size,), generator=draw)
        noise = torch.rand(size, self.faces.aus.shape[1], generator=draw) * 2 - 1
        targets = (self.faces.aus[others] + settings.au_noise * noise).clamp(0.0, 1.0)
        own = self.faces.aus[chosen]
        au_weight = self._balance.expand(size, -1)
        single_weight = torch.ones_like(own)
        if settings.single_au:
            which = self._known[torch.randint(len(self._known), (size, 1), generator=draw)]
            level = self._highest[which] * torch.rand(size, 1, generator=draw)
            single = torch.rand(size, 1, generator=draw) < settings.single_au
            targets = torch.where(single, own.scatter(1, which, level), targets)
            single_weight = torch.where(
                single, single_weight.scatter(1, which, _SINGLE_AU_WEIGHT), single_weight
            )
        target_weight = au_weight * single_weight[:, self._known]
        alpha = torch.rand(size, generator=draw)
        augmentation = None
        if settings.critic_jitter or settings.critic_coarse:
            augmentation = _augmentation(settings, draw)
        if augmentation is not None and settings.critic_coarse:
            # AUs are read from the coarse faces only. The factor keeps the expected loss the same.
            coarse_weight = (augmentation.coarse / settings.critic_coarse)[:, None]
            au_weight, target_weight = au_weight * coarse_weight, target_weight * coarse_weight

        faces = to_model(self.faces.images[chosen[part]].to(device))
        mirrored = mirrored[part].to(device)
        faces = torch.where(mirrored[:, None, None, None], faces.flip(3), faces)
        own, targets, au_weight, target_weight, alpha = (
            each[part].to(device) for each in (own, targets, au_weight, target_weight, alpha)
        )
        if augmentation is not None:
            augmentation = CriticAugmentation(*(each[part].to(device) for each in augmentation))
        return Batch(faces, own, targets, au_weight, target_weight, alpha, augmentation)

    def _epoch_order(self, epoch: int) -> Tensor:
        """A permutation of the faces, kept until another epoch is asked for."""
        if epoch != self._order[0]:
            draw = torch.Generator().manual_seed(self.settings.seed * SEED_STRIDE - epoch - 1)
            self._order = epoch, torch.randperm(len(self.faces), generator=draw)
        return self._order[1]


def _inverse_deviation(aus: Tensor) -> Tensor:
    """(AUs,): weights of the errors of AUs, from the values (faces, AUs) in a data set.

    They are in inverse proportion to the standard deviation, and at most 10. The weighted sum of
    the variances is the unweighted one, so the error of a generator that copies stays the same.
    """
    deviation = aus.std(0, correction=0)
    scale = deviation.square().mean() / deviation.mean()
    return scale / deviation.clamp(min=scale / 10)


def _augmentation(settings: TrainSettings, draw: torch.Generator) -> CriticAugmentation:
    """Angle, logarithm of the scale, and shifts, each uniform in plus or minus `critic_jitter`; and
    a share of `critic_coarse` that are coarse."""
    draws = torch.rand(4, settings.batch, generator=draw) * 2 - 1
    angle, scale, *shift = draws * settings.critic_jitter
    cos, sin = angle.cos() * scale.exp(), angle.sin() * scale.exp()
    matrix = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    coarse = torch.rand(settings.batch, generator=draw) < settings.critic_coarse
    return CriticAugmentation(matrix, torch.stack(shift, 1), coarse)
