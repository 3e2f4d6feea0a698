"""Linux and macOS run ganim, Windows says that WSL does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganim.cli import main
from ganim.pipeline.execution.processes import usable_cores

ROOT = Path(__file__).parents[1]


def test_windows_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    result = CliRunner().invoke(main, ["inspect", "shards"])
    assert result.exit_code == 2 and "WSL" in result.output and "Traceback" not in result.output


def test_cores_are_counted_where_the_system_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert usable_cores() == os.cpu_count()


@pytest.mark.slow
def test_annotate_without_the_calls_that_only_linux_has(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.png").write_bytes((ROOT / "examples" / "astronaut.png").read_bytes())
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests" / "as_on_macos")}
    for words in ("prepare --src raw --out s", "annotate s"):
        done = subprocess.run(
            [sys.executable, "-m", "ganim.cli", *words.split()],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
