"""How many labels that were swapped between photographs `ganim annotate --check` lists first.

    ganim prepare --src ../shared/faces/photos --out S
    ganim annotate S --annotator labels --labels ../shared/openface/labels.parquet
    python bench/swapped.py S

Two in a hundred faces get the AUs of another one of them, three times by different draws. To read
20,000 faces takes half an hour on one core; --readings keeps what was read in a file.
"""

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from ganim.model.estimator.annotator import EstimatorAnnotator
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.annotate.batches import batched
from ganim.pipeline.annotate.check import disagreement
from ganim.pipeline.annotator import Crop

SHARE, FIRST, DRAWS = 0.02, 500, 3


def annotated(folder: Path) -> Iterator[tuple[Crop, list[float]]]:
    """The faces of a set with their AUs, 0-5."""
    for path in shards.shard_paths(folder):
        for row in shards.read_shard(path).to_pylist():
            if row["status"] == shards.OK and row["AU12_r"] is not None:
                crop = Crop(row["key"], row["source"], row["image"]["bytes"], tuple(row["box"]))
                yield crop, [row[name] for name in COLUMNS]


def read_all(folder: Path, kept: Path | None) -> dict[str, np.ndarray]:
    """The estimator's AUs of each source, from the file `kept` if it exists."""
    if kept is not None and kept.exists():
        known = np.load(kept)
        return dict(zip(known["sources"], known["aus"], strict=True))
    annotator = EstimatorAnnotator()
    readings: dict[str, np.ndarray] = {}
    for crops in batched((crop for crop, _ in annotated(folder)), annotator.batch):
        for crop, reading in zip(crops, annotator.read(crops), strict=True):
            if reading.aus is not None:
                readings[crop.source] = reading.aus
    if kept is not None:
        sources = np.array(list(readings))
        np.savez(kept, sources=sources, aus=np.stack(list(readings.values())))
    return readings


@click.command(help=__doc__)
@click.argument("folder", metavar="SHARDS", type=click.Path(path_type=Path, exists=True))
@click.option("--readings", "kept", type=click.Path(path_type=Path, dir_okay=False))
def main(folder: Path, kept: Path | None) -> None:
    readings = read_all(folder, kept)
    labels = {crop.source: aus for crop, aus in annotated(folder) if crop.source in readings}
    theirs = np.stack([readings[source] for source in labels])
    ours = np.array(list(labels.values()), np.float64)
    for draw in range(DRAWS):
        chosen = np.random.default_rng(draw).permutation(len(ours))[: round(SHARE * len(ours))]
        wrong = ours.copy()
        wrong[chosen] = ours[np.roll(chosen, 1)]
        first = np.argsort(-disagreement(wrong, theirs), kind="stable")[:FIRST]
        found = len(set(first) & set(chosen))
        click.echo(
            f"{found} of {len(chosen)} swapped labels among the first {FIRST} of {len(ours)}"
        )


if __name__ == "__main__":
    main()
