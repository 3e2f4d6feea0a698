"""The command line: exit statuses, sentences instead of tracebacks, and nothing imported early."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from ganim.cli import COMMANDS, main
from ganim.commands import console
from ganim.pipeline import shards
from ganim.pipeline.action_units import NUMBERS
from ganim.pipeline.errors import CannotWrite
from ganim.pipeline.openface.output import read_csv
from ganim.pipeline.prepare.prepare import prepare

GANIM = Path(sys.executable).with_name("ganim")


def ganim(*words: str | Path) -> Result:
    """The command in this process; what it raises other than an exit reaches the test."""
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def ganim_process(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([GANIM, *words], capture_output=True, check=False, **options)


def assert_wrong_use(result: Result, *parts: str) -> None:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for part in parts:
        assert part in result.output


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, small_jpeg: bytes) -> Path:
    folder = tmp_path_factory.mktemp("album") / "of mine"
    folder.mkdir()
    (folder / "face.jpg").write_bytes(small_jpeg)
    (folder / "broken.jpg").write_bytes(small_jpeg[:2000])
    (folder / "notes.txt").touch()
    return folder


@pytest.fixture(scope="module")
def prepared(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards without AUs."""
    out = tmp_path_factory.mktemp("prepared") / "shards"
    prepare(album, out, workers=1)
    return out


# ---- help


