"""Render photographs with fourteen expressions each; an example of the Python interface.

Each photograph gets a folder, so that `ganim prepare --series folder` takes it as a series.

python examples/expressions.py OUT PHOTOGRAPH...
"""

import sys
from pathlib import Path

from PIL import Image

from ganim.model.animation.animator import Animator
from ganim.pipeline.action_units import Edit
from ganim.pipeline.expressions import Request, expression_aus
from ganim.pipeline.images.decode import read_image

BASIC = ("happy", "sad", "fearful", "angry", "surprised", "disgusted")
SINGLE_AUS = [Request([Edit(number, 0.8)]) for number in (1, 4, 6, 9, 12, 17, 25, 26)]


def main(out: Path, photographs: list[Path]) -> None:
    """Write `NAME/00.png` (the unedited photograph), `NAME/01.png`, … into `out`."""
    animator = Animator()
    requests = SINGLE_AUS + [Request(expression=expression_aus(name)) for name in BASIC]
    for path in photographs:
        photograph = read_image(path)
        face = animator.find(photograph)
        folder = out / path.stem
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph).save(folder / "00.png")
        for number, request in enumerate(requests, start=1):
            edited = animator.render(photograph, face, request.target(face.own_aus))
            Image.fromarray(edited).save(folder / f"{number:02d}.png")
    print(f"Wrote {len(photographs) * (len(requests) + 1)} pictures into {out}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
