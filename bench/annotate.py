"""How much of `ganim annotate` is not OpenFace: crops through containers of a stand-in.

The stand-in is no OpenFace: it reads a colour, and sleeps so that it takes as long as OpenFace
does, 0.4 s to start and 25 ms a crop. So the figures are those of everything around OpenFace:
containers, files, shards. It needs root and docker.io; it starts a daemon of its own.

    python bench/annotate.py [CROPS]

prints for one and two containers at once the seconds, the overhead over CROPS x 25 ms (5,000), and
the ratio of the two.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from ganim.pipeline import shards
from ganim.pipeline.annotate.annotate import annotate
from ganim.pipeline.openface import annotator
from ganim.pipeline.openface.annotator import find_openface
from ganim.tests import stand_in_image

START, EACH = 0.4, 0.025
IMAGE = "ganim/openface-stand-in:paced"
ROWS = 512


def main() -> None:
    crops = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with stand_in_image.daemon() as host, tempfile.TemporaryDirectory() as folder:
        os.environ["DOCKER_HOST"] = host
        stand_in_image.make_image("docker", host)
        stand_in_image.make_variant(host, IMAGE, f"STAND_IN_PACE={START},{EACH}")
        seconds = [measure(Path(folder, str(workers)), crops, workers) for workers in (1, 2)]
    print(f"two containers at once: {seconds[0] / seconds[1]:.2f} times as fast as one")


def measure(folder: Path, crops: int, workers: int) -> float:
    """Annotate so many crops; the seconds it took, all told."""
    make_shards(folder, crops)
    began = time.perf_counter()
    openface = find_openface(image=IMAGE, workers=workers)
    summary = annotate(folder, openface)
    seconds = time.perf_counter() - began
    assert summary.annotated == crops
    least = crops * EACH / workers
    print(
        f"{workers} at once: {crops} crops in {seconds:.1f} s, {crops / seconds:.1f} a second; "
        f"{seconds / least - 1:.1%} above {crops} x {EACH * 1000:g} ms; "
        f"of the time, {1 - openface.seconds_reading / seconds / workers:.1%} no crop was read",
        flush=True,
    )
    return seconds


def make_shards(folder: Path, crops: int) -> None:
    jpeg = Path(annotator.__file__).with_name("probe.jpg").read_bytes()
    rows = [
        {
            "key": f"{index}.jpg#0",
            "source": f"{index}.jpg",
            "image": {"bytes": jpeg, "path": None},
            "box": [15, 15, 113, 113],
            "crop": [0, 0, 128, 128],
            "status": shards.OK,
        }
        for index in range(crops)
    ]
    folder.mkdir()
    for start in range(0, crops, ROWS):
        table = shards.rows_to_table(rows[start : start + ROWS])
        shards.write_shard(shards.next_shard_path(folder, "train"), table)


if __name__ == "__main__":
    main()
