"""Paired training without one of its parts, where a setting does not leave it out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ganim.model.config import TrainSettings
from ganim.model.data import Faces
from ganim.model.training.pair_sampler import PairBatch
from ganim.model.training.paired_trainer import PairedTrainer


class WithoutNuisance(PairedTrainer):
    """Pose, gaze and light of a pair are not told."""

    def batch(self, iteration: int) -> PairBatch:
        batch = super().batch(iteration)
        return batch._replace(nuisance=torch.zeros_like(batch.nuisance))


class WithoutLinearFlow(PairedTrainer):
    """All flow depends on the change as the network likes; there are no fields of AUs."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for network in (self.generator, self.averaged_generator):
            network.to_fields.requires_grad_(False)  # its last layer is 0 at first


class _OnSome(PairedTrainer):
    """Trains on the faces whose series `chosen` accepts."""

    chosen: Callable[[str | None], bool]

    def __init__(
        self, settings: TrainSettings, faces: Faces, *arguments: Any, **named: Any
    ) -> None:
        kind = type(self)
        kept = np.flatnonzero([kind.chosen(name) for name in faces.series])
        super().__init__(settings, faces.subset(kept), *arguments, **named)


class WithoutUnpaired(_OnSome):
    """The faces that are asked for AUs of which there is no photograph are of series, too."""

    chosen = staticmethod(lambda name: name is not None)


class WithoutClips(_OnSome):
    """Series are of posed photographs alone; those of clips begin with `clip`."""

    chosen = staticmethod(lambda name: name is None or not name.startswith("clip"))
