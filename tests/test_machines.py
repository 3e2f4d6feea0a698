"""Linux and macOS run ganim, Windows says that WSL does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganim.cli import COMMANDS
from ganim.pipeline.execution.processes import usable_cores
from ganim.pipeline.matching import PhotographMatcher, entry_path

ROOT = Path(__file__).parents[1]


ON_WINDOWS = """
import os, signal, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for module, names in (
    (os, ("fork", "getuid", "killpg", "O_DIRECTORY", "statvfs")), (signal, ("SIGHUP", "SIGKILL"))
):
    for name in names:
        delattr(module, name)
from ganim.cli import main
sys.platform = "win32"
main()
"""


@pytest.mark.parametrize("words", [*COMMANDS, "--help", "train --help", "animate a.jpg --au 12=1"])
def test_windows_is_refused_in_one_sentence(words: str) -> None:
    """Though the modules are absent that Python has on Unix alone."""
    done = subprocess.run(
        [sys.executable, "-c", ON_WINDOWS, *words.split()], capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("Error: ganim runs on Linux and macOS.")
    assert "WSL" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(("counted", "cores"), [(6, 6), (None, 1)])
def test_cores_are_counted_where_the_system_names_none(
    counted: int | None, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert usable_cores() == cores


def as_on_macos(*words: str, folder: Path) -> str:
    """Run Python without what only Linux has; return what it prints."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests" / "as_on_macos")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_only_linux_has_is_taken_away(tmp_path: Path) -> None:
    """Otherwise the tests as on macOS would say nothing."""
    script = """
import multiprocessing, os
from pathlib import Path
from ganim.pipeline.openface import workspace
print(hasattr(os, "sched_getaffinity"), multiprocessing.get_start_method())
print(Path("/dev/shm").is_dir(), workspace._fits_in_memory(1))
"""
    assert as_on_macos("-c", script, folder=tmp_path) == "False spawn\nFalse False\n"


def test_a_folder_is_found_by_its_link_and_by_its_target(tmp_path: Path) -> None:
    """On macOS /tmp is a link to /private/tmp, so a folder has two absolute paths."""
    folder = tmp_path / "private" / "tmp" / "raw"
    folder.mkdir(parents=True)
    (tmp_path / "tmp").symlink_to(tmp_path / "private" / "tmp")
    for name in ("1/a.jpg", "2/a.jpg"):
        for prepared, written in (("private/tmp", "tmp"), ("tmp", "private/tmp")):
            matcher = PhotographMatcher(
                ["1/a.jpg", "2/a.jpg"],
                [str(tmp_path / written / "raw" / one) for one in ("1/a.jpg", "2/a.jpg")],
                str((tmp_path / prepared / "raw").resolve()),
            )
            assert matcher.find(name) == entry_path(str(tmp_path / written / "raw" / name))


@pytest.mark.slow
def test_every_command_without_what_only_linux_has(tmp_path: Path, openface_program: Path) -> None:
    (tmp_path / "raw").mkdir()
    for name in ("astronaut.png", "grace_hopper.jpg"):
        (tmp_path / "raw" / name).write_bytes((ROOT / "examples" / name).read_bytes())
    script = """
import sys
from ganim.cli import main
for words in sys.argv[1:]:
    if main(words.split(), standalone_mode=False):
        sys.exit(words)
"""
    as_on_macos(  # in one process, as each would take seconds to import torch
        *("-c", script),
        "prepare --src raw --out s --workers 2 --test-fraction 0",
        f"annotate s --workers 2 --program {openface_program}",
        "inspect s",
        "train s --dry-run --batch 2 --device cpu --size 64 --width 8 --blocks 1 --critic-width 8",
        "animate raw/astronaut.png --au 12=1 -o smile.mp4",
        "annotate smile.mp4 --annotator estimator",
        "annotate raw/astronaut.png --annotator estimator",
        folder=tmp_path,
    )
    assert (tmp_path / "s" / "report.html").exists() and (tmp_path / "smile.csv").exists()
