#!/usr/bin/env python3
"""A stand-in for OpenFace's programs, for tests. It is not OpenFace and detects no faces.

Called by the name FaceLandmarkImg or FeatureExtraction, it accepts that program's options and
writes the same files in the same format. What it reads from a picture, or from a clip's frame,
depends on the colour of the middle, since the annotator renames the files:

    black    no face: only `_of_details.txt` is written
    grey     a face in the middle; AU12 is 5 times the grey level (0-1), others 0.00, 0.01, …
    red      two faces: one in the upper left corner with all AUs 4, then one as for grey
    yellow   a face in the middle, with a confidence of 0.3
    cyan     a face in the upper left corner only
    green    an unreadable picture: the process ends with exit status 1 and writes nothing about it
    magenta  the process crashes by a signal after it has written the details file
    blue     the process hangs after it has written the details file

Environment variables:

    STAND_IN_FAILS=models  the landmark models are missing, as after an incomplete installation
    STAND_IN_FAILS=faces   the models of the AUs are missing, so that it crashes on every face
    STAND_IN_FAILS=mount   it finds no pictures, and ends with exit status 0
    STAND_IN_FAILS=smile   it reads AU12 as 0
    STAND_IN_LOG=FILE      appends a line per process: its id and its number of pictures
    STAND_IN_PACE=A,B      takes A seconds to start and B seconds per picture
"""

import argparse
import ctypes
import hashlib
import os
import sys
import time
from pathlib import Path

from PIL import Image

AUS = [1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45]
PRESENCES = sorted([*AUS, 28])
COLOURS = {
    (0, 0, 0): "black",
    (1, 0, 0): "red",
    (0, 1, 0): "green",
    (0, 0, 1): "blue",
    (1, 1, 0): "yellow",
    (1, 0, 1): "magenta",
    (0, 1, 1): "cyan",
}


def main() -> int:
    if Path(sys.argv[0]).name == "FeatureExtraction":
        return feature_extraction()
    started = time.monotonic()
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-f", action="append", default=[], type=Path)
    parser.add_argument("-fdir", type=Path)
    parser.add_argument("-out_dir", type=Path, default=Path("processed"))
    parser.add_argument("-aus", action="store_true")
    parser.add_argument("-2Dfp", action="store_true", dest="landmarks")
    options = parser.parse_args()

    pictures = options.f
    if options.fdir:
        found = [
            path
            for path in options.fdir.iterdir()
            if path.suffix in (".jpg", ".jpeg", ".png", ".bmp")
        ]
        # In an order that no test can rely on.
        pictures = sorted(found, key=lambda path: hashlib.md5(path.name.encode()).digest())
    fails = os.environ.get("STAND_IN_FAILS")
    if "STAND_IN_LOG" in os.environ:
        with Path(os.environ["STAND_IN_LOG"]).open("a") as log:
            log.write(f"{os.getpid()} {len(pictures)}\n")
    if fails == "models":
        print("Could not find CEN patch experts, for instructions of how to download them, see …")
        return 1
    if not pictures or fails == "mount":
        print("Could not open any images")
        return 0
    options.out_dir.mkdir(parents=True, exist_ok=True)
    start, each = (float(part) for part in os.environ.get("STAND_IN_PACE", "0,0").split(","))
    for number, path in enumerate(pictures):
        # Less the time that the stand-in itself takes.
        time.sleep(max(0.0, started + start + number * each - time.monotonic()))
        read_picture(path, options, fails)
    time.sleep(max(0.0, started + start + len(pictures) * each - time.monotonic()))
    return 0


