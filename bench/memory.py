"""Measure whether the memory of `ganim prepare` grows over a run of 100,000 photographs.

    python bench/memory.py ../shared/faces/photos --files 100000 --plot memory.png

The photographs of a folder are copied until there are enough, each copy with a different JPEG
comment, so that none is a duplicate. While they are prepared, the resident memory of the main
process and of its largest worker is read from /proc at regular intervals.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from ganim.pipeline.prepare.prepare import prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path, help="folder of JPEGs, searched recursively")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--points", type=int, default=20, help="rows of the table")
    parser.add_argument("--plot", type=Path, help="PNG file for a plot of the memory")
    options = parser.parse_args()

    samples: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "source")
        fill(source, sorted(options.photographs.rglob("*.jpg")), options.files)
        print(f"{options.files} photographs, {options.workers} workers")
        print(f"{'files':>8} {'main MB':>8} {'largest worker MB':>18} {'files/s':>8}")
        done, started = 0, time.monotonic()

        def on_file(statuses: Sequence[str]) -> None:
            nonlocal done
            done += 1
            if done % (options.files // options.points) == 0:
                workers = [child.pid for child in multiprocessing.active_children()]
                largest = max((resident(pid) for pid in workers if pid), default=0.0)
                samples.append((done, resident(os.getpid()), largest))
                rate = done / (time.monotonic() - started)
                print(f"{done:8} {samples[-1][1]:8.0f} {largest:18.0f} {rate:8.0f}", flush=True)

        summary = prepare(source, Path(scratch, "shards"), workers=options.workers, on_file=on_file)
    print(summary.counts)
    # Measured from a fifth of the files on, when all modules and models are loaded.
    early, main_early, worker_early = samples[len(samples) // 5]
    late, main_late, worker_late = samples[-1]
    scale = 100_000 / (late - early)
    print(
        f"growth per 100,000 files: main {(main_late - main_early) * scale:+.0f} MB, "
        f"largest worker {(worker_late - worker_early) * scale:+.0f} MB"
    )
    if options.plot:
        plot(options.plot, samples)


def fill(folder: Path, photographs: list[Path], count: int) -> None:
    """Write `count` different JPEGs, a thousand per folder."""
    for number, path in enumerate(islice(cycle(photographs), count)):
        copy = folder / f"{number // 1000:03d}" / f"{number:06d}.jpg"
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes()
        comment = b"\xff\xfe\x00\x0a%08d" % number
        copy.write_bytes(content[:2] + comment + content[2:])


def resident(pid: int) -> float:
    """Return the resident memory of a process in MB, 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def plot(path: Path, samples: list[tuple[int, float, float]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    files, main_, workers = zip(*samples, strict=True)
    figure, axes = pyplot.subplots(figsize=(6, 3), layout="constrained")
    axes.plot(files, main_, label="main process")
    axes.plot(files, workers, label="largest worker")
    axes.set(xlabel="photographs", ylabel="resident memory, MB", ylim=(0, None))
    axes.legend()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
