"""Draw a contact sheet: one row per face, one column per expression or per value of one AU.

python examples/contact_sheet.py OUT.png PHOTOGRAPH... [--sweep AU | --expressions] [--weights FILE]
"""

from pathlib import Path

import click
import cv2
import numpy as np
from PIL import Image

from ganim.model.animation.animator import SHIPPED, Animator
from ganim.model.animation.grids import SHOWN_EDITS
from ganim.pipeline.action_units import NUMBERS, Edit
from ganim.pipeline.expressions import Request, parse_expression
from ganim.pipeline.faces.crop import Box, cut_crop
from ganim.pipeline.images.decode import read_image

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
EXPRESSIONS = ("neutral", "happy", "surprised", "angry", "sad", "disgusted")
CELL_SIZE = 256  # px
HEADING_HEIGHT = 28  # px


@click.command(help=__doc__)
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("photographs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--sweep", type=click.Choice([str(number) for number in NUMBERS]))
@click.option("--expressions", is_flag=True)
@click.option("--weights", type=click.Path(path_type=Path), default=SHIPPED)
def main(
    out: Path, photographs: tuple[Path, ...], sweep: str | None, expressions: bool, weights: Path
) -> None:
    """Write the sheet. Each picture shows some of the photograph around the crop, so that its
    edge can be checked."""
    animator = Animator(weights)
    shown = {**SHOWN_EDITS, "AU45": [Edit(45, 1.0)]}
    columns = {name: Request(edits) for name, edits in shown.items()}
    if sweep is not None:
        columns = {f"AU{sweep} {level:g}": Request([Edit(int(sweep), level)]) for level in LEVELS}
    if expressions:
        columns = {name: Request(expression=parse_expression(name)) for name in EXPRESSIONS}
    rows = []
    for path in photographs:
        photograph = read_image(path)
        face = animator.find(photograph)
        visible = _enlarged(face.crop, 0.2)
        cells = [cut_crop(photograph, visible, CELL_SIZE)]
        for request in columns.values():
            result = animator.render(photograph, face, request.target(face.own_aus))
            cells.append(cut_crop(result, visible, CELL_SIZE))
        rows.append(np.concatenate(cells, axis=1))
    sheet = np.concatenate([_headings(["photograph", *columns]), *rows], axis=0)
    Image.fromarray(sheet).save(out, quality=90)
    print(f"Wrote {out}")


def _enlarged(box: Box, share: float) -> Box:
    """The box, larger by a share of its width on each side."""
    by = round(box.width * share)
    return Box(box.left - by, box.top - by, box.right + by, box.bottom + by)


def _headings(texts: list[str]) -> np.ndarray:
    """A white strip with one text over each column."""
    strip = np.full((HEADING_HEIGHT, CELL_SIZE * len(texts), 3), 255, np.uint8)
    for column, text in enumerate(texts):
        origin = (column * CELL_SIZE + 8, HEADING_HEIGHT - 9)
        cv2.putText(strip, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


if __name__ == "__main__":
    main()
