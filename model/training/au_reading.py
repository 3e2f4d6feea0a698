"""The error of the AUs that the estimator reads in edited faces, for the term `aus`.

It teaches faces to move, and not to paint: a loss on AUs that reaches the colour mask is lowered
most easily by painting what only the reading knows (red foreheads, moustaches), as GANimation does.
So the painted part is a constant here, and the gradient passes through the flow alone; and of the
flow through what is coarse alone, as the reading is raised by small curls at brows and mouth, too.
"""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import COUNT, REGIONS, positions
from ..estimator.network import load_estimator
from ..warp import at_resolution, warped

_COARSE = 8
"""The flow is averaged over squares of so many pixels."""
_SAME_REGION = 0.25
"""Weight of AUs that were not asked for, in the region of one that was: some move together."""


class AuReading(nn.Module):
    """The frozen estimator, as the reader of AUs."""

    regions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.estimator = deepcopy(load_estimator()).eval().requires_grad_(False)
        regions = torch.zeros(len(REGIONS), COUNT)
        for row, numbers in zip(regions, REGIONS.values(), strict=True):
            row[positions(numbers)] = 1
        self.register_buffer("regions", regions)

    def forward(self, faces: Tensor, flow: Tensor, results: Tensor, asked: Tensor) -> Tensor:
        """The mean over faces of the sum of the squared errors of their AUs.

        faces, results: (n, 3, size, size) in -1..1, before and after the edit. flow: (n, 2, size,
        size), by which it moves them, in half sides. asked: (n, 17), the change of each AU that
        should be read.
        """
        with torch.no_grad():
            target = F.relu(self._read(faces)) + asked
            changed = (asked != 0).float()
            near = (changed @ self.regions.T > 0).float() @ self.regions
            weight = torch.where((near > 0) & (changed == 0), _SAME_REGION, 1.0)
        coarse = at_resolution(flow, flow.shape[-1] // _COARSE)
        moved = warped(faces, coarse + (flow - coarse).detach())
        paint = (results - moved).detach()
        found = self._read(moved + paint)
        # The estimator's AUs fall below 0 where an AU is absent. `read` takes these as 0.
        error = torch.where(target > 0, found - target.clamp(max=1), F.relu(found))
        return (weight * error.square()).sum(1).mean()

    def _read(self, faces: Tensor) -> Tensor:
        with torch.autocast(faces.device.type, enabled=False):
            return self.estimator(faces.float()).openface
