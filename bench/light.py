"""Compare light in mouths, on lids and in eyes of edits with that of photographs.

python bench/light.py --shards SHARDS

The calmest photograph of each series of the test split is edited to the AUs of its others that show
a smile, a jaw that drops, raised brows, eyes that open wide, or a frown. For these edits, and for
the photographs themselves, it prints means of the brightness relative to the cheeks, and of the
height in pixels of the frame: in the middle of the gap between the lips and near to its corners,
from the upper lip to the lower one; on lids, from brow to lashes; and of irises and whites of eyes.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from torch import Tensor

from ganim.model.data import Faces, load_faces
from ganim.model.editing.brows import brows_of
from ganim.model.editing.columns import at_rows, centres, spread
from ganim.model.editing.irises import irises_of
from ganim.model.editing.mouth import lips_in
from ganim.model.editing.skin import brightness, cheeks
from ganim.model.networks.flow_generator import FlowGenerator
from ganim.model.networks.load import load_flow_generator
from ganim.model.networks.renderer import SHIPPED
from ganim.model.pixels import to_model
from ganim.model.training.framing import framed
from ganim.pipeline.action_units import positions

SHARES = 0.05, 0.25, 0.45, 0.65, 0.85, 0.95
MIDDLE, CORNERS = (-0.2, 0.0, 0.2), (-0.85, 0.85)
"""Columns of a mouth, relative to half of its width."""
LEAST_GAP = 0.05
"""Half sides: mouths are left out in which lips are less far apart."""
_IRIS, _WHITE = (0.35, 0.85), (1.15, 1.8)
"""Distances from the middle of an iris, relative to its radius."""


class Question(NamedTuple):
    """Photographs that are compared, and what is measured in them."""

    name: str
    shown: Callable[[Tensor, Tensor], Tensor]
    """Which photographs count, by their AUs and by how far these are above those of the source."""
    measure: Callable[[FlowGenerator, Tensor], np.ndarray | None]
    parts: tuple[str, ...]


def _au(aus: Tensor, number: int) -> Tensor:
    return aus[..., positions((number,))[0]]


def mouth(generator: FlowGenerator, face: Tensor) -> np.ndarray | None:
    """Brightness in a face (1, 3, h, w) in -1..1 at SHARES of the gap, in its middle and near its
    corners, and its height; None if lips are not apart."""
    lips = lips_in(face, generator.mouth.ends_of(face), torch.ones(1))
    upper, lower = lips.rows[0, 1:3]
    inside = torch.nonzero(lips.open[0] > 0.15).flatten()
    if not len(inside):
        return None
    centre, half = inside.float().mean(), len(inside) / 2
    levels = torch.tensor(SHARES)[:, None]
    light = at_rows(face.mean(1) + 1, (upper + levels * (lower - upper))[None])[0]
    columns = [[int(centre + at * half) for at in part] for part in (MIDDLE, CORNERS)]
    gap = (lower - upper)[columns[0]].mean()
    if gap < LEAST_GAP:
        return None
    usual = brightness(cheeks(face)).item()
    means = [light[:, part].mean(1) / usual for part in columns]
    return torch.cat([*means, gap[None] * face.shape[2] / 2]).numpy()


def lids(generator: FlowGenerator, face: Tensor) -> np.ndarray | None:
    """Brightness of a face at SHARES of the way from brows to lashes, and its length."""
    brows = brows_of(generator.upper_face.ends_of(face))
    upper, lower = brows.eyes[0]
    open_ = ((lower - upper) > 0.5 * (lower - upper).amax()).float()
    begin = spread(brows.rows[:, 1:2], brows.within.sum(1))[0, 0]
    levels = torch.tensor(SHARES)[:, None]
    light = at_rows(face.mean(1) + 1, (begin + levels * (upper - begin))[None])[0]
    means = (light * open_).sum(1) / open_.sum() / brightness(cheeks(face)).item()
    length = ((upper - begin) * open_).sum() / open_.sum() * face.shape[2] / 2
    return torch.cat([means, length[None]]).numpy()


def eyes(generator: FlowGenerator, face: Tensor) -> np.ndarray | None:
    """Brightness of irises and whites, and the height of the eyes; None if they are closed."""
    ends = generator.upper_face.ends_of(face)
    brows = brows_of(ends)
    found = irises_of(brows, generator.upper_face.irises_in(face, ends))
    pixel = 2 / face.shape[2]
    y, x = centres(face.shape[2], face)[:, None], centres(face.shape[3], face)
    far = ((x - found.x).square() + (y[None] - found.y[:, None]).square()).sqrt() / found.radius
    # The shadow of the upper lid and lashes are left out.
    seen = (y > found.upper[:, None] + 1.5 * pixel) & (y < found.lower[:, None] - pixel)
    light = (brightness(face + 1) / brightness(cheeks(face)))[0]
    parts = [light[seen & (far > near) & (far < end)] for near, end in (_IRIS, _WHITE)]
    if min(map(len, parts)) < 4:
        return None
    height = (found.lower - found.upper).amax() / pixel
    return torch.stack([*(part.mean() for part in parts), height]).numpy()


_ROWS = tuple(f"{share:.2f}" for share in SHARES)
_MOUTH = (*_ROWS, *(f"corner {row}" for row in _ROWS), "gap, px")
_LIDS, _EYES = (*_ROWS, "height, px"), ("iris", "white", "height, px")
QUESTIONS = (
    Question(
        "smiles, mouth",
        lambda aus, rise: (_au(rise, 12) > 0.35) & (_au(aus, 25) > 0.25) & (_au(aus, 26) < 0.2),
        mouth,
        _MOUTH,
    ),
    Question(
        "AU26, mouth",
        lambda aus, rise: (_au(rise, 26) > 0.3) & (_au(aus, 12) < 0.2),
        mouth,
        _MOUTH,
    ),
    Question(
        "AU1 and AU2, lids",
        lambda aus, rise: (_au(rise, 1) > 0.25) & (_au(rise, 2) > 0.2) & (_au(aus, 4) < 0.2),
        lids,
        _LIDS,
    ),
    Question("AU5, eyes", lambda aus, rise: _au(rise, 5) > 0.35, eyes, _EYES),
    Question("AU4, eyes", lambda aus, rise: _au(rise, 4) > 0.35, eyes, _EYES),
    Question(
        "AU6 and AU12, eyes",
        lambda aus, rise: (_au(rise, 6) > 0.3) & (_au(rise, 12) > 0.4),
        eyes,
        _EYES,
    ),
)


def pairs_of(faces: Faces) -> tuple[Tensor, Tensor]:
    """Sources and targets (pairs,): of each series the photograph with the lowest sum of AUs, and
    each other one."""
    members: dict[str, list[int]] = defaultdict(list)
    for at, series in enumerate(faces.series):
        if series is not None:
            members[series].append(at)
    pairs = []
    for group in members.values():
        calmest = min(group, key=lambda at: float(faces.aus[at].sum()))
        pairs += [(calmest, other) for other in group if other != calmest]
    sources, targets = torch.tensor(pairs, dtype=torch.long).view(-1, 2).unbind(1)
    return sources, targets


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--weights", type=click.Path(path_type=Path, exists=True), default=SHIPPED)
@click.option("--pairs", type=click.IntRange(min=1), default=100, help="Of each kind at most.")
@click.option("--seed", type=int, default=0)
@torch.no_grad()
def main(shards: Path, weights: Path, pairs: int, seed: int) -> None:
    """Print a table for each kind of pairs."""
    generator, size = load_flow_generator(weights)
    faces = framed(load_faces(shards, "test", size * 3 // 2), generator.reference, size)
    sources, targets = pairs_of(faces)
    if not len(sources):
        raise click.UsageError(f"The test split of {shards} has no series.")
    draw = torch.Generator().manual_seed(seed)
    for question in QUESTIONS:
        aus = faces.aus[targets]
        fit = torch.nonzero(question.shown(aus, aus - faces.aus[sources])).flatten()
        fit = fit[torch.randperm(len(fit), generator=draw)[:pairs]]
        measured = []
        for source, target in zip(sources[fit].tolist(), targets[fit].tolist(), strict=True):
            before, photograph = (to_model(faces.images[[at]]) for at in (source, target))
            masks = generator(before, faces.aus[[target]], faces.aus[[source]])
            found = [question.measure(generator, face) for face in (masks.blend(), photograph)]
            if found[0] is not None and found[1] is not None:
                measured.append(np.stack([found[0], found[1]]))
        print(f"{question.name}: {len(measured)} pairs")
        if measured:
            edits, photographs = np.mean(measured, 0)
            for part, edit, other in zip(question.parts, edits, photographs, strict=True):
                print(f"  {part:<12} edits {edit:6.2f}   photographs {other:6.2f}")


if __name__ == "__main__":
    main()
