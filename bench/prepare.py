"""Measure how fast prepare reads photographs, and its recall against face_recognition.

python bench/prepare.py --material ../shared/faces [--workers 1] [--crops DIR]

`extract_faces` of prepare and `face_recognition.load_image_file` with `face_locations` run on the
same photographs, in turns, with the same number of processes. There are two sets: the photographs
of MATERIAL/wild, and synthetic ones of 1 to 12 megapixels made from the material (see
`full_size`). Faces match at an IoU of 0.5 or more. Those that only one of the two finds are
written to --crops.

\b
--count 0 skips the two sets;
--memory N extracts the faces of N photographs in one process and prints its memory;
--bombs prints time and memory of refusing decompression bombs.
"""

import cProfile
import multiprocessing
import pstats
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import click
import cv2
import numpy as np
from PIL import Image

from ganim.pipeline import shards
from ganim.pipeline.faces.crop import Box, crop_box, cut_crop
from ganim.pipeline.faces.extract import Extraction, extract_faces
from ganim.pipeline.images import decode

SMALLEST = 80
"""Width in pixels from which a face counts for the recall."""
Boxes = list[tuple[int, int, int, int]]
"""Left, top, right, bottom."""
Found = tuple[float, float, Boxes]
"""Wall time and CPU time in seconds, and boxes."""


def ours(path: Path) -> Found:
    """Find, crop and encode all faces."""
    return _timed(lambda: _boxes(extract_faces(path, most=None)))


def ours_largest(path: Path) -> Found:
    """Find, crop and encode the largest face, as prepare does by default."""
    return _timed(lambda: _boxes(extract_faces(path)))


def theirs(path: Path) -> Found:
    """Find the boxes of all faces; nothing is cropped."""
    import face_recognition

    def locate() -> list[tuple[int, int, int, int]]:
        picture = face_recognition.load_image_file(str(path))
        located = face_recognition.face_locations(picture)
        return [(left, top, right, bottom) for top, right, bottom, left in located]

    return _timed(locate)


SYSTEMS = {"face_recognition": theirs, "ganim, all faces": ours, "ganim, largest": ours_largest}


def _boxes(extraction: Extraction) -> Boxes:
    boxes = [face.box for face in extraction.faces]
    return [(box.left, box.top, box.right, box.bottom) for box in boxes]


def _timed(work: Callable[[], Boxes]) -> Found:
    wall, cpu = time.perf_counter(), time.process_time()
    boxes = work()
    return time.perf_counter() - wall, time.process_time() - cpu, boxes


def full_size(material: Path, folder: Path, count: int, seed: int) -> list[Path]:
    """Write `count` JPEGs of 1 to 12 megapixels with faces of 60 to 1500 px, one to nine each.

    The scene is a photograph, enlarged and somewhat blurred; in every fourth it is a wild
    photograph enlarged, with its faces, and nothing else; in every eighth one portrait.
    Photographs of one face each, of the test split, are pasted on the scene beside one another
    with a soft edge, at widths drawn log-evenly. Sensor noise is added at full size, because what
    was enlarged is smoother than what a camera writes.
    """
    rng = np.random.default_rng(seed)
    wild = [path for path in sorted((material / "wild").iterdir()) if path.suffix == ".jpg"]
    portraits = [
        path
        for path in sorted((material / "photos").rglob("*.jpg"))
        if shards.split_of(path.relative_to(material / "photos").as_posix(), 0.1) == "test"
    ]
    written = []
    for number in range(count):
        pixels = float(np.exp(rng.uniform(np.log(1e6), np.log(12e6))))
        aspect = float(rng.choice([4 / 3, 3 / 4, 3 / 2, 16 / 9]))
        width, height = round((pixels * aspect) ** 0.5), round((pixels / aspect) ** 0.5)
        kind = number % 8
        scenes = portraits if kind in (0, 2, 4, 7) else wild
        scene = decode.read_image(scenes[rng.integers(len(scenes))])
        canvas = _cover(scene, width, height)
        if kind not in (3, 5, 7):
            canvas = cv2.GaussianBlur(canvas, (0, 0), width / 100)
        pasted = 0 if kind in (3, 5, 7) else int(rng.integers(1, 13))
        taken = np.zeros((height, width), bool)
        for _ in range(pasted):
            side = float(np.exp(rng.uniform(np.log(60), np.log(min(1500, height / 2)))))
            portrait = decode.read_image(portraits[rng.integers(len(portraits))])
            _paste(canvas, taken, portrait, side * 2, rng)
        noise = rng.normal(0, rng.uniform(2, 6), (height, width, 1)).astype(np.float32)
        noisy = np.clip(canvas + noise, 0, 255).astype(np.uint8)
        path = folder / f"{number:03d}.jpg"
        quality = int(rng.integers(80, 96))
        Image.fromarray(noisy).save(path, quality=quality, progressive=number % 5 == 0)
        written.append(path)
    return written


