"""Faces read and animated by ONNX Runtime: the same AUs and pictures, and no torch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

import ganim
from ganim.cli import main
from ganim.model.animation.onnx_files import are_exported, exported_estimator, exported_generator
from ganim.model.estimator.annotator import load_reader, read_table
from ganim.model.estimator.network import Estimator, load_estimator
from ganim.model.estimator.reader import SHIPPED as ESTIMATOR
from ganim.model.networks.renderer import SHIPPED
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.images.video import frames

PORTRAIT = Path(__file__).parents[1] / "examples" / "grace_hopper.jpg"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which both networks are as ONNX files."""
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        assert not are_exported(SHIPPED)
        written = [exported_generator(SHIPPED), exported_estimator(ESTIMATOR)]
        assert are_exported(SHIPPED)
    assert sorted((folder / "ganim").iterdir()) == sorted(written)
    return folder


def run(cache: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, in which torch cannot be imported."""
    script = "import sys; sys.modules['torch'] = None; from ganim.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        capture_output=True,
        text=True,
        env={"XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1", "PATH": ""},
    )


@pytest.mark.slow
def test_a_photograph_is_animated_without_torch_as_with_it(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    done = run(cache, "animate", PORTRAIT, "--au", "12=1", "--runtime", "onnx", "-o", out)
    assert done.returncode == 0, done.stderr
    assert "ONNX files once" not in done.stderr, "they are there"
    expected = ganim.load().animate(PORTRAIT, {12: 1.0}).pixels
    difference = np.abs(np.asarray(Image.open(out)).astype(int) - expected)
    # Sums are added in another order, which at edges that are moved comes to a few levels.
    assert difference.max() <= 8 and (difference > 0).mean() < 0.01
    assert (difference > 1).mean() < 0.001


@pytest.mark.slow
def test_clips_and_drivers_need_no_torch(cache: Path, tmp_path: Path) -> None:
    made, driven, edited = (tmp_path / f"{name}.mp4" for name in "abc")
    words = ("--runtime", "onnx", "-o")
    for source, out, asked in (
        (PORTRAIT, made, ("--au", "12=1,25=1", "--frames", 5)),
        (PORTRAIT, driven, ("--drive", made)),
        (made, edited, ("--expression", "sad")),
    ):
        done = run(cache, "animate", source, *asked, *words, out)
        assert done.returncode == 0, done.stderr
        assert len(list(frames(out))) == 5


@pytest.mark.slow
def test_in_python_and_by_a_file_that_export_wrote(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    exported = exported_generator(SHIPPED)
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(exported.read_bytes())
    results = [
        ganim.load(weights, runtime="onnx").animate(PORTRAIT, {1: 0.8}).pixels
        for weights in (None, mine)
    ]
    assert np.array_equal(*results)
    photograph = np.array(Image.open(PORTRAIT))
    reader = ganim.load(runtime="onnx").animator.reader
    crops = photograph[None, 60:188, 180:308]
    for found, expected in zip(
        reader.read_faces(crops), load_estimator().read_faces(crops), strict=True
    ):
        assert found == pytest.approx(expected, abs=0.01)
    with pytest.raises(WrongUse, match="is not a generator of ganim"):
        ganim.load(exported_estimator(ESTIMATOR), runtime="onnx")


@pytest.mark.slow
def test_the_estimator_reads_the_same_without_torch(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    crops = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), np.uint8)
    np.save(tmp_path / "crops.npy", crops)
    script = (
        "import sys, numpy as np; sys.modules['torch'] = None\n"
        "from pathlib import Path; from ganim.model.estimator.annotator import read_table\n"
        "folder, exported = map(Path, sys.argv[1:]); crops = np.load(folder / 'crops.npy')\n"
        "for coding in ('openface', 'facs'):\n"
        "    table = read_table(crops, exported, coding)\n"
        "    table.to_csv(folder / f'{coding}.csv', index=False)\n"
    )
    exported = exported_estimator(ESTIMATOR)
    assert isinstance(load_reader(), Estimator), "by torch, where nothing is said"
    subprocess.run([sys.executable, "-c", script, tmp_path, exported], check=True)
    for coding in ("openface", "facs"):
        onnx, torch_ = pd.read_csv(tmp_path / f"{coding}.csv"), read_table(crops, coding=coding)
        assert onnx.to_numpy() == pytest.approx(torch_.to_numpy(), abs=1e-3)
        assert list(onnx) == list(torch_) == [*COLUMNS, "au_confidence"]


@pytest.mark.parametrize(
    "words, said",
    [
        (["--weights", "{folder}/g.onnx"], "is for --runtime onnx"),
        (["--weights", "{folder}/g.onnx", "--runtime", "onnx"], "does not exist"),
        (["--weights", "{folder}/g.safetensors", "--runtime", "onnx"], "There are no weights"),
    ],
)
def test_wrong_use_is_a_sentence(tmp_path: Path, words: list[str], said: str) -> None:
    words = [word.format(folder=tmp_path) for word in words]
    out = tmp_path / "out.png"
    done = CliRunner().invoke(
        main, ["animate", str(PORTRAIT), "--au", "12=1", "-o", str(out), *words]
    )
    assert done.exit_code == 2 and said in done.output
    assert not list(tmp_path.iterdir())


def test_a_runtime_that_there_is_not() -> None:
    with pytest.raises(WrongUse, match="torch or onnx"):
        ganim.load(runtime="jax")  # type: ignore[arg-type]
