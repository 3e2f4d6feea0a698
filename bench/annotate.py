"""The overhead of `ganim annotate` over OpenFace: containers, files and shards.

OpenFace is replaced by a stand-in, which sleeps so that it takes as long as OpenFace: 0.4 s to
start and 25 ms per crop. The benchmark needs root and docker.io; it starts a daemon of its own.

    python bench/annotate.py [CROPS]

annotates CROPS crops (5,000 by default) with one worker and with two, and prints the seconds, the
overhead over 25 ms per crop, and the speed-up of the second worker.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from ganim.pipeline import shards
from ganim.pipeline.annotate.annotate import annotate
from ganim.pipeline.openface import self_test
from ganim.pipeline.openface.annotator import find_openface
from ganim.tests import stand_in_image

START_SECONDS, CROP_SECONDS = 0.4, 0.025
IMAGE = "ganim/openface-stand-in:paced"
SHARD_ROWS = 512


def main() -> None:
    crops = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with stand_in_image.daemon() as host, tempfile.TemporaryDirectory() as folder:
        os.environ["DOCKER_HOST"] = host
        stand_in_image.make_image("docker", host)
        stand_in_image.make_variant(host, IMAGE, f"STAND_IN_PACE={START_SECONDS},{CROP_SECONDS}")
        seconds = [measure(Path(folder, str(workers)), crops, workers) for workers in (1, 2)]
    print(f"two workers: {seconds[0] / seconds[1]:.2f} times as fast as one")


def measure(folder: Path, crops: int, workers: int) -> float:
    """Annotate crops, print the speed, and return the seconds it took."""
    make_shards(folder, crops)
    started = time.perf_counter()
    openface = find_openface(image=IMAGE, workers=workers)
    summary = annotate(folder, openface)
    seconds = time.perf_counter() - started
    assert summary.annotated == crops
    minimum = crops * CROP_SECONDS / workers
    print(
        f"{workers} workers: {crops} crops in {seconds:.1f} s, {crops / seconds:.1f} per second; "
        f"{seconds / minimum - 1:.1%} more than {CROP_SECONDS * 1000:g} ms per crop; no crop was "
        f"read in {1 - openface.seconds_reading / seconds / workers:.1%} of the time",
        flush=True,
    )
    return seconds


def make_shards(folder: Path, crops: int) -> None:
    jpeg = Path(self_test.__file__).with_name("self_test.jpg").read_bytes()
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
    for start in range(0, crops, SHARD_ROWS):
        table = shards.rows_to_table(rows[start : start + SHARD_ROWS])
        shards.write_shard(shards.next_shard_path(folder, "train"), table)


if __name__ == "__main__":
    main()