def _cover(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale a picture to cover width x height, and crop it to that size."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    size = [
        max(side, round(scale * s))
        for side, s in zip((width, height), picture.shape[1::-1], strict=True)
    ]
    return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)[:height, :width].copy()


def _paste(
    canvas: np.ndarray,
    taken: np.ndarray,
    picture: np.ndarray,
    side: float,
    rng: np.random.Generator,
) -> None:
    """Paste the picture, `side` px high, where nothing was pasted yet, if there is room."""
    scale = side / max(picture.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=interpolation)
    height, width = picture.shape[:2]
    for _ in range(20):
        left = int(rng.integers(0, max(1, canvas.shape[1] - width)))
        top = int(rng.integers(0, max(1, canvas.shape[0] - height)))
        if not taken[top : top + height, left : left + width].any():
            break
    else:
        return
    taken[top : top + height, left : left + width] = True
    picture = picture[: canvas.shape[0] - top, : canvas.shape[1] - left]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    soft = np.clip((1 - np.maximum(abs(x), abs(y))) / 0.15, 0, 1)[:, :, None].astype(np.float32)
    soft = soft[: picture.shape[0], : picture.shape[1]]
    region = canvas[top : top + picture.shape[0], left : left + picture.shape[1]]
    region[:] = (region + soft * (picture.astype(np.float32) - region)).round().astype(np.uint8)


def compare(name: str, paths: list[Path], workers: int, crops: Path | None) -> None:
    """Print a table of speed and recall for one set of photographs."""
    context = multiprocessing.get_context("spawn")
    seconds = dict.fromkeys(SYSTEMS, 0.0)
    answers: dict[str, list[Found]] = {system: [] for system in SYSTEMS}
    with ExitStack() as stack:
        pools = {
            system: stack.enter_context(ProcessPoolExecutor(workers, mp_context=context))
            for system in SYSTEMS
        }
        for system, work in SYSTEMS.items():
            list(pools[system].map(work, paths[:1] * workers * 2))  # to load modules and models
        # In turns, so that other load on the machine affects all systems alike.
        for block in (paths[n : n + 8] for n in range(0, len(paths), 8)):
            for system, work in SYSTEMS.items():
                started = time.perf_counter()
                answers[system] += pools[system].map(work, block)
                seconds[system] += time.perf_counter() - started
    rates = {system: len(paths) / spent for system, spent in seconds.items()}
    cpu = {system: sum(answer[1] for answer in answers[system]) for system in SYSTEMS}
    found = {system: [answer[2] for answer in answers[system]] for system in SYSTEMS}
    print(f"\n{name}: {len(paths)} photographs, {workers} processes")
    print(f"{'':18} {'photos/s':>9} {'ratio':>7} {'CPU s':>8} {'ratio':>7}  faces")
    first = "face_recognition"
    for system, rate in rates.items():
        print(
            f"{system:18} {rate:9.2f} {rate / rates[first]:6.1f}x {cpu[system]:8.2f} "
            f"{cpu[first] / cpu[system]:6.1f}x  {sum(map(len, found[system]))}"
        )
    recall(paths, found[first], found["ganim, all faces"], crops)


def recall(paths: list[Path], reference: list, answers: list, crops: Path | None) -> None:
    """Print how many of the reference's faces were found, and how many other faces."""
    wanted = hits = others = 0
    for path, theirs, ours in zip(paths, reference, answers, strict=True):
        large = [box for box in theirs if box[2] - box[0] >= SMALLEST]
        missed = [box for box in large if max((iou(box, b) for b in ours), default=0) < 0.5]
        extra = [box for box in ours if max((iou(box, b) for b in theirs), default=0) < 0.5]
        wanted, hits, others = wanted + len(large), hits + len(large) - len(missed), others
        others += len(extra)
        for kind, boxes in (("missed", missed), ("extra", extra)):
            for box in boxes:
                print(f"  {kind}: {path.name} {box}")
                if crops:
                    crops.mkdir(parents=True, exist_ok=True)
                    crop = cut_crop(decode.read_image(path), crop_box(Box(*box), 0.4), 160)
                    Image.fromarray(crop).save(crops / f"{kind}-{path.stem}-{box[0]}-{box[1]}.png")
    print(
        f"of its {wanted} faces of {SMALLEST} px or more we find {hits} "
        f"({100 * hits / max(wanted, 1):.1f}%); we report {others} that it does not"
    )


