"""Faces read and animated by ONNX Runtime: the same AUs and pictures, and no torch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import ganim
from ganim.cli import main
from ganim.model.animation.onnx_files import (
    are_exported,
    exported_estimator,
    exported_generator,
    kept_file,
)
from ganim.model.estimator.annotator import load_reader, read_table
from ganim.model.estimator.network import Estimator, load_estimator
from ganim.model.estimator.reader import SHIPPED as ESTIMATOR
from ganim.model.networks.flow_generator import FlowGenerator
from ganim.model.networks.load import load_generator
from ganim.model.networks.renderer import SHIPPED
from ganim.model.pixels import to_model
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.faces.paste import Change
from ganim.pipeline.images.video import frames

PORTRAIT = Path(__file__).parents[1] / "examples" / "grace_hopper.jpg"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which both networks are as ONNX files. The generator is written by the command, as
    an export takes its time."""
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        assert not are_exported(SHIPPED)
        path = kept_file("generator", SHIPPED)
        done = CliRunner().invoke(main, ["export", "-o", str(path)])
        assert done.exit_code == 0, done.output
        assert "levels of 255" in done.output and str(path) in done.output
        assert list(path.parent.iterdir()) == [path], "one file, with the weights in it"
        assert are_exported(SHIPPED) and exported_generator(SHIPPED) == path
        written = [path, exported_estimator(ESTIMATOR)]
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
def test_onnx_runtime_gives_what_torch_gives_for_one_face_and_for_five(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    path = exported_generator(SHIPPED)
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator, size = load_generator(SHIPPED)
    assert isinstance(generator, FlowGenerator)
    known = session.get_modelmeta().custom_metadata_map
    assert int(known["ganim_generator_size"]) == size
    reference = np.array(known["ganim_reference"].split(), float).reshape(68, 2)
    assert reference == pytest.approx(generator.reference.numpy(), abs=1e-5)
    draw = np.random.default_rng(1)
    for count in (1, 5):
        faces = draw.integers(0, 256, (count, size, size, 3), np.uint8)
        aus, own = draw.random((2, count, 17), np.float32)
        outputs = session.run(None, {"faces": faces, "aus": aus, "own_aus": own})
        names = [output.name for output in session.get_outputs()]
        assert names == ["attention", "difference", "flow", "blur"]
        with torch.inference_mode():
            pixels = to_model(torch.from_numpy(faces).permute(0, 3, 1, 2))
            masks = generator(pixels, torch.from_numpy(aus), torch.from_numpy(own))
        expected = masks.changes()
        for at in range(count):
            found = Change(*(output[at] for output in outputs[1:]))
            for ours, theirs, off in zip(found, expected[at], (0.1, 1e-3, 1e-3), strict=True):
                assert ours is not None and ours == pytest.approx(theirs, abs=off)
            assert np.abs(found.difference).max() > 1
        assert outputs[0] == pytest.approx(masks.attention.squeeze(1).numpy(), abs=1e-3)


def test_an_export_does_not_overwrite_a_file(tmp_path: Path) -> None:
    path = tmp_path / "generator.onnx"
    path.write_bytes(b"mine")
    done = CliRunner().invoke(main, ["export", "-o", str(path)])
    assert done.exit_code == 2 and "--overwrite" in done.output
    assert path.read_bytes() == b"mine"


@pytest.mark.slow
def test_a_photograph_is_animated_without_torch_as_with_it(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    done = run(cache, "animate", PORTRAIT, "--au", "12=1", "--runtime", "onnx", "-o", out)
    assert done.returncode == 0, done.stderr
    assert "ONNX files once" not in done.stderr, "they are there"
    expected = ganim.load().animate(PORTRAIT, {12: 1.0}).pixels
    difference = np.abs(np.asarray(Image.open(out)).astype(int) - expected)
    # Sums are added in another order, which at edges that are moved comes to a few levels, most at
    # those of lips.
    assert difference.max() <= 10 and (difference > 0).mean() < 0.01
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
