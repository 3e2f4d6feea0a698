"""Measure the accuracy, robustness and speed of the estimator on held-out faces.

    python bench/estimator.py --shards shards/ --photos raw/ --human human_facs.csv

`shards` must have AUs by OpenFace; the split is that of `ganim.model.estimator.train`. Five tables:
agreement with OpenFace; agreement with human coders; agreement on moved and degraded crops, cut
from the photographs again; confidence on degraded crops; speed in torch and in ONNX Runtime.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import cv2
import numpy as np
import onnxruntime
import torch

from ganim.model.estimator.agreement import agreement, by_folder, mean_r
from ganim.model.estimator.annotator import SHIPPED, SIZE, read_table
from ganim.model.estimator.augment import compressed
from ganim.model.estimator.data import Examples, load_examples
from ganim.model.estimator.export import export
from ganim.model.estimator.network import Estimator, load_estimator
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS, to_unit
from ganim.pipeline.faces.crop import Box, cut_crop
from ganim.pipeline.images.decode import read_image

MIN_POSITIVES = 15
"""AUs that coders scored above 0 in no more held-out faces than this are left out of the mean."""


@click.command(help=__doc__)
@click.option("--shards", "folder", type=click.Path(path_type=Path), required=True)
@click.option("--photos", type=click.Path(path_type=Path), required=True)
@click.option("--human", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--weights", type=click.Path(path_type=Path), default=SHIPPED)
def main(folder: Path, photos: Path, human: Path, weights: Path) -> None:
    """Print the five tables."""
    _, held_out = load_examples(folder, human, SIZE)
    pixels = held_out.faces.images.permute(0, 2, 3, 1).contiguous().numpy()
    print(f"{len(held_out)} held-out faces, {len(held_out.coded)} of them scored by human coders")
    show_agreement(held_out, pixels, weights)
    show_robustness(held_out, folder, photos, weights)
    show_confidence(pixels, weights)
    show_speed(pixels, load_estimator(weights))


def read(pixels: np.ndarray, weights: Path, coding: str = "openface") -> tuple[np.ndarray, ...]:
    """AUs (n, 17) in 0-1 and confidences (n,) of crops (n, 128, 128, 3), uint8 RGB."""
    table = read_table(pixels, weights, coding)  # type: ignore[arg-type]
    return to_unit(table[list(COLUMNS)].to_numpy()), table["au_confidence"].to_numpy()


def show_agreement(held_out: Examples, pixels: np.ndarray, weights: Path) -> None:
    """Tables 1 and 2: agreement with OpenFace, by folder; and with coders, as OpenFace's own."""
    aus, theirs = read(pixels, weights)[0], held_out.faces.aus.numpy()
    folders = by_folder(held_out.faces.sources)
    persons = np.isin(np.arange(len(pixels)), held_out.coded)
    groups = {"all held-out faces": np.arange(len(pixels))}
    groups |= {"held-out persons": np.flatnonzero(persons)}
    groups |= {name: chosen for name, chosen in folders.items() if not persons[chosen].any()}
    print("\n1. Agreement with OpenFace, over the AUs whose standard deviation exceeds 0.2")
    for name, chosen in groups.items():
        table = agreement(aus[chosen], theirs[chosen])
        varied = table[table["sd"] > 0.2]
        worst = str(varied["r"].idxmin())
        print(
            f"{name:20s} {len(chosen):5d} faces  r {varied['r'].mean():.3f}  "
            f"ICC {varied['ICC'].mean():.3f}  MAE {varied['MAE'].mean():.3f}  "
            f"worst {worst} {varied['r'][worst]:.3f}"
        )
        if name in ("all held-out faces", "held-out persons"):
            print(table.round(3).to_string())

    coded = held_out.coded
    people = held_out.facs[torch.from_numpy(coded)].numpy()
    readers = {
        "OpenFace": theirs[coded],
        "ours, OpenFace coding": aus[coded],
        "ours, FACS coding": read(pixels[coded], weights, "facs")[0],
    }
    print(
        f"\n2. Agreement with human coders on {len(coded)} faces of held-out persons: r, then MAE"
    )
    result = {name: agreement(values, people) for name, values in readers.items()}
    shown = result["OpenFace"][["positives"]].copy()
    for name, table in result.items():
        shown[name] = table["r"]
    for name, table in result.items():
        shown[f"MAE {name}"] = table["MAE"]
    print(shown.round(3).to_string())
    for name, table in result.items():
        r = mean_r(table, least_positives=MIN_POSITIVES)
        print(f"{name}: mean r {r:.3f} over the AUs with more than {MIN_POSITIVES} positives")


