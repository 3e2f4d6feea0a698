"""The error of the AUs that the estimator reads in edited faces, for the term `aus`.

It teaches how far faces move, and neither where nor what is painted. A loss on AUs that reaches the
colour mask is lowered most easily by painting what only the reading knows (red foreheads,
moustaches), as GANimation does; one that reaches all of the flow is lowered by small curls at brows
and mouth. So what is painted is a constant here, and each flow field a constant but for its size:
the gradient makes it larger or smaller, and its shape is learned from pairs and critics. What is
painted cannot be taught in this way: it grows where it is strongest already, and becomes a blot.
"""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import region_masks
from ..estimator.network import load_estimator
from ..networks.flow_generator import FlowOutputs
from ..warp import warped

_LEAST_SIZE = 1e-6
"""Squared; so that what is 0 everywhere has a gradient."""
_SAME_REGION = 0.25
"""Weight of AUs that were not asked for, in the region of one that was: some move together."""


class AuReading(nn.Module):
    """The frozen estimator, as the reader of AUs."""

    regions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.estimator = deepcopy(load_estimator()).eval().requires_grad_(False)
        self.register_buffer("regions", torch.from_numpy(region_masks()))

    def forward(
        self, faces: Tensor, outputs: FlowOutputs, change: Tensor, results: Tensor, asked: Tensor
    ) -> Tensor:
        """The mean over faces of the sum of the squared errors of their AUs.

        faces, results: (n, 3, size, size) in -1..1, before and after the edit by `outputs`.
        change: (n, AUs), by which the fields of the AUs were multiplied. asked: (n, 17), the change
        of each AU that should be read.
        """
        flow, moved = outputs.masks.flow, outputs.masks.face
        assert flow is not None
        with torch.no_grad():
            target = F.relu(self._read(faces)) + asked
            changed = (asked != 0).float()
            near = (changed @ self.regions.T > 0).float() @ self.regions
            weight = torch.where((near > 0) & (changed == 0), _SAME_REGION, 1.0)
        fields = outputs.fields[:, : change.shape[1]]
        larger = _resizable(fields) - fields.detach()  # 0, with a gradient
        larger = (larger * change[:, :, None, None, None]).sum(1)
        side = faces.shape[-2:]
        flow = flow.detach() + F.interpolate(larger, side, mode="bilinear", align_corners=False)
        found = self._read(warped(faces, flow) + (results - moved).detach())
        # The estimator's AUs fall below 0 where an AU is absent. `read` takes these as 0.
        error = torch.where(target > 0, found - target.clamp(max=1), F.relu(found))
        return (weight * error.square()).sum(1).mean()

    def _read(self, faces: Tensor) -> Tensor:
        with torch.autocast(faces.device.type, enabled=False):
            return self.estimator(faces.float()).openface


def _resizable(fields: Tensor) -> Tensor:
    """Fields (n, AUs, 2, h, w), whose gradient is that of a factor for each field."""
    size = (fields.square().sum((2, 3, 4), keepdim=True) + _LEAST_SIZE).sqrt()
    return fields.detach() * (size / size.detach())
