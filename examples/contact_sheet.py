"""Draw a contact sheet: a row a face, a column an expression, or a step of one AU from 0 to 1.

python examples/contact_sheet.py OUT.png PHOTOGRAPH... [--sweep AU] [--weights FILE]
"""

from pathlib import Path

import click
import cv2
import numpy as np

from ganim.model.animation.animator import SHIPPED, Animator, save
from ganim.model.animation.grids import SHOWN_EDITS
from ganim.pipeline.action_units import NUMBERS, Edit, apply_edits
from ganim.pipeline.faces.crop import Box, cut_crop
from ganim.pipeline.images.decode import read_image

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
TILE = 256
LABEL = 28


@click.command(help=__doc__)
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("photographs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--sweep", type=click.Choice([str(number) for number in NUMBERS]))
@click.option("--weights", type=click.Path(path_type=Path), default=SHIPPED)
def main(out: Path, photographs: tuple[Path, ...], sweep: str | None, weights: Path) -> None:
    """Write the sheet, each tile a little wider than the crop, so that its edge is seen."""
    animator, shown = Animator(weights), SHOWN_EDITS
    if sweep is not None:
        shown = {f"AU{sweep} {step:g}": [Edit(int(sweep), step)] for step in STEPS}
    rows = []
    for path in photographs:
        photograph = read_image(path)
        face = animator.find(photograph)
        wider = _grown(face.crop, 0.2)
        tiles = [cut_crop(photograph, wider, TILE)]
        for edits in shown.values():
            changed = animator.render(photograph, face, apply_edits(face.own_aus, edits))
            tiles.append(cut_crop(changed, wider, TILE))
        rows.append(np.concatenate(tiles, axis=1))
    save(out, [np.concatenate([_labels(["photograph", *shown]), *rows], axis=0)])
    print(f"Wrote {out}")


def _grown(box: Box, share: float) -> Box:
    by = round(box.width * share)
    return Box(box.left - by, box.top - by, box.right + by, box.bottom + by)


def _labels(texts: list[str]) -> np.ndarray:
    strip = np.full((LABEL, TILE * len(texts), 3), 255, np.uint8)
    for column, text in enumerate(texts):
        place = (column * TILE + 8, LABEL - 9)
        cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


if __name__ == "__main__":
    main()
