"""Animate photographs upright and turned, and compare: what does turning cost?

python bench/turned.py FOLDER|FILE [--expression happy] [--out pictures/]

A row for each photograph and angle: the faces that were animated; the mean difference in levels of
the turned-back result from the upright one, over the pixels that the upright edit changes (`off`),
what turning there and back costs alone (`cost`), what the edit changes (`edit`); and what was said.
"""

import sys
from pathlib import Path

import click
import cv2
import numpy as np

from ganim.model.animation.animator import Animator
from ganim.model.animation.choose import choose, usable
from ganim.model.animation.faces import Face
from ganim.model.animation.stills import read
from ganim.pipeline.errors import GanimError
from ganim.pipeline.expressions import Request, parse_expression
from ganim.pipeline.images.decode import SUFFIXES
from ganim.pipeline.images.picture import Picture
from ganim.pipeline.images.write import encode

ANGLES = (0, 30, 90, 180)


def affine(picture: np.ndarray, degrees: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The map (2, 3) that turns a picture clockwise, whole, and width and height of the result."""
    height, width = picture.shape[:2]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.array([[cosine, -sine], [sine, cosine]])
    across = round(width * abs(cosine) + height * abs(sine))
    down = round(width * abs(sine) + height * abs(cosine))
    shift = np.array([across - 1, down - 1]) / 2 - matrix @ np.array([width - 1, height - 1]) / 2
    return np.c_[matrix, shift], (across, down)


def turned(picture: np.ndarray, degrees: int) -> np.ndarray:
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(picture, -degrees // 90))
    return warped(picture, *affine(picture, degrees))


def turned_back(result: np.ndarray, original: np.ndarray, degrees: int) -> np.ndarray:
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(result, degrees // 90))
    matrix, _ = affine(original, degrees)
    return warped(result, cv2.invertAffineTransform(matrix), original.shape[1::-1])


def warped(picture: np.ndarray, matrix: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resampled bicubically; grey where the picture ends."""
    return cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderValue=(128,) * 3)


def animate(
    animator: Animator, picture: np.ndarray, request: Request
) -> tuple[np.ndarray, list[Face], str]:
    """The picture with all its faces animated, those faces, and what was said."""
    try:
        found = choose(animator.faces(picture), None)
        faces, notes = usable(found)
    except GanimError as reason:
        return picture, [], str(reason)
    targets = [request.target(face.own_aus) for face in faces]
    return animator.render_faces(picture, faces, targets), faces, " ".join(notes)


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--expression", default="happy")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the pictures.")
def main(folder: Path, expression: str, out: Path | None) -> None:
    animator, request = Animator(), Request(expression=parse_expression(expression))
    worse, rows = 0, 0
    print(f"{'photograph':24} {'angle':>5} {'faces':>5}  {'off':>5} {'cost':>5} {'edit':>5}  said")
    paths = [folder] if folder.is_file() else sorted(folder.iterdir())
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            continue
        photograph = read(path).rgb
        upright, faces, _ = animate(animator, photograph, request)
        changed = (upright != photograph).any(2)
        for degrees in ANGLES:
            picture = turned(photograph, degrees)
            result, found, said = animate(animator, picture, request)
            figures = ""
            if faces and found and changed.any():
                back = turned_back(result, photograph, degrees)
                both = turned_back(turned(upright, degrees), photograph, degrees)
                off, cost, edit = (
                    np.abs(a.astype(int) - b)[changed].mean()
                    for a, b in ((back, upright), (both, upright), (upright, photograph))
                )
                figures = f"{off:5.1f} {cost:5.1f} {edit:5.1f}"
                worse += off > 2 * cost + 5
            rows += 1
            print(
                f"{path.name[:24]:24} {degrees:5} {len(found):5}  {figures:17}  {said}", flush=True
            )
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                content, _ = encode(Picture(result, "RGB"), ".jpg")
                (out / f"{path.stem}-{degrees:03}.jpg").write_bytes(content)
    print(f"{rows} rows, none crashed; {worse} off by more than twice the cost and 5 levels")


if __name__ == "__main__":
    sys.exit(main())
