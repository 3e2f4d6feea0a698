"""How well fresh critics tell photographs that show an AU from photographs.

    python bench/critic_floor.py --shards SHARDS

`ganim evaluate` trains critics to tell edits of one AU from photographs. An edit shows the AU, and
most photographs do not, so a critic would tell a perfect edit, too, as far as it tells photographs
of people who show the AU by themselves. This is measured here, on the photographs of SHARDS that
belong to no series: it prints the AUC of both critics, over all AUs and for each.
"""

from pathlib import Path

import click
import numpy as np
import torch

from ganim.model.data import Faces, load_faces
from ganim.model.evaluation.fresh_critic import KINDS, distinguish
from ganim.pipeline.action_units import NUMBERS, positions

_SIZE = 128
_SHOWN = 0.8
"""What an edit is asked for. Photographs that show more count as if they showed so much."""


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--faces", type=click.IntRange(min=60), default=200, help="Photographs.")
@click.option("--of-each", type=click.IntRange(min=10), default=75, help="Those that show an AU.")
@click.option("--seed", type=int, default=0)
def main(shards: Path, faces: int, of_each: int, seed: int) -> None:
    """Print AUCs."""
    all_faces = load_faces(shards, "train", _SIZE)
    alone = np.array([at for at, series in enumerate(all_faces.series) if series is None])
    draw = np.random.default_rng(seed)
    photographs = draw.choice(alone, faces, replace=False)
    others = np.setdiff1d(alone, photographs)
    showing = []
    for column in positions(NUMBERS):
        shown = all_faces.aus[others, column].numpy().clip(max=_SHOWN)
        showing.append(others[np.argsort(-shown - 1e-3 * draw.random(len(shown)))[:of_each]])
        print(f"AU{NUMBERS[column]:02d}: {shown[np.argsort(-shown)[:of_each]].mean():.2f}")
    chosen, shown_by = np.concatenate(showing), np.repeat(NUMBERS, of_each)
    for kind in KINDS:
        found = distinguish(
            _pictures(all_faces, photographs),
            _pictures(all_faces, chosen),
            photographs,
            chosen,
            kind,
            seed,
        )
        each = found.by(shown_by)
        print(f"{kind}: {found.overall:.3f}, worst {max(each.values()):.3f}")
        print("  " + ", ".join(f"AU{number:02d} {auc:.2f}" for number, auc in each.items()))


def _pictures(faces: Faces, chosen: np.ndarray) -> np.ndarray:
    return faces.images[torch.from_numpy(chosen)].permute(0, 2, 3, 1).numpy()


if __name__ == "__main__":
    main()
