"""`ganim animate` with motion, through real processes: full disks, and CSVs out and in."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ganim.cli import main
from ganim.pipeline.images.video import frames

ROOT = Path(__file__).parents[1]
GANIM = Path(sys.executable).with_name("ganim")

ON_A_FULL_DISK = """
import resource, sys
from click.testing import CliRunner
from ganim.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for name in sys.argv[2:]:
    words = ["animate", sys.argv[1], "--au", "12=1,4=1", "--frames", "3", "-o", name]
    done = CliRunner().invoke(main, words)
    print(name, done.exit_code, " ".join(done.output.split()), sep="|")
"""


def ganim(*words: object) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("face") / "face.png"
    with Image.open(ROOT / "examples" / "astronaut.png") as picture:
        picture.convert("RGB").crop((120, 20, 344, 244)).save(path)
    return path


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_a_full_disk_leaves_no_part_of_an_animation(face: Path, tmp_path: Path) -> None:
    names = ["a.mp4", "a.gif", "a.webm", "a.apng", "a.webp", "a.strip.png", "folder"]
    # -B: Python would write shortened bytecode of modules, which no later process could read.
    command = [
        sys.executable,
        "-B",
        "-c",
        ON_A_FULL_DISK,
        face,
        *(tmp_path / name for name in names),
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    rows = [line.split("|") for line in done.stdout.splitlines()]
    assert [Path(row[0]).name for row in rows] == names
    for name, status, said in rows:
        assert status == "1", (name, said)
        assert "cannot be written" in said and "no space is left" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="writes to /dev/full")
def test_a_standard_output_that_takes_nothing_is_a_sentence(face: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [GANIM, "animate", face, "--au", "12=1", "-o", "-"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Standard output cannot be written" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("face.png", "--au", "12=1", "-o", "x.gif", "--quality", "80"), "--quality is for photog"),
        (("clip.mp4", "--au", "12=1", "--ease", "linear"), "--ease: of no use for a clip without"),
        (("face.png", "--au", "12=1", "--fps", "nan"), "nan is not a finite number"),
        (("clip.mp4", "--list-faces"), "--list-faces is for photographs"),
    ],
)
def test_options_that_an_animation_does_not_use_are_refused(words, said: str, tmp_path) -> None:
    (tmp_path / words[0]).touch()
    out = () if "-o" in words else ("-o", tmp_path / "x.mp4")
    words = ["animate", tmp_path / words[0], *words[1:], *out]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 2 and said in done.output, done.output
    assert "Traceback" not in done.output


def test_an_animation_says_what_was_asked_for_and_no_folder(face: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.gif"
    ganim(
        "animate", face, "--au", "25=1", "--au", "26=0.5", "--like", face, "--frames", 2, "-o", out
    )
    content = out.read_bytes()
    assert b"aus=25=1,26=0.5 like=face.png" in content and bytes(face.parent) not in content


@pytest.mark.slow
def test_the_csv_of_a_clip_drives_as_the_clip(face: Path, tmp_path: Path) -> None:
    clip, csv = tmp_path / "clip.mp4", tmp_path / "clip.csv"
    ganim("animate", face, "--au", "25=1,26=1", "--frames", 7, "-o", clip)
    ganim("annotate", clip, "--annotator", "estimator", "--out", csv)
    driven = []
    for driver in (clip, csv):
        out = tmp_path / f"{driver.suffix[1:]}.apng"
        ganim("animate", face, "--drive", driver, "--drive-neutral", 0, "-o", out)
        with Image.open(out) as picture:
            pictures = []
            for index in range(getattr(picture, "n_frames", 1)):
                picture.seek(index)
                pictures.append(np.asarray(picture.convert("RGB")).astype(int))
        driven.append(np.stack(pictures))
    by_clip, by_csv = driven
    assert len(by_clip) == len(by_csv) == len(list(frames(clip))) == 7
    with Image.open(face) as picture:
        still = np.asarray(picture).astype(int)
    moved = np.abs(by_clip - still).mean((1, 2, 3))
    assert moved[-1] > 2 * moved[0]
    # Faces are followed in a clip and found anew for a CSV file, so their AUs are read a little
    # differently: alike are which pixels change, when, and about how much.
    changes = by_clip - still, by_csv - still
    backwards = by_csv[::-1] - still
    assert np.corrcoef(changes[0].ravel(), changes[1].ravel())[0, 1] > 0.92
    assert np.corrcoef(changes[0].ravel(), backwards.ravel())[0, 1] < 0.5
    assert 0.6 < np.abs(changes[0]).mean() / np.abs(changes[1]).mean() < 1.6