def feature_extraction() -> int:
    """Read a clip: write one CSV with a row per frame."""
    import av

    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-f", type=Path)
    parser.add_argument("-out_dir", type=Path, default=Path("processed"))
    parser.add_argument("-aus", action="store_true")
    options = parser.parse_args()
    if options.f is None:
        return 0
    columns = ["frame", "face_id", "timestamp", "confidence", "success"]
    rows = [", ".join([*columns, *header(landmarks=False)[2:]])]
    try:
        with av.open(str(options.f)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                picture = frame.to_image()
                middle = picture.getpixel((picture.width // 2, picture.height // 2))
                success = max(middle) >= 30
                start = f"{number + 1},  0,  {frame.time:.3f},  {0.98 * success:.2f},  {success:d}"
                aus = [0.01 * index * success for index in range(len(AUS))]
                aus[AUS.index(12)] = middle[0] / 255 * 5 * success
                values = [f"{value:.2f}" for value in aus] + ["0.00"] * len(PRESENCES)
                rows.append(", ".join([start, *values]))
    except av.FFmpegError:
        print(f"Error: Could not open the input video file or device: {options.f}")
        return 1
    (options.out_dir / f"{options.f.stem}.csv").write_text("\n".join(rows) + "\n")
    (options.out_dir / f"{options.f.stem}_of_details.txt").write_text(f"Input:{options.f}\n")
    return 0


def read_picture(path: Path, options: argparse.Namespace, fails: str | None) -> None:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    width, height = picture.size
    middle = picture.getpixel((width // 2, height // 2))
    assert isinstance(middle, tuple)
    kind = "grey"
    if max(middle) < 30 or max(middle) - min(middle) > 100:
        kind = COLOURS[(middle[0] > 128, middle[1] > 128, middle[2] > 128)]
    if kind == "green":
        print(f"Error: Could not open the image: {path}", flush=True)
        sys.exit(1)

    details = options.out_dir / f"{path.stem}_of_details.txt"
    about = f"Input:{path}\nInput full path:{path}\nCamera parameters:500,500,{width / 2:g},"
    details.write_text(f"{about}{height / 2:g}\n")
    if kind == "magenta" or (fails == "faces" and kind != "black"):
        ctypes.string_at(0)  # process 1 of a container ignores a signal that is sent
    if kind == "blue":
        time.sleep(600)
    if kind == "black":
        return

    ours = [0.01 * index for index in range(len(AUS))]
    ours[AUS.index(12)] = 0.0 if fails == "smile" else middle[0] / 255 * 5
    in_middle, in_corner = (width / 2, height / 2), (width / 5, height / 5)
    faces = [(0.3 if kind == "yellow" else 0.983, in_middle, ours)]
    if kind in ("red", "cyan"):
        faces.insert(0, (0.983, in_corner, [4.0] * len(AUS)))
    if kind == "cyan":
        faces.pop()

    csv = [", ".join(header(options.landmarks))]
    for number, (confidence, centre, aus) in enumerate(faces):
        values = [str(number), f"{confidence:.3f}"]
        if options.landmarks:
            values += [f"{centre[0] + 0.3 * (point - 33.5):.1f}" for point in range(68)]
            values += [f"{centre[1] + 0.3 * (point - 33.5):.1f}" for point in range(68)]
        values += [f"{value:.2f}" for value in aus] + ["0.0"] * len(PRESENCES)
        csv.append(", ".join(values))
    (options.out_dir / f"{path.stem}.csv").write_text("\n".join(csv) + "\n")
    with details.open("a") as file:
        file.write(f"Output csv:{path.stem}.csv\nGaze: 0\nAUs: {options.aus:d}\n")
        file.write(f"Landmarks 2D: {options.landmarks:d}\nLandmarks 3D: 0\n")
        file.write("Pose: 0\nShape parameters: 0\n")


def header(landmarks: bool) -> list[str]:
    points = [f"{axis}_{point}" for axis in "xy" for point in range(68)] if landmarks else []
    intensities = [f"AU{number:02d}_r" for number in AUS]
    return ["face", "confidence", *points, *intensities, *(f"AU{n:02d}_c" for n in PRESENCES)]


if __name__ == "__main__":
    sys.exit(main())
