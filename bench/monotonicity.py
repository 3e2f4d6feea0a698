"""Measure whether a higher target value of an AU gives a higher measured value, on held-out faces.

python bench/monotonicity.py --shards shards/ --photos raw/ [--au 12] [--faces 100]

Photographs of the test split are rendered with one AU at 0, 0.33, 0.67 and 1, written as PNG and
read back. The estimator measures the AUs of each result. Printed are: the number of faces whose
measured value rises at every step; the mean measured values; the mean change of the other AUs; the
number of faces for which all pixels outside the crop keep their values; and the distance of
face_recognition's descriptors (the same person below 0.6).
"""

import tempfile
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image

from ganim.model.animation.animator import SHIPPED, Animator
from ganim.model.estimator.network import load_estimator
from ganim.model.landmarks.dlib_models import descriptors, hog_box
from ganim.pipeline import shards
from ganim.pipeline.action_units import NUMBERS, Edit, apply_edits
from ganim.pipeline.expressions import Request
from ganim.pipeline.faces.crop import CROP_SIZE, cut_crop
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
    """Render the photographs, measure and print."""
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
    edits = [Edit(int(number), level) for level in LEVELS]
    animator.check(Request(edits[:1]))
    column, box = NUMBERS.index(int(number)), hog_box(folder, CROP_SIZE)
    measured, other_changes, unchanged, distances = [], [], 0, []
    for index in chosen:
        photograph = read_image(photos / sources[index])
        face = animator.find(photograph)
        crop = face.crop
        outside = np.ones(photograph.shape[:2], bool)
        outside[max(crop.top, 0) : max(crop.bottom, 0), max(crop.left, 0) : max(crop.right, 0)] = 0
        crops, equal = [], True
        for edit in edits:
            target = apply_edits(face.own_aus, [edit])
            result = _written_and_read(animator.render(photograph, face, target))
            equal &= np.array_equal(result[outside], photograph[outside])
            crops.append(cut_crop(result, crop, CROP_SIZE))
        unchanged += equal
        aus = estimator.read(_tensor(crops)).aus.numpy()
        measured.append(aus[:, column])
        other_changes.append(np.abs(np.delete(aus[-1] - face.own_aus, column)).mean())
        before = cut_crop(photograph, crop, CROP_SIZE)
        one, other = descriptors(_tensor([before, crops[-1]]), box)
        distances.append(float(np.linalg.norm(one - other)))
    values = np.stack(measured)
    rising = int((np.diff(values, axis=1) > 0).all(1).sum())
    print(f"AU{int(number):02d}, {len(values)} faces of the test split of {folder}, {weights.name}")
    print(f"faces with a rise at every step: {rising} of {len(values)}")
    for level, mean in zip(LEVELS, values.mean(0), strict=True):
        print(f"  target {level:.2f}  measured {mean:.3f}")
    print(f"mean change of the other 16 AUs at 1.0: {np.mean(other_changes):.3f}")
    print(f"faces with all pixels outside the crop unchanged: {unchanged} of {len(values)}")
    print(
        f"identity distance at 1.0: mean {np.mean(distances):.3f}, "
        f"under 0.6 in {sum(distance < 0.6 for distance in distances)} of {len(distances)}"
    )


def _tensor(crops: list[np.ndarray]) -> torch.Tensor:
    """Crops (h, w, 3) as one tensor (n, 3, h, w)."""
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def _written_and_read(picture: np.ndarray) -> np.ndarray:
    """Write a picture to a PNG file and read it again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.png"
        Image.fromarray(picture).save(path)
        return read_image(path)


if __name__ == "__main__":
    main()