def show_robustness(held_out: Examples, folder: Path, photos: Path, weights: Path) -> None:
    """Table 3: agreement with OpenFace on moved and degraded crops."""
    crop_of = dict(
        zip(shards.read_column(folder, "key"), shards.read_column(folder, "crop"), strict=True)
    )
    theirs = held_out.faces.aus.numpy()
    pictures = [
        (read_image(photos / source), Box(*crop_of[key]))
        for source, key in zip(held_out.faces.sources, held_out.faces.keys, strict=True)
    ]

    def cut(move: Callable[[Box], Box]) -> np.ndarray:
        return np.stack([cut_crop(picture, move(crop), SIZE) for picture, crop in pictures])

    def shifted(x: float, y: float) -> np.ndarray:
        def move(crop: Box) -> Box:
            dx, dy = round(x * crop.width), round(y * crop.width)
            return Box(crop.left + dx, crop.top + dy, crop.right + dx, crop.bottom + dy)

        return cut(move)

    def scaled(by: float) -> np.ndarray:
        def move(crop: Box) -> Box:
            more = round((by - 1) / 2 * crop.width)
            return Box(crop.left - more, crop.top - more, crop.right + more, crop.bottom + more)

        return cut(move)

    straight = cut(lambda crop: crop)
    as_tensor = torch.from_numpy(straight).permute(0, 3, 1, 2).float() / 255
    jpeg = torch.stack([compressed(crop, 30) for crop in as_tensor])
    trials = {
        "as cut": straight,
        "10% to the left": shifted(0.1, 0.0),
        "10% to the right": shifted(-0.1, 0.0),
        "10% down": shifted(0.0, -0.1),
        "10% up": shifted(0.0, 0.1),
        "framed 15% wider": scaled(1.15),
        "framed 15% closer": scaled(0.85),
        "JPEG quality 30": (jpeg * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy(),
        "gamma 0.5": gamma(straight, 0.5),
        "gamma 2": gamma(straight, 2.0),
    }
    print("\n3. Mean r with OpenFace's AUs of the original photograph")
    base = None
    for name, pixels in trials.items():
        table = agreement(read(pixels, weights)[0], theirs)
        r = mean_r(table)
        base = r if base is None else base
        print(f"{name:20s} r {r:.3f}  {r - base:+.3f}   MAE {table['MAE'].mean():.3f}")


def show_confidence(pixels: np.ndarray, weights: Path) -> None:
    """Table 4: quartiles of the confidence on degraded crops."""

    def blurred(side: int) -> np.ndarray:
        small = [cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA) for crop in pixels]
        return np.stack([cv2.resize(crop, (SIZE, SIZE)) for crop in small])

    def covered(rows: slice, columns: slice) -> np.ndarray:
        result = pixels.copy()
        result[:, rows, columns] = 128
        return result

    noise = np.random.default_rng(0).integers(0, 256, pixels[:300].shape, np.uint8)
    trials = {
        "as cut": pixels,
        "32 px enlarged": blurred(32),
        "16 px enlarged": blurred(16),
        "8 px enlarged": blurred(8),
        "mouth covered": covered(slice(78, 128), slice(24, 104)),
        "eyes covered": covered(slice(24, 64), slice(8, 120)),
        "left half covered": covered(slice(0, 128), slice(0, 64)),
        "upside down": np.ascontiguousarray(pixels[:, ::-1]),
        "noise": noise,
    }
    print("\n4. Confidence: lower quartile, median, upper quartile")
    for name, crops in trials.items():
        quartiles = np.percentile(read(crops, weights)[1], [25, 50, 75])
        print(f"{name:20s} {'  '.join(f'{value:.3f}' for value in quartiles)}")


def gamma(pixels: np.ndarray, exponent: float) -> np.ndarray:
    """Raise the brightness of pixels, as a fraction of 255, to a power."""
    table = (np.linspace(0, 1, 256) ** exponent * 255).round().astype(np.uint8)
    return table[pixels]


def show_speed(pixels: np.ndarray, estimator: Estimator) -> None:
    """Table 5: time for one crop, and throughput in batches of 32, from decoded crops."""
    import os

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "estimator.onnx"
        export(estimator, path)
        print("\n5. Speed: the best of five rounds")
        for threads in sorted({1, os.cpu_count() or 1}):
            torch.set_num_threads(threads)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(str(path), options)
            runs: dict[str, Callable[[np.ndarray], object]] = {
                "torch": partial(estimator.read_pixels, coding="openface"),
                "ONNX Runtime": partial(_run, session),
            }
            for name, run in runs.items():
                single = seconds(partial(run, pixels[:1]), 20)
                batch = seconds(partial(run, pixels[:32]), 3)
                print(
                    f"{name:13s} {threads} threads: one crop {single * 1000:5.1f} ms, "
                    f"batch of 32 {32 / batch:6.0f} crops/s"
                )


def _run(session: onnxruntime.InferenceSession, crops: np.ndarray) -> object:
    return session.run(None, {"crops": crops})


def seconds(run: Callable[[], object], times: int) -> float:
    """Seconds per call, in the best of five rounds of `times` calls."""
    best = float("inf")
    run()
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(times):
            run()
        best = min(best, (time.perf_counter() - start) / times)
    return best


if __name__ == "__main__":
    main()
