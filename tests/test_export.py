"""ganim export: what it refuses. What it writes is tested in test_runtime.py."""

from dataclasses import asdict

import pytest
from click.testing import CliRunner

from ganim.cli import main
from ganim.model.checkpoint import save_weights
from ganim.model.config import GeneratorSettings
from ganim.model.networks.load import build_generator

SIZE = 64


def saved(generator, path):
    settings = {"generator": asdict(generator.settings), "size": SIZE}
    save_weights(path, generator.state_dict(), "generator", settings)
    return path


@pytest.mark.parametrize(
    "words, said",
    [
        (["-o", "{folder}/generator.pt"], "does not end in .onnx"),
        (["-o", "{folder}/g.onnx", "--weights", "{folder}/absent"], "There are no weights at"),
    ],
)
def test_wrong_use_is_a_sentence_and_writes_nothing(tmp_path, words, said):
    done = CliRunner().invoke(main, ["export", *(word.format(folder=tmp_path) for word in words)])
    assert done.exit_code == 2 and said in done.output
    assert not list(tmp_path.iterdir())


def test_a_generator_of_the_other_architecture_is_refused(tmp_path):
    weights = saved(build_generator(GeneratorSettings(8, 1)), tmp_path / "w.safetensors")
    path = tmp_path / "g.onnx"
    done = CliRunner().invoke(main, ["export", "--weights", str(weights), "-o", str(path)])
    assert done.exit_code == 2 and "--architecture flow" in done.output
    assert not path.exists()
