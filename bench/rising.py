"""Does asking for more of an AU show more of it? On faces that training never saw.

python bench/rising.py --shards shards/ --photos raw/ [--au 12] [--faces 100]

Photographs of the shards' test split are animated with one AU at 0, 0.33, 0.67 and 1. The
estimator reads each result; a face counts as rising if every reading is above the one before.
The result is written as PNG and read back, and every pixel outside the crop must be the
photograph's. Identity is the distance of face_recognition's descriptors (same person: < 0.6).
"""

import tempfile
from pathlib import Path

import click
import numpy as np
import torch

from ganim.model.animation.animator import SHIPPED, Animator, save
from ganim.model.estimator.annotator import SIZE
from ganim.model.estimator.network import load_estimator
from ganim.model.landmarks.dlib_models import descriptors, hog_box
from ganim.pipeline import shards
from ganim.pipeline.action_units import NUMBERS, Edit, apply_edits
from ganim.pipeline.faces.crop import cut_crop
from ganim.pipeline.images.decode import read_image

LEVELS = (0.0, 0.33, 0.67, 1.0)


@click.command(help=__doc__)
@click.option("--shards", "folder", type=click.Path(path_type=Path), required=True)
@click.option("--photos", type=click.Path(path_type=Path), required=True)
@click.option("--au", "number", type=click.Choice([str(n) for n in NUMBERS]), default="12")
@click.option("--faces", "count", type=int, default=100)
@click.option("--weights", type=click.Path(path_type=Path), default=SHIPPED)
@click.option("--seed", type=int, default=0)
def main(folder: Path, photos: Path, number: str, count: int, weights: Path, seed: int) -> None:
    """Print how many faces rise, the mean readings, untouched pixels and identity distance."""
    sources = sorted(
        source
        for path in shards.split_paths(folder, "test")
        for source, status in zip(
            *(shards.read_shard(path).column(name).to_pylist() for name in ("source", "status")),
            strict=True,
        )
        if status == shards.OK
    )
    chosen = np.random.default_rng(seed).permutation(len(sources))[:count]
    animator, estimator = Animator(weights), load_estimator()
    asked = [[Edit(int(number), level)] for level in LEVELS]
    animator.check(asked[0])
    column, box = NUMBERS.index(int(number)), hog_box(folder, SIZE)
    readings, others, untouched, distances = [], [], 0, []
    for index in chosen:
        photograph = read_image(photos / sources[index])
        face = animator.find(photograph)
        outside = np.ones(photograph.shape[:2], bool)
        crop = face.crop
        outside[max(crop.top, 0) : max(crop.bottom, 0), max(crop.left, 0) : max(crop.right, 0)] = 0
        crops, same = [], True
        for edits in asked:
            aus = apply_edits(face.own_aus, edits)
            result = _written(animator.render(photograph, face, aus))
            same &= np.array_equal(result[outside], photograph[outside])
            crops.append(cut_crop(result, crop, SIZE))
        untouched += same
        read = estimator.read(_tensor(crops)).aus.numpy()
        readings.append(read[:, column])
        others.append(np.abs(np.delete(read[-1] - face.own_aus, column)).mean())
        before = cut_crop(photograph, crop, SIZE)
        one, other = descriptors(_tensor([before, crops[-1]]), box)
        distances.append(float(np.linalg.norm(one - other)))
    table = np.stack(readings)
    rising = int((np.diff(table, axis=1) > 0).all(1).sum())
    print(f"AU{int(number):02d}, {len(table)} faces of the test split of {folder}, {weights.name}")
    print(f"rising at every step: {rising} of {len(table)}")
    for level, mean in zip(LEVELS, table.mean(0), strict=True):
        print(f"  asked {level:.2f}  read {mean:.3f}")
    print(f"mean change of the other 16 AUs at 1.0: {np.mean(others):.3f}")
    print(f"pixels outside the crop bit-identical: {untouched} of {len(table)}")
    print(
        f"identity distance at 1.0: mean {np.mean(distances):.3f}, "
        f"under 0.6 in {sum(distance < 0.6 for distance in distances)} of {len(distances)}"
    )


def _tensor(crops: list[np.ndarray]) -> torch.Tensor:
    """Crops (h, w, 3) as one tensor (n, 3, h, w)."""
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def _written(picture: np.ndarray) -> np.ndarray:
    """The picture as it comes back from a PNG file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.png"
        save(path, [picture])
        return read_image(path)


if __name__ == "__main__":
    main()
