"""ganim export: the ONNX file gives what torch gives, for any number of faces."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ganim.cli import main
from ganim.model.checkpoint import save_weights
from ganim.model.config import GeneratorSettings
from ganim.model.networks.load import build_generator, load_generator
from ganim.model.pixels import to_model
from ganim.pipeline.faces.paste import Change

SIZE = 64


def saved(generator, path):
    settings = {"generator": asdict(generator.settings), "size": SIZE}
    save_weights(path, generator.state_dict(), "generator", settings)
    return path


def random_weights(path):
    """Weights of a small flow generator that moves and paints everywhere."""
    torch.manual_seed(0)
    generator = build_generator(GeneratorSettings(8, 1, architecture="flow"))
    for last in (generator.to_fields[-1], generator.to_rest[-1], generator.to_masks):
        torch.nn.init.normal_(last.weight, std=0.05)
    generator.reference.uniform_(-1, 1)
    return saved(generator, path)


@pytest.mark.slow
def test_onnx_runtime_gives_what_torch_gives_for_one_face_and_for_five(tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    weights, path = random_weights(tmp_path / "w.safetensors"), tmp_path / "new" / "g.onnx"
    words = ["export", "--weights", str(weights), "-o", str(path)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "levels of 255" in done.output and str(path) in done.output
    assert list(path.parent.iterdir()) == [path], "one file, with the weights in it"

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator, size = load_generator(weights)
    known = session.get_modelmeta().custom_metadata_map
    assert int(known["ganim_generator_size"]) == size == SIZE
    reference = np.array(known["ganim_reference"].split(), float).reshape(68, 2)
    assert reference == pytest.approx(generator.reference.numpy(), abs=1e-5)
    draw = np.random.default_rng(1)
    for count in (1, 5):
        faces = draw.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
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
            assert found.difference == pytest.approx(expected[at].difference, abs=0.1)
            assert found.flow == pytest.approx(expected[at].flow, abs=1e-3)
            assert found.blur == pytest.approx(expected[at].blur, abs=1e-3)
            assert np.abs(found.difference).max() > 1 and np.abs(found.flow).max() > 0.01
        assert outputs[0] == pytest.approx(masks.attention.squeeze(1).numpy(), abs=1e-3)

    before = path.read_bytes()
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 2 and "--overwrite" in again.output
    assert path.read_bytes() == before


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
