"""Measure from command to picture and frames a second, against `import torch` and the naive way.

python bench/start.py [--photograph FILE] [--rounds 5] [--frames 72]

The photograph is examples/astronaut.png, enlarged to one megapixel, as JPEG. First each command is
run once; then all are run in turn, for some rounds, in processes of their own. Printed are the
least wall time of each, its processor time (user and system), and its share of that of
`python -c "import torch"`. Then animations of the photograph are made in this process, as GIF and
as MP4: pictures a second by the clock, encoding included, and processor time of a picture.

The naive way is what one would write first: the face is searched for with dlib's detector at full
size and once enlarged, as `face_recognition.face_locations` does; the generator runs eagerly in
float32, without inference mode, and wholly for each picture.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from ganim.model.animation.animator import Animator

ROOT = Path(__file__).parents[1]
AUS = "12=1,6=0.5"


@click.command(help=__doc__)
@click.option("--photograph", type=click.Path(exists=True, path_type=Path))
@click.option("--rounds", default=5)
@click.option("--frames", default=72)
@click.option("--naive", type=click.Path(path_type=Path), hidden=True, help="Picture to write.")
def main(photograph: Path | None, rounds: int, frames: int, naive: Path | None) -> None:
    if naive is not None:
        assert photograph is not None
        naive_picture(photograph, naive)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if photograph is None:
            photograph = folder / "photograph.jpg"
            with Image.open(ROOT / "examples" / "astronaut.png") as image:
                large = image.convert("RGB").resize((1000, 1000), Image.Resampling.LANCZOS)
                large.save(photograph, quality=92)
        with Image.open(photograph) as image:
            print(f"{photograph.name}, {image.width}x{image.height}, {os.cpu_count()} cores")
        print_commands(photograph, folder, rounds)
        print_frames(photograph, folder, frames)


def print_commands(photograph: Path, folder: Path, rounds: int) -> None:
    ganim = Path(sys.executable).with_name("ganim")
    out = folder / "out.jpg"
    animate: list[str | Path] = [
        ganim,
        "animate",
        photograph,
        "--au",
        AUS,
        "--overwrite",
        "-o",
        out,
    ]
    commands: dict[str, list[str | Path]] = {
        "import torch": [sys.executable, "-c", "import torch"],
        "ganim animate": animate,
        "ganim animate --runtime onnx": [*animate, "--runtime", "onnx"],
        "the naive way": [sys.executable, __file__, "--photograph", photograph, "--naive", out],
    }
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for round_number in range(rounds + 1):
        for name, command in commands.items():
            times = timed(command)
            if round_number:
                measured[name].append(times)
    wall, processor = ({n: min(t[i] for t in m) for n, m in measured.items()} for i in (0, 1))
    headings = f"{'wall s':>8} {'of torch':>9} {'cpu s':>8} {'of torch':>9}"
    print(f"\n{'from command to picture':<30} {headings}")
    for name in commands:
        shares = [each[name] / each["import torch"] for each in (wall, processor)]
        print(
            f"{name:<30} {wall[name]:8.2f} {shares[0]:9.2f} {processor[name]:8.2f} {shares[1]:9.2f}"
        )


def timed(command: list[str | Path]) -> tuple[float, float]:
    """Wall and processor time of a process, in seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def print_frames(photograph: Path, folder: Path, count: int) -> None:
    from ganim.model.animation.animator import Animator
    from ganim.model.animation.motion import Animation, Motion, animate_photograph
    from ganim.model.animation.save import save
    from ganim.pipeline.action_units import parse_edits
    from ganim.pipeline.expressions import Request
    from ganim.pipeline.images.decode import read_image

    request, motion = Request(parse_edits([AUS])), Motion(count)
    picture = read_image(photograph)
    print(f"\n{f'{count} pictures':<30} {'a second':>8} {'cpu ms of each':>15}")
    for ending in (".gif", ".mp4"):
        for runtime in ("torch", "onnx", "naive"):
            animator = Animator(runtime="onnx" if runtime == "onnx" else "torch")
            faces = animator.faces(picture, 1)
            animation = animate_photograph(animator, picture, faces, request, motion)
            if runtime == "naive":
                pictures = naive_pictures(animator, picture, count)
                animation = Animation(pictures, animation.timing)
            start, processor = time.perf_counter(), time.process_time()
            save(folder / f"out{ending}", animation)
            wall, processor = time.perf_counter() - start, time.process_time() - processor
            name = f"{ending} {runtime}"
            print(f"{name:<30} {count / wall:8.1f} {1000 * processor / count:15.0f}", flush=True)


def naive_picture(photograph: Path, out: Path) -> None:
    from ganim.model.animation.animator import Animator
    from ganim.pipeline.images.decode import read_image

    (picture,) = naive_pictures(Animator(), read_image(photograph), 1)
    Image.fromarray(picture).save(out, quality=95)


def naive_pictures(animator: "Animator", picture: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Pictures from the face's own expression to AUS; the last alone if one is asked for."""
    import dlib
    import torch

    from ganim.model.animation.faces import read_face
    from ganim.model.networks.torch_renderer import TorchRenderer
    from ganim.pipeline.action_units import parse_edits
    from ganim.pipeline.expressions import Request
    from ganim.pipeline.faces.crop import Box, crop_box
    from ganim.pipeline.faces.frame import CropRegion

    boxes = dlib.get_frontal_face_detector()(picture, 1)
    sides = [(box.left(), box.top(), box.right() + 1, box.bottom() + 1) for box in boxes]
    largest = max((Box(*each) for each in sides), key=lambda box: box.width)
    face = read_face(animator.reader, picture, CropRegion(crop_box(largest)))
    (region,), squares = animator.cut([picture], [face])
    own = face.own_aus
    target = Request(parse_edits([AUS])).target(own)
    renderer = animator.renderer
    assert isinstance(renderer, TorchRenderer)
    for share in np.linspace(0, 1, count) if count > 1 else [1.0]:
        asked = own + np.float32(share) * (target - own)
        faces = renderer.inputs(squares)
        masks = renderer.network(faces, *(torch.from_numpy(aus)[None] for aus in (asked, own)))
        given = {name: mask for name, mask in masks._asdict().items() if mask is not None}
        detached = masks._replace(**{name: mask.detach() for name, mask in given.items()})
        yield region.paste(picture, detached.changes()[0])


if __name__ == "__main__":
    main()
