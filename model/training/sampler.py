"""What each iteration trains on: faces, their AUs, target AUs, and the draws of the penalty.

Every draw comes from a generator seeded with the run's seed and the iteration's number, so a
resumed run makes the very draws it would have made, and each of several processes makes all of
them and takes its part.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...pipeline.action_units import positions
from ..config import TrainSettings
from ..data import Faces
from ..pixels import to_model

_STRIDE = 1_000_003  # between the draws of one seed and of the next
# An AU that is asked for alone is rarely seen so: the others go along with it in faces and in the
# critic's eyes. Were each error counted once, to leave sixteen as they are would outweigh it.
_EMPHASIS = 5.0
# It is drawn up to a little more than what one face in a thousand shows. Far beyond, the critic has
# seen nothing, and what would please its reading of AUs is no face any more: cyan teeth, black
# strokes for brows.
_NATURAL, _BEYOND = 0.999, 1.2


class Views(NamedTuple):
    """How each face, real or generated, is shown to the critic."""

    turn: Tensor
    """(n, 2, 2), and `shift` (n, 2): for `warp.moved`."""
    shift: Tensor
    coarse: Tensor
    """(n,) bool: for `views.coarsened`."""


class Batch(NamedTuple):
    """The faces of one iteration, on the device that trains."""

    faces: Tensor
    """(n, 3, size, size) in -1..1."""
    own_aus: Tensor
    """(n, 17) in 0-1, as is `target_aus`."""
    target_aus: Tensor
    emphasis: Tensor
    """(n, 17): how much the error of each target AU counts."""
    mix: Tensor
    """(n,) in 0-1: where between real and generated the gradient penalty is taken."""
    views: Views | None
    """None: the critic sees them as they are."""


class Sampler:
    """Batches of a set of faces, by number; each face once an epoch, in an order drawn anew."""

    def __init__(self, faces: Faces, settings: TrainSettings) -> None:
        self.faces, self.settings = faces, settings
        self.per_epoch = len(faces) // settings.batch
        self._known = torch.tensor(positions(settings.generator.aus))
        # By numpy: torch takes no more than a million faces.
        strongest = np.minimum(np.quantile(faces.aus.numpy(), _NATURAL, axis=0) * _BEYOND, 1.0)
        self._strongest = torch.from_numpy(strongest.astype(np.float32))
        self._shuffled: tuple[int, Tensor] = (-1, torch.empty(0))

    def batch(self, iteration: int, device: torch.device, part: slice = slice(None)) -> Batch:
        """The batch of an iteration, or a part of it. Targets are the AUs of random other faces
        with noise, or the own AUs with one of those that the generator knows changed."""
        settings, size = self.settings, self.settings.batch
        draw = torch.Generator().manual_seed(settings.seed * _STRIDE + iteration)
        epoch, position = divmod(iteration, self.per_epoch)
        chosen = self._order(epoch)[position * size : (position + 1) * size]
        mirrored = torch.rand(size, generator=draw) < 0.5
        others = torch.randint(len(self.faces), (size,), generator=draw)
        noise = torch.rand(size, self.faces.aus.shape[1], generator=draw) * 2 - 1
        targets = (self.faces.aus[others] + settings.au_noise * noise).clamp(0.0, 1.0)
        own = self.faces.aus[chosen]
        emphasis = torch.ones_like(own)
        if settings.single_au:
            which = self._known[torch.randint(len(self._known), (size, 1), generator=draw)]
            level = self._strongest[which] * torch.rand(size, 1, generator=draw)
            changed = own.scatter(1, which, level)
            alone = torch.rand(size, 1, generator=draw) < settings.single_au
            targets = torch.where(alone, changed, targets)
            emphasis = torch.where(alone, emphasis.scatter(1, which, _EMPHASIS), emphasis)
        mix = torch.rand(size, generator=draw)
        views = _views(settings, draw) if settings.critic_jitter or settings.critic_coarse else None
        images = self.faces.images[chosen[part]].to(device)
        faces = to_model(images)
        mirrored = mirrored[part].to(device)
        faces = torch.where(mirrored[:, None, None, None], faces.flip(3), faces)
        own, targets, emphasis, mix = (
            drawn[part].to(device) for drawn in (own, targets, emphasis, mix)
        )
        if views is not None:
            views = Views(*(drawn[part].to(device) for drawn in views))
        return Batch(faces, own, targets, emphasis, mix, views)

    def _order(self, epoch: int) -> Tensor:
        """The faces of an epoch, shuffled; drawn once an epoch."""
        if epoch != self._shuffled[0]:
            draw = torch.Generator().manual_seed(self.settings.seed * _STRIDE - epoch - 1)
            self._shuffled = epoch, torch.randperm(len(self.faces), generator=draw)
        return self._shuffled[1]


def _views(settings: TrainSettings, draw: torch.Generator) -> Views:
    """Turns, enlargements and shifts up to `critic_jitter` each; `critic_coarse` of them coarse."""
    draws = torch.rand(4, settings.batch, generator=draw) * 2 - 1
    angle, scale, *shift = draws * settings.critic_jitter
    cos, sin = angle.cos() * scale.exp(), angle.sin() * scale.exp()
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    coarse = torch.rand(settings.batch, generator=draw) < settings.critic_coarse
    return Views(turn, torch.stack(shift, 1), coarse)
