"""Settings that are declared once: their options, ranges and names."""

import re
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import click
import pytest
from click.testing import CliRunner

from ganim.cli import main
from ganim.commands.options import given, setting_options
from ganim.commands.prepare import prepare
from ganim.commands.train import train
from ganim.model.config import CriticSettings, GeneratorSettings, LossWeights, TrainSettings
from ganim.model.networks.load import load_generator
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.prepare.settings import PrepareSettings
from ganim.pipeline.settings import Settings, declarations, setting

PREVIOUS = Path(__file__).parent / "data" / "previous"


@dataclass(frozen=True)
class Part(Settings):
    prefix: ClassVar[str] = "part_"

    kind: str = setting("round", "Which kind.", choices=("round", "square"))


@dataclass(frozen=True)
class Whole(Settings):
    some_size: int = setting(8, "How large.", at_least=4, multiple_of=4)
    share: float = setting(0.5, "How much.", above=0, below=1, old_flags=("--rest",))
    fast: bool = setting(True, "Whether to hurry.")
    names: tuple[str, ...] = setting(
        ("a",), "Which names.", parse=lambda text: tuple(text.split("+")), default_text="a alone"
    )
    hidden: int = setting(3, "No option.", at_least=1, option=False)
    part: Part = Part()


@click.command(context_settings={"show_default": True})
@setting_options(Whole)
@click.pass_context
def command(context: click.Context, **settings: Any) -> None:
    print(Whole().updated(given(context)))


def test_a_setting_becomes_an_option() -> None:
    words = "--some-size 12 --rest 0.25 --no-fast --names b+c --part-kind square"
    done = CliRunner().invoke(command, words.split())
    asked = Whole(12, 0.25, False, ("b", "c"), 3, Part("square"))
    assert done.output.strip() == str(asked)
    assert CliRunner().invoke(command, []).output.strip() == str(Whole())
    text = re.sub(r"\s+", " ", CliRunner().invoke(command, ["--help"]).output)
    assert "--some-size INTEGER RANGE How large. A multiple of 4. [default: 8; x>=4]" in text
    assert "--share, --rest FLOAT RANGE How much. [default: 0.5; 0<x<1]" in text
    assert "--fast / --no-fast Whether to hurry. [default: fast]" in text
    assert "--names NAMES Which names. [default: (a alone)]" in text
    assert "--part-kind [round|square] Which kind. [default: round]" in text
    assert "hidden" not in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"some_size": 3}, "--some-size 3 must be at least 4."),
        ({"some_size": 6}, "--some-size 6 must be a multiple of 4."),
        ({"share": 0.0}, "--share 0.0 must be above 0 and below 1."),
        ({"share": 1.0}, "--share 1.0 must be above 0 and below 1."),
        ({"share": float("nan")}, "--share nan must be a finite number."),
        ({"hidden": 0}, "--hidden 0 must be at least 1."),
        ({"part": Part("flat")}, "--part-kind flat must be one of round, square."),
    ],
)
def test_validate_refuses_what_the_declaration_excludes(changed: dict[str, Any], said: str) -> None:
    Whole().validate()
    with pytest.raises(WrongUse, match=f"^{re.escape(said)}$"):
        replace(Whole(), **changed).validate()


def settings_of(kind: type[Settings]) -> list[tuple[type[Settings], str]]:
    parts = [one.default_factory for one in fields(kind) if is_dataclass(one.default_factory)]
    mine = [(kind, name) for name, one in declarations(kind).items() if one.option]
    return mine + [pair for part in parts for pair in settings_of(part)]


