"""Render photographs with fourteen expressions each; an example of the Python interface.

Each photograph gets a folder, so that `ganim prepare --series folder` takes it as a series.

python examples/expressions.py OUT PHOTOGRAPH...
"""

import sys
from pathlib import Path

from ganim.model.animation.animator import Animator
from ganim.model.animation.output import save
from ganim.pipeline.action_units import EXPRESSIONS, Edit, apply_edits, expression_edits
from ganim.pipeline.images.decode import read_image

SINGLE_AUS = [Edit(number, 0.8) for number in (1, 4, 6, 9, 12, 17, 25, 26)]


def main(out: Path, photographs: list[Path]) -> None:
    """Write `NAME/00.png` (the unedited photograph), `NAME/01.png`, … into `out`."""
    animator = Animator()
    expressions = [[edit] for edit in SINGLE_AUS]
    expressions += [expression_edits(name) for name in EXPRESSIONS]
    for path in photographs:
        photograph = read_image(path)
        face = animator.find(photograph)
        folder = out / path.stem
        folder.mkdir(parents=True, exist_ok=True)
        save(folder / "00.png", [photograph])
        for number, edits in enumerate(expressions, start=1):
            edited = animator.render(photograph, face, apply_edits(face.own_aus, edits))
            save(folder / f"{number:02d}.png", [edited])
    print(f"Wrote {len(photographs) * (len(expressions) + 1)} pictures into {out}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
