"""`ganim animate`: which files it reads and writes, what it says, and what it refuses."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ganim.cli import main
from ganim.pipeline.images.metadata import SOURCE_TYPE
from ganim.pipeline.images.outputs import plan
from ganim.pipeline.images.picture import read_picture

ROOT = Path(__file__).parents[1]
GANIM = Path(sys.executable).with_name("ganim")
ASTRONAUT, HOPPER = ROOT / "examples" / "astronaut.png", ROOT / "examples" / "grace_hopper.jpg"


def ganim(*words: object, stdin: bytes | None = None):
    return CliRunner().invoke(main, ["animate", *map(str, words)], input=stdin)


def assert_fails(result, status: int, *sentences: str) -> None:
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    for sentence in sentences:
        assert sentence in result.output


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder of three photographs of faces, one of them in a folder of its own, and of two
    files that are none."""
    folder = tmp_path / "photographs"
    (folder / "more").mkdir(parents=True)
    with Image.open(ASTRONAUT) as picture:
        face = picture.convert("RGB").crop((120, 20, 340, 240))
    face.save(folder / "a.png")
    face.save(folder / "a.gif")
    face.save(folder / "more" / "b.jpg", quality=90)
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_several_photographs_and_folders(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = ganim(small, "--expression", "happy", "--out-dir", out)
    assert done.exit_code == 0, done.output
    assert "broken.png cannot be read: not a picture" in done.output
    assert "3 pictures written, 1 photographs failed" in done.output
    written = sorted(str(file.relative_to(out)) for file in out.rglob("*.*"))
    assert written == ["a.gif.png", "a.png", "more/b.jpg"] or written == [
        "a.png",
        "a.png.png",
        "more/b.jpg",
    ]
    before = {file: file.read_bytes() for file in out.rglob("*.*")}
    again = ganim(small, "--au", "4=1", "--out-dir", out)
    assert "3 existed already" in again.output
    assert all(file.read_bytes() == content for file, content in before.items())
    alone = (small / "a.png", "--au", "4=1", "--out-dir", out)
    assert "1 existed already" in ganim(*alone).output
    assert (out / "a.png").read_bytes() == before[out / "a.png"]
    assert ganim(*alone, "--overwrite").exit_code == 0
    assert (out / "a.png").read_bytes() != before[out / "a.png"]


def test_every_photograph_has_a_file_of_its_own(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "b/1.jpg", "c/1.jpg", "c/I.jpg", "c/i.jpg", "c/out/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    folders, out = [str(tmp_path / name) for name in "abc"], tmp_path / "c" / "out"
    targets = [job.target for job in plan(folders, None, out, False)]
    names = [target.name.casefold() for target in targets if target is not None]
    assert len(set(names)) == len(targets) == 5, "nothing in out is a photograph to animate"
    again = plan([*folders, str(tmp_path / "c" / "i.jpg")], None, out, False)
    assert [job.target for job in again[:5]] == targets and again[5].target not in targets


def test_no_photograph_of_several_gives_a_picture(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no picture")
    done = ganim(tmp_path, "--au", "12=1", "--out-dir", tmp_path / "out")
    assert_fails(done, 1, "a.png cannot be read", "b.png cannot be read", "No photograph gave")


def test_standard_input_and_output() -> None:
    """Through a real process, whose output is nothing but the picture."""
    command = [GANIM, "animate", "-", "--au", "12=1"]
    done = subprocess.run(command, input=HOPPER.read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as picture:
        assert picture.format == "JPEG" and picture.size == Image.open(HOPPER).size
    assert b"Wrote" not in done.stdout


def test_what_nothing_changes_is_copied(tmp_path: Path) -> None:
    same = tmp_path / "same.jpg"
    done = ganim(HOPPER, "--au", "12=+0", "-o", same)
    assert "shows this already" in done.output
    assert same.read_bytes() == HOPPER.read_bytes()
    phone = tmp_path / "phone.jpg"  # a JPEG with a second picture after it
    with Image.open(HOPPER) as picture:
        picture.save(phone, "MPO", save_all=True, append_images=[picture.resize((64, 64))])
    done = subprocess.run(
        [GANIM, "animate", phone, "--au", "12=+0", "-o", "-"], capture_output=True, check=False
    )
    assert done.stdout == phone.read_bytes()
    other = tmp_path / "same.png"
    assert ganim(HOPPER, "--au", "12=+0", "-o", other).exit_code == 0
    assert np.array_equal(read_picture(other).rgb, read_picture(HOPPER).rgb)
    assert SOURCE_TYPE.encode() not in other.read_bytes()


def test_the_label_and_its_absence(tmp_path: Path) -> None:
    labelled, plain = tmp_path / "labelled.png", tmp_path / "plain.png"
    assert ganim(ASTRONAUT, "--au", "12=0.1", "-o", labelled).exit_code == 0
    xmp = read_picture(labelled).metadata.xmp
    assert xmp is not None and SOURCE_TYPE.encode() in xmp and b"to 0.10" in xmp
    assert ganim(ASTRONAUT, "--au", "12=0.1", "-o", plain, "--no-label").exit_code == 0
    assert read_picture(plain).metadata.xmp is None
    assert np.array_equal(read_picture(plain).pixels, read_picture(labelled).pixels)


def test_like_and_neutral_set_the_whole_face(tmp_path: Path) -> None:
    like, neutral = tmp_path / "like.png", tmp_path / "neutral.png"
    assert ganim(HOPPER, "--like", ASTRONAUT, "-o", like).exit_code == 0
    assert ganim(HOPPER, "--neutral", "-o", neutral).exit_code == 0
    original = read_picture(HOPPER).rgb
    for file in (like, neutral):
        assert not np.array_equal(read_picture(file).rgb, original)
    both = ganim(HOPPER, "--neutral", "--expression", "sad", "-o", tmp_path / "both.png")
    assert_fails(both, 2, "each set the whole face: give one")
    (tmp_path / "text.jpg").write_text("no picture")
    result = ganim(HOPPER, "--like", tmp_path / "text.jpg", "-o", tmp_path / "x.png")
    assert_fails(result, 1, "--like", "cannot be read")


def test_faces_are_listed_and_numbered(small: Path, tmp_path: Path) -> None:
    picture = tmp_path / "faces.png"
    done = ganim(small / "a.png", "--list-faces", "-o", picture)
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.output.splitlines()]
    assert rows[0][0] == "face" and rows[1][0] == "1" and rows[2][0] == "Wrote"
    numbered = read_picture(picture).rgb.astype(int)
    assert np.abs(numbered - read_picture(small / "a.png").rgb).max() > 100
    assert_fails(
        ganim(small / "a.png", "--au", "12=1", "--face", "2", "-o", tmp_path / "b.png"),
        2,
        "There is no face 2: one face was found",
    )
    assert_fails(ganim(small / "a.png", "--au", "12=1", "--face", "zero"), 2, "neither a number")


def test_the_faces_of_standard_input_have_a_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ganim("-", "--list-faces", stdin=HOPPER.read_bytes()).exit_code == 0
    assert [file.name for file in tmp_path.iterdir()] == ["standard-input-faces.png"]


def test_outputs_that_are_refused(small: Path, tmp_path: Path) -> None:
    face, smile = small / "a.png", ("--au", "12=1")
    before = face.read_bytes()
    assert_fails(ganim(face, *smile, "-o", face, "--overwrite"), 2, "is the photograph itself")
    assert_fails(ganim(face, *smile, "--out-dir", small, "--overwrite"), 2, "one of the photograph")
    assert face.read_bytes() == before
    (tmp_path / "out.png").write_text("mine")
    assert_fails(ganim(face, *smile, "-o", tmp_path / "out.png"), 2, "exists already")
    assert (tmp_path / "out.png").read_text() == "mine"
    assert_fails(ganim(small, *smile), 2, "Several photographs need --out-dir")
    assert_fails(ganim(face, HOPPER, *smile, "-o", "x.png"), 2, "need --out-dir")
    assert_fails(ganim(face, *smile, "--out-dir", "x", "-o", "x.png"), 2, "give one of them")
    assert_fails(ganim(face, *smile, "--out-dir", tmp_path / "out.png"), 2, "is a file")
    assert_fails(ganim(face, *smile, "-o", tmp_path / "out.bmp"), 2, "ends in none of .png")
    assert_fails(ganim(tmp_path / "absent.png", *smile), 2, "is not there")
    (tmp_path / "empty").mkdir()
    assert_fails(ganim(tmp_path / "empty", *smile, "--out-dir", "x"), 1, "There is no photograph")


def test_a_file_that_cannot_be_written_is_a_sentence(small: Path, tmp_path: Path) -> None:
    face, smile = small / "a.png", ("--au", "12=1")
    assert_fails(ganim(face, *smile, "-o", "/proc/out.png"), 1, "/proc/out.png cannot be written")
    assert_fails(ganim(face, *smile, "-o", face / "out.png"), 1, "a file stands where a folder")
    long = tmp_path / ("x" * 252 + ".png")
    assert_fails(ganim(face, *smile, "-o", long), 1, "the name is too long")
    fits = tmp_path / ("x" * 251 + ".png")
    assert ganim(face, *smile, "-o", fits).exit_code == 0 and fits.exists()


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files by a shell")
def test_a_full_disk_leaves_no_part_of_a_file(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    # -B: Python would write shortened bytecode of modules, which no later process could read.
    python = f"{sys.executable} -B"
    command = f"ulimit -f 8; {python} {GANIM} animate {small / 'a.png'} --au 12=1 -o {out}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "no space is left" in done.stderr and "Traceback" not in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["photographs"]