def iou(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    """Intersection over union of two boxes."""
    across = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return across * down / (sum(areas) - across * down)


STEPS = {
    "decode": ("read_preview", "read_image"),
    "halve": ("_halve",),
    "propose": ("propose_regions",),
    "detect (dlib)": ("detect",),
    "cut": ("cut_crop",),
    "encode": ("encode_jpeg",),
}


def profile(paths: list[Path], most: int | None) -> None:
    """Print the share of CPU time of each step, including the functions that it calls."""
    profiler = cProfile.Profile(time.process_time)
    profiler.enable()
    for path in paths:
        extract_faces(path, most=most)
    profiler.disable()
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in stats.values())
    rest = total
    print(f"profile, {'all faces' if most is None else 'largest'}: {total:.2f} s", end="")
    for step, names in STEPS.items():
        calls = {key: value for key, value in stats.items() if key[2] in names}
        # `read_image` calls `read_preview`, so calls within a step are subtracted once.
        spent = sum(value[3] for key, value in calls.items())
        spent -= sum(
            by[3] for value in calls.values() for key, by in value[4].items() if key in calls
        )
        rest -= spent
        print(f", {step} {100 * spent / total:.0f}%", end="")
    print(f", rest {100 * rest / total:.0f}%")


def memory(paths: list[Path], count: int) -> None:
    """Print the resident memory of this process while it reads `count` photographs."""
    print(f"\nmemory of one process over {count} photographs, MB resident:")
    started = time.perf_counter()
    for number in range(count + 1):
        if number % max(1, count // 10) == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident = pages * resource.getpagesize() / 1e6
            print(
                f"{number:8d} {resident:7.0f}  {time.perf_counter() - started:6.0f} s", flush=True
            )
        try:
            extract_faces(paths[number % len(paths)])
        except decode.UnreadableImage as reason:
            print(f"  {paths[number % len(paths)]}: {reason}")


def bombs(folder: Path) -> None:
    """Print time and memory of refusing each bomb of tests/hostile.py, each in a new process."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import hostile

    made = hostile.make(folder / "hostile")
    good = folder / "hostile/good/plain.jpg"
    print("\nrefusing decompression bombs:")
    context = multiprocessing.get_context("spawn")
    for name in sorted(made.bombs):
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            answer = pool.submit(_refuse, good, made.path / name.decode()).result()
        wall, cpu, megabytes, reason = answer
        print(
            f"  {name.decode():26} {wall * 1e3:6.1f} ms {cpu * 1e3:6.1f} ms of CPU "
            f"{megabytes:6.1f} MB  {reason}"
        )


def _refuse(good: Path, bomb: Path) -> tuple[float, float, float, str]:
    """Return wall time and CPU time (s), growth of the peak memory (MB), and the reason."""
    extract_faces(good)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        extract_faces(bomb)
        reason = "READ"
    except decode.UnreadableImage as refusal:
        reason = f"{type(refusal).__name__}: {refusal}"
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return wall, cpu, grown / 1024, reason


@click.command(help=__doc__)
@click.option("--material", type=click.Path(path_type=Path, exists=True), default="../shared/faces")
@click.option("--workers", type=int, default=1)
@click.option(
    "--count", type=int, default=48, help="Synthetic photographs to make; 0 skips both sets."
)
@click.option("--seed", type=int, default=0)
@click.option("--crops", type=click.Path(path_type=Path))
@click.option("--memory", "memory_count", type=int, default=0)
@click.option("--bombs", "do_bombs", is_flag=True)
def main(
    material: Path,
    workers: int,
    count: int,
    seed: int,
    crops: Path | None,
    memory_count: int,
    do_bombs: bool,
) -> None:
    """Run the chosen measurements and print them."""
    photos = sorted((material / "photos").rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if count:
            wild = [p for p in sorted((material / "wild").iterdir()) if p.suffix in decode.SUFFIXES]
            sets = {"wild": wild, "full size": full_size(material, folder, count, seed)}
            for label, paths in sets.items():
                compare(label, paths, workers, crops and crops / label.replace(" ", "-"))
                for most in (None, 1):
                    profile(paths, most)
        if memory_count:
            memory(photos, memory_count)
        if do_bombs:
            bombs(folder)


if __name__ == "__main__":
    main()
