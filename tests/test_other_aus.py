"""Generators of other AUs than all 17: what they look at, how they start, train and are used."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny import TINY

from ganim.bench import other_aus
from ganim.cli import main
from ganim.model.animation.animator import SHIPPED
from ganim.model.animation.grids import SHOWN_EDITS, known_edits
from ganim.model.checkpoint import load_state
from ganim.model.config import GeneratorSettings
from ganim.model.data import constant_aus, load_faces
from ganim.model.networks.generator import Generator
from ganim.model.networks.load import load_generator
from ganim.model.training.resume import for_aus, start
from ganim.model.training.sampler import Sampler
from ganim.model.training.trainer import STATE, Trainer
from ganim.model.training.validation import Validation
from ganim.pipeline.action_units import NUMBERS, Edit, parse_numbers, positions
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.images.decode import read_image

CPU = torch.device("cpu")
PORTRAIT = Path(__file__).parents[1] / "examples" / "astronaut.png"
FIVE = (1, 4, 12, 25, 45)
KNOWN = positions(FIVE)
TINY_FIVE = replace(TINY, generator=GeneratorSettings(8, 1, "nearest", "adain", aus=FIVE))


def ganim(*words):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def says(result, status, *words):
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    for word in words:
        assert word in " ".join(result.output.split())


def test_lists_of_aus():
    assert parse_numbers("45, 12,1,12") == (1, 12, 45)
    for text in ("3", "1,,4", "", "AU12", "1;4", "12=1"):
        with pytest.raises(WrongUse, match=r"as in 1,4,12\. The 17 AUs are 1, 2, 4"):
            parse_numbers(text)
    for aus in ((), (12, 4), (4, 4), (3,)):
        with pytest.raises(WrongUse, match="ascending"):
            GeneratorSettings(aus=aus).validate()


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
@pytest.mark.parametrize("conditioning", ["concat", "adain"])
def test_a_generator_for_other_aus_starts_as_the_one_it_comes_from(conditioning, relative):
    torch.manual_seed(0)
    settings = GeneratorSettings(8, 1, conditioning=conditioning, relative=relative)
    of_all = Generator(settings)
    of_five = for_aus(of_all, FIVE)
    again = for_aus(of_five, NUMBERS)
    faces, own = torch.rand(2, 3, 64, 64), torch.zeros(2, 17)
    aus = torch.rand(2, 17)
    others_zero = torch.zeros(2, 17)
    others_zero[:, KNOWN] = aus[:, KNOWN]

    def near(one, other):
        return torch.allclose(one.colour, other.colour, atol=1e-4)

    with torch.inference_mode():
        made = of_five(faces, aus, own)
        assert near(made, of_all(faces, others_zero, own))
        assert not near(made, of_all(faces, aus, own))
        assert near(made, of_five(faces, others_zero, own)), "it looks at its own AUs alone"
        assert not near(made, of_five(faces, 1 - others_zero, own))
        assert near(made, again(faces, aus, own)), "AUs that are new to it do nothing yet"
    again(faces, aus, own).colour.sum().backward()
    weights = again.encoder[0].weight if conditioning == "concat" else again.embedding[0].weight
    by_au = weights.grad.transpose(0, 1)[-17:].flatten(1)
    assert by_au.abs().sum(1).all(), "but will learn"


def test_weights_without_a_list_are_of_all_17():
    generator, _ = load_generator(SHIPPED)
    assert generator.settings.aus == NUMBERS


def test_the_critic_reads_and_is_taught_these_aus_alone(random_faces):
    faces = load_faces(random_faces, "train", 64)
    changed = replace(faces, aus=faces.aus.clone())
    changed.aus[:, [column for column in range(17) if column not in KNOWN]] = 0.5
    figures = [
        [Trainer(TINY_FIVE, each, CPU).step() for _ in range(2)] for each in (faces, changed)
    ]
    assert figures[0] == figures[1], "what the other AUs are changes nothing"
    assert Trainer(TINY_FIVE, faces, CPU).critic(torch.zeros(2, 3, 64, 64)).aus.shape == (2, 5)
    assert constant_aus(changed, FIVE) == [] and len(constant_aus(changed, NUMBERS)) == 12
    with pytest.raises(WrongUse, match="nothing can be learned"):
        constant_aus(changed, (2, 5))


def test_single_aus_are_drawn_from_those_it_knows(random_faces):
    faces = load_faces(random_faces, "train", 64)
    sampler = Sampler(faces, replace(TINY_FIVE, single_au=1.0))
    batches = [sampler.batch(iteration, CPU) for iteration in range(20)]
    changed = [(batch.own_aus != batch.target_aus).nonzero()[:, 1] for batch in batches]
    assert set(torch.cat(changed).tolist()) == set(KNOWN)


def test_held_out_faces_are_judged_by_these_aus(random_faces):
    faces = load_faces(random_faces, "test", 64)
    all_17, five = Validation(faces, CPU), Validation(faces, CPU, FIVE)
    others = Validation(faces, CPU, [number for number in NUMBERS if number not in FIVE])
    generator = Generator(TINY_FIVE.generator)
    for error in (lambda of: of.copy_error, lambda of: of.error(generator)):
        parts = (5 * error(five) + 12 * error(others)) / 17
        assert error(all_17) == pytest.approx(parts) and error(five) != error(others)


def test_what_is_shown_are_aus_that_it_knows():
    assert known_edits(SHOWN_EDITS, NUMBERS) == SHOWN_EDITS
    five = known_edits(SHOWN_EDITS, FIVE)
    assert list(five) == ["AU12", "AU4", "AU1", "AU25"] and five["AU25"] == [Edit(25, 0.8)]
    assert known_edits(SHOWN_EDITS, (9, 45)) == {"AU9": [Edit(9, 1.0)], "AU45": [Edit(45, 1.0)]}


@pytest.fixture(scope="module")
def run(random_faces, tmp_path_factory):
    """The folder of a run of `ganim train --aus`, of four iterations."""
    folder = tmp_path_factory.mktemp("other_aus") / "run"
    done = ganim("train", random_faces, "--run", folder, "--aus", "25,1,4,12,45", "--size", 64,
                 "--width", 8, "--blocks", 1, "--conditioning", "adain", "--critic-width", 8,
                 "--critic-layers", 4, "--batch", 4, "--epochs", 1, "--decay-epochs", 0,
                 "--device", "cpu", "--rate", 1e-2, "--ema", 0)  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder


def test_trained_weights_know_their_aus_and_animate(run, tmp_path):
    weights = run / "generator.safetensors"
    assert load_generator(weights)[0].settings.aus == FIVE
    with Image.open(run / "grids" / "epoch-0001-aus.png") as sweep:
        assert sweep.width == 5 * 64
    out = tmp_path / "out.png"
    animate = ("animate", PORTRAIT, "--weights", weights, "-o", out)
    says(ganim(*animate, "--au", "12=1"), 0, "Wrote")
    assert not np.array_equal(read_image(out), read_image(PORTRAIT))
    out.unlink()
    sentence = "do not know AU6: they know only AU1, AU4, AU12, AU25 and AU45."
    says(ganim(*animate, "--au", "12=1", "--au", "6=0.5"), 2, sentence)
    says(ganim(*animate, "--expression", "happiness"), 2, sentence)
    assert not out.exists()


def test_a_run_starts_from_weights_of_other_aus_but_not_from_their_critic(run, random_faces):
    faces = load_faces(random_faces, "train", 64)
    of_two = replace(TINY_FIVE, generator=replace(load_generator(run / "generator.safetensors")[0]
                                             .settings, aus=(4, 6)))  # fmt: skip
    with pytest.raises(WrongUse, match=r"reads AU1, .* --init .*generator.safetensors"):
        start(of_two, faces, CPU, init=run)
    one = start(of_two, faces, CPU, init=run / "generator.safetensors")
    theirs = load_state(run / STATE)["average"]["module.embedding.0.weight"]
    mine = one.generator.embedding[0].weight
    assert torch.allclose(mine[:, 0], theirs[:, 1], atol=1e-3) and (mine[:, 1] == 0).all()
    one.step()
    assert (mine[:, 1] != 0).any(), "what is new learns"


def test_the_command_takes_weights_to_other_aus(random_faces):
    weights = Path(__file__).parent / "data" / "previous" / "run" / "generator.safetensors"
    done = ganim("train", random_faces, "--init", weights, "--aus", "4,12", "--dry-run",
                 "--critic-width", 4, "--critic-layers", 4, "--batch", 1,
                 "--device", "cpu")  # fmt: skip
    of_all = load_generator(weights)[0]
    columns = (17 - 2) * of_all.embedding[0].out_features
    count = sum(weight.numel() for weight in of_all.parameters()) - columns
    says(done, 0, f"generator {count:,}, critic")


def test_fine_tuning_is_compared_with_a_training_from_random_weights(run, random_faces):
    words = ["--shards", random_faces, "--weights", run / "generator.safetensors", "--aus", "4,12",
             "--iterations", 1, "--warmup", 1, "--every", 1, "--faces", 2]  # fmt: skip
    done = CliRunner().invoke(other_aus.main, [str(word) for word in words], catch_exceptions=False)
    rows = [line.split() for line in done.output.splitlines()[-2:]]
    assert [row[0] for row in rows] == ["0", "1"]
    assert all(float(ratio) > 0 for row in rows for ratio in row[1:])


def test_the_command_refuses_what_are_no_aus(random_faces, tmp_path):
    says(ganim("train", random_faces, "--run", tmp_path / "run", "--aus", "1,3"), 2, "not a list")
    assert not (tmp_path / "run").exists()