@pytest.mark.parametrize(
    ("command", "kind", "least"), [(train, TrainSettings, 33), (prepare, PrepareSettings, 8)]
)
def test_every_setting_has_an_option_of_its_own(
    command: click.Command, kind: type[Settings], least: int
) -> None:
    settings = settings_of(kind)
    options = {option.name: option for option in command.params}
    assert len({part.parameter(name) for part, name in settings}) == len(settings) >= least
    for part, name in settings:
        option = options[part.parameter(name)]
        assert part.flag(name) in option.opts
        assert option.default in (getattr(part(), name), None)
        assert option.help.startswith(declarations(part)[name].help)
    undeclared = {one.name for one in fields(kind)} - set(declarations(kind))
    assert all(is_dataclass(getattr(kind(), name)) for name in undeclared)


def test_train_options_keep_their_names_and_places() -> None:
    words = """--width 8 --blocks 1 --upsampling nearest --conditioning adain --colour residual
        --no-attention --no-affine --relative --motion --aus 1,4 --critic-width 4 --critic-layers 3
        --size 64 --batch 2 --epochs 3 --decay-epochs 1 --critic-steps 2 --critic-warmup 4
        --rate 0.5 --single-au 0.1 --balanced-aus --critic-jitter 0.2 --critic-coarse 0.3
        --ema 0.9 --seed 7 --precision fp32 --lambda-adversarial 1 --lambda-gp 2
        --lambda-attention 3 --lambda-tv 4 --lambda-aus 5 --lambda-cycle 6 --lambda-perceptual 7"""
    asked = TrainSettings().updated(given(train.make_context("train", words.split())))
    assert asked == TrainSettings(
        size=64,
        batch=2,
        epochs=3,
        decay_epochs=1,
        critic_steps=2,
        critic_warmup=4,
        lr=0.5,
        single_au=0.1,
        balanced_aus=True,
        critic_jitter=0.2,
        critic_coarse=0.3,
        ema=0.9,
        seed=7,
        precision="fp32",
        generator=GeneratorSettings(
            width=8,
            blocks=1,
            upsampling="nearest",
            conditioning="adain",
            colour="residual",
            attention=False,
            affine=False,
            relative=True,
            motion=True,
            aus=(1, 4),
        ),
        critic=CriticSettings(4, 3),
        weights=LossWeights(1, 2, 3, 4, 5, 6, 7),
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--size 60", "x>=64"),
        ("--size 66", "multiple of 4"),
        ("--lr 0", "x>0"),
        ("--lambda-tv nan", "--lambda-tv nan must be a finite number"),
        ("--ema 1", "0<=x<1"),
        ("--precision fp16", "'fp16' is not one of"),
        ("--aus 3", "is not a list of AUs"),
        ("--decay-epochs 31", "--decay-epochs 31 must be at most --epochs 30"),
    ],
)
def test_train_refuses_settings_out_of_range(words: str, said: str) -> None:
    done = CliRunner().invoke(main, ["train", str(PREVIOUS / "shards"), *words.split()])
    assert done.exit_code == 2 and said in done.output


def test_init_decides_the_settings_that_the_command_line_leaves_open(tmp_path: Path) -> None:
    weights = PREVIOUS / "run" / "best.safetensors"
    generator, size = load_generator(weights)
    assert (generator.settings.width, size) == (4, 64), "not the defaults"
    command = ["train", str(PREVIOUS / "shards"), "--run", str(tmp_path / "run"), "--dry-run"]
    command += ["--batch", "4", "--critic-width", "4", "--critic-layers", "4", "--device", "cpu"]
    command += ["--init", str(weights)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    count = sum(parameter.numel() for parameter in generator.parameters())
    assert f"generator {count:,}," in done.output
    # Given in so many words, a default is a wish like any other.
    refused = CliRunner().invoke(main, [*command, "--width", "64"])
    assert refused.exit_code == 2 and "'width': 64" in refused.output


def test_settings_of_version_0_1_are_read_by_their_old_names() -> None:
    parts: dict[str, Any] = {"generator": {}, "critic": {}, "weights": {"penalty": 3.0}}
    settings = TrainSettings.from_dict({"rate": 5e-4, "left_out": 1} | parts)
    assert settings == TrainSettings(lr=5e-4, weights=LossWeights(gp=3.0))