@pytest.mark.parametrize(
    "words", ["--help", *(f"{name} --help" for name in COMMANDS), "train --size 10"]
)
def test_help_imports_nothing_heavy(words: str) -> None:
    """Neither does a command that click refuses."""
    script = """
import sys
from ganim.cli import main
try:
    main(sys.argv[1:])
finally:
    heavy = {"torch", "torchvision", "dlib", "cv2", "face_recognition", "pandas", "rich"}
    heavy |= {"av", "distributed", "upath", "matplotlib", "pyarrow", "PIL"}
    print("IMPORTED", sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *words.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == (0 if "--help" in words else 2)
    assert "Usage:" in done.stdout + done.stderr
    assert "IMPORTED []" in done.stdout


def test_a_command_imports_no_other_command() -> None:
    script = (
        "import sys; from ganim.cli import main; main(['animate', '--help'], standalone_mode=0)"
    )
    script += "; print([name for name in sys.modules if name.startswith('ganim.commands.')])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert set(COMMANDS) & set(re.findall(r"commands\.(\w+)", done.stdout)) == {"animate"}


def test_help_names_the_commands() -> None:
    done = ganim_process("--help", text=True)
    assert done.returncode == 0 and done.stderr == ""
    commands = re.findall(r"^  (\w+) ", done.stdout.partition("Commands:")[2], re.MULTILINE)
    assert commands == list(COMMANDS)


def test_an_unknown_command_is_wrong_use() -> None:
    assert_wrong_use(ganim("prepair"), "prepair")


# ---- prepare


def test_prepare_says_what_became_of_the_photographs(album: Path, tmp_path: Path) -> None:
    command = ("prepare", "--src", album, "--out", tmp_path / "out", "--workers", "1")
    first = ganim_process(*command, text=True)
    assert first.returncode == 0, first.stderr
    assert "2 photographs and clips" in first.stdout and "0 of them done before" in first.stdout
    assert re.search(r"ok +1\n", first.stdout) and re.search(r"unreadable +1\n", first.stdout)
    assert f"ganim annotate {tmp_path / 'out'}" in first.stdout

    second = ganim_process(*command, text=True)
    assert second.returncode == 0
    assert "2 of them done before" in second.stdout
    assert "2 of 2 files were done before" in second.stderr


def test_prepare_without_any_face_exits_with_1(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    Image.new("RGB", (100, 100)).save(source / "flat.png")
    done = ganim_process("prepare", "--src", source, "--out", tmp_path / "out", "--workers", "1")
    assert done.returncode == 1
    assert b"No face was found" in done.stderr and b"Traceback" not in done.stderr


def test_prepare_of_a_folder_whose_name_is_not_utf_8(tmp_path: Path, small_jpeg: bytes) -> None:
    source = tmp_path / os.fsdecode(b"album \xff")
    source.mkdir()
    (source / os.fsdecode(b"\xfe.jpg")).write_bytes(small_jpeg)
    command = ("prepare", "--src", source, "--out", source / "out", "--workers", "1")
    for _ in range(2):
        done = ganim_process(*command)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--src", "absent"),
        ("--src", "{file}"),
        ("--src", "{album}", "--out", "{file}"),
        ("--src", "{album}", "--size", "10"),
        ("--src", "{album}", "--size", "big"),
        ("--src", "{album}", "--margin", "1.5"),
        ("--src", "{album}", "--margin", "nan"),
        ("--src", "{album}", "--test-fraction", "1"),
        ("--src", "{album}", "--test-fraction", "-0.1"),
        ("--src", "{album}", "--workers", "0"),
        ("--src", "{album}", "--faces", "both"),
        ("--src", "{album}", "--min-face", "-1"),
        ("--src", "{album}", "--every", "0"),
        (),
    ],
)
def test_prepare_used_wrongly(album: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    (tmp_path / "file").touch()
    given = [word.format(album=album, file=tmp_path / "file") for word in words]
    given += [] if "--out" in given else ["--out", str(out)]
    assert_wrong_use(ganim("prepare", *given), "Error: ")
    assert not out.exists()


def test_prepare_with_other_settings_names_the_difference(album: Path, prepared: Path) -> None:
    result = ganim("prepare", "--src", album, "--out", prepared, "--margin", "0.3")
    assert_wrong_use(result, "margin=0.15", "margin=0.3", "--out", "--overwrite")


def test_prepare_update_and_overwrite(album: Path, tmp_path: Path, small_jpeg: bytes) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(album, source)
    command = ("prepare", "--src", source, "--out", out, "--workers", "1")
    assert ganim(*command).exit_code == 0
    (source / "new.jpg").write_bytes(small_jpeg + b"new")
    told = ganim(*command)
    assert told.exit_code == 0 and "1 of them are new" in told.output and "--update" in told.output
    assert re.search(r"ok +2\n", ganim(*command, "--update").output)
    anew = ganim(*command, "--size", "64", "--overwrite")
    assert anew.exit_code == 0 and re.search(r"ok +2\n", anew.output)
    assert "0 of them done before" in anew.output


# ---- annotate


@pytest.mark.parametrize("exists", [True, False])
def test_annotate_without_shards_says_which_command_comes_first(
    tmp_path: Path, exists: bool
) -> None:
    folder = tmp_path / "shards"
    if exists:
        folder.mkdir()
    assert_wrong_use(ganim("annotate", folder, "--annotator", "estimator"), "ganim prepare")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--annotator", "guess"), "estimator"),
        (("--annotator", "labels"), "--labels"),
        (("--annotator", "estimator", "--labels", "."), "--labels"),
        (("--annotator", "openface", "--program", "/no/such/FaceLandmarkImg"), "FaceLandmarkImg"),
        (("--runtime", "lxc"), "docker"),
        (("--overwrite", "--redo-below", "0.8"), "name one of them"),
        (("--redo-below", "80"), "0<=x<=1"),
        (("--out", "clip.csv"), "--out is for clips"),
        (("--workers", "2", "--scheduler", "tcp://localhost:1"), "give one"),
    ],
)
def test_annotate_used_wrongly(prepared: Path, words: tuple[str, ...], part: str) -> None:
    before = {path: path.read_bytes() for path in prepared.iterdir()}
    assert_wrong_use(ganim("annotate", prepared, *words), part)
    assert {path: path.read_bytes() for path in prepared.iterdir()} == before


OPTIONS = {
    "--labels": ("labels.csv", {"labels"}),
    "--estimator": ("weights.onnx", {"estimator"}),
    "--coding": ("openface", {"estimator"}),
    "--runtime": ("docker", {"openface"}),
    "--image": ("algebr/openface:latest", {"openface"}),
    "--image-program": ("FaceLandmarkImg", {"openface"}),
    "--program": ("FaceLandmarkImg", {"openface"}),
    "--pull": (None, {"openface"}),
    "--workers": ("1", {"openface"}),
    "--scheduler": ("tcp://localhost:1", {"openface", "estimator"}),
    "--min-confidence": ("0.7", {"openface", "labels"}),
}
"""Options with a value, which may be the default, and the annotators that use them."""


UNUSED = [
    (annotator, option)
    for option, (_, annotators) in OPTIONS.items()
    for annotator in ("auto", "openface", "estimator", "labels")
    if annotator.replace("auto", "openface") not in annotators
]


@pytest.mark.parametrize(("annotator", "option"), UNUSED)
def test_an_option_that_the_annotator_does_not_use_is_refused(
    prepared: Path, annotator: str, option: str
) -> None:
    value, annotators = OPTIONS[option]
    words = [] if value is None else [value]
    result = ganim("annotate", prepared, "--annotator", annotator, option, *words)
    assert_wrong_use(result, f"--annotator {annotator} does not use", option, *annotators)


def test_all_options_that_are_not_used_are_named(prepared: Path) -> None:
    words = ("--annotator", "estimator", "--pull", "--program", "x")
    assert_wrong_use(ganim("annotate", prepared, *words), "--pull", "--program")
    words = ("--annotator", "openface", "--pull", "--program", "x")
    assert_wrong_use(ganim("annotate", prepared, *words), "without a container", "--pull")


def test_evaluate_refuses_what_the_estimator_does_not_use(prepared: Path, tmp_path: Path) -> None:
    result = ganim("evaluate", prepared, "--runtime", "docker", "-o", tmp_path / "out.html")
    assert_wrong_use(result, "--annotator estimator does not use --runtime (for openface)")


def test_auto_asks_for_openface_if_an_option_does(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    shards_ = Path(shutil.copytree(prepared, tmp_path / "shards"))
    refused = ganim("annotate", shards_, "--workers", "2")
    assert_wrong_use(refused, "if you leave out --workers (for openface)")
    done = ganim("annotate", shards_)
    assert done.exit_code == 0 and "the estimator reads the AUs" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ("--workers", "1"),
        ("--min-confidence", "0.7"),
        ("--scheduler", "tcp://localhost:1"),
        ("--redo-below", "0.5"),
    ],
)
def test_options_for_shards_are_refused_for_a_clip(tmp_path: Path, words: tuple[str, ...]) -> None:
    clip = tmp_path / "clip.mp4"
    clip.touch()
    assert_wrong_use(ganim("annotate", clip, *words), words[0], "shards only")


def test_annotate_with_the_estimator_fills_in_the_faces(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    prepare(album, out, workers=1)
    result = ganim("annotate", out, "--annotator", "estimator")
    assert result.exit_code == 0, result.output
    assert "1 faces have AUs" in result.output and f"ganim train {out}" in result.output
    faces = shards.annotated_faces(out, "train")
    faces = faces if len(faces) else shards.annotated_faces(out, "test")
    assert faces["source"].tolist() == ["face.jpg"]
    again = ganim("annotate", out, "--annotator", "estimator")
    assert again.exit_code == 0 and "1 were done before" in again.output


def test_a_cluster_reads_with_the_estimator(prepared: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    here, there = (Path(shutil.copytree(prepared, tmp_path / name)) for name in ("here", "there"))
    words = ("--annotator", "estimator", "--coding", "facs")
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        done = ganim("annotate", there, *words, "--scheduler", cluster.scheduler_address)
    assert done.exit_code == 0 and "1 faces have AUs" in done.output
    assert ganim("annotate", here, *words).exit_code == 0
    [here_rows], [there_rows] = (
        [shards.read_shard(path).to_pylist() for path in folder.glob("*.parquet")]
        for folder in (here, there)
    )
    assert there_rows == here_rows


def test_annotate_a_clip_by_the_estimator(astronaut: np.ndarray, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.bit_rate = 320, 256, 4_000_000
        picture = np.ascontiguousarray(astronaut[:256, :320])
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    result = ganim("annotate", clip, "--annotator", "estimator")
    assert result.exit_code == 0, result.output
    assert f"3 of 3 frames have AUs; wrote {tmp_path / 'clip.csv'}" in result.output
    rows = read_csv(tmp_path / "clip.csv")
    assert [row.frame for row in rows] == [1, 2, 3]
    assert all(row.aus[NUMBERS.index(12)] > 1 for row in rows), "she smiles"


def test_annotate_a_clip_used_wrongly(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    assert_wrong_use(ganim("annotate", clip), "clip.mp4 is not there")
    clip.write_text("no clip")
    labels = ("--annotator", "labels", "--labels", tmp_path)
    assert_wrong_use(ganim("annotate", clip, *labels), "openface or estimator")
    result = ganim("annotate", clip, "--annotator", "estimator")
    assert result.exit_code == 1 and "clip.mp4 cannot be read" in result.output


# ---- train


def test_train_without_shards_says_which_command_comes_first(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = ganim("train", tmp_path / "absent", "--run", run, "--device", "cpu")
    assert_wrong_use(result, "ganim prepare")
    assert not run.exists()


def test_train_without_action_units_says_which_command_comes_first(
    prepared: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    result = ganim("train", prepared, "--run", run, "--device", "cpu")
    assert_wrong_use(result, f"ganim annotate {prepared}")
    assert not run.exists()


# ---- animate


@pytest.mark.parametrize(
    ("words", "mistake"),
    [
        (("--au", "12=7"), "7 is above 1"),
        (("--au", "12=1", "--au", "28=1"), "AU28 is not one of the 17"),
        (("--expression", "happy", "--au", "nan"), "There is no AU 'nan'"),
        (("--expression", "hapy"), "did you mean 'happy'"),
        ((), "--au 12=1.0"),
    ],
)
def test_animate_used_wrongly_names_the_mistake(
    astronaut_path: Path, tmp_path: Path, words: tuple[str, ...], mistake: str
) -> None:
    output = tmp_path / "out.png"
    result = ganim("animate", astronaut_path, *words, "-o", output)
    assert_wrong_use(result, mistake)
    assert not output.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("animate", "{photograph}", "--au", "12=7"), "7 is above 1"),
        (("annotate", "absent"), "There are no shards in absent"),
        (("train", "absent"), "There are no shards in absent"),
        (("evaluate", "absent"), "There are no shards in absent"),
    ],
)
def test_a_command_refuses_before_it_loads_a_model(
    astronaut_path: Path, words: tuple[str, ...], said: str
) -> None:
    given = [word.format(photograph=astronaut_path) for word in words]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", GANIM, *given],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not re.search(r"\b(torch|cv2|dlib)$", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    "words",
    [
        ("absent.jpg", "--au", "12=1"),
        (".", "--au", "12=1"),
        ("{photograph}", "--expression", "boredom"),
        ("{photograph}", "--au", "12=1", "-o", "{folder}/out.mov"),
        ("{photograph}", "--au", "12=1", "--frames", "1"),
        ("{photograph}", "--au", "12=1", "--weights", "{folder}/absent.safetensors"),
    ],
)
def test_animate_with_other_mistakes(
    astronaut_path: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    given = [word.format(photograph=astronaut_path, folder=tmp_path) for word in words]
    given += [] if "-o" in given else ["-o", str(tmp_path / "out.png")]
    assert_wrong_use(ganim("animate", *given), "Error: ")
    assert list(tmp_path.iterdir()) == []


def test_animate_of_what_is_no_picture_exits_with_1(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("I am no picture")
    result = ganim("animate", tmp_path / "text.jpg", "--au", "12=1", "-o", tmp_path / "out.png")
    assert result.exit_code == 1
    assert "not a picture in a known format" in result.output


def test_progress_without_a_total_says_how_much_is_done(monkeypatch, capsys) -> None:
    monkeypatch.setattr(console, "_LINE_EVERY_SECONDS", -1)
    with console.Tracker("annotate", "frames") as tracker:
        tracker.advance()
        tracker.start(4)
        tracker.advance(3)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("annotate: 1 frames, ") and "left" not in first
    assert second.startswith("annotate: 3/4, ") and "min left" in second


def test_what_could_not_be_written_is_the_error_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="a shard"), console.report_after(tmp_path / "gone"):
        raise CannotWrite("a shard")
