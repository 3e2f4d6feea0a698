"""What the documents name exists: files, modules, commands and their options."""

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from ganim.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("[a-z]*/README.md")], key=str
)
FOLDERS = ("bench", "commands", "docker", "docs", "examples", "model", "pipeline")
FOLDERS += ("studio", "tests")
FILES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
FILES += [path for path in ROOT.iterdir() if path.is_file()]

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
)


def quoted(text: str) -> list[str]:
    """The words and lines in backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """The commands in indented blocks and in backticks: the program, and the words after it.

    The program is `ganim`, or the path of a script of the repository.
    """
    text = text.replace("\\\n", " ")
    for line in [*re.findall(r"^ {4,}(.+)$", text, re.M), *quoted(text)]:
        if found := re.match(r"(?:torchrun .*-m -- |python -m )(ganim[.\w]*) ?(.*)", line):
            module, rest = found.groups()
            path = "/".join(module.split(".")[1:]) + ".py"
            yield ("ganim" if path == "cli.py" else path), shlex.split(rest, comments=True)
        elif found := re.match(r"(ganim|python (\w+/\w+\.py))(?: (.*))?$", line):
            yield found[2] or "ganim", shlex.split(found[3] or "", comments=True)


def options_of(command: str) -> set[str]:
    found = main.get_command(click.Context(main), command)
    assert found is not None, f"there is no command {command}"
    return {option for one in found.params for option in [*one.opts, *one.secondary_opts]}


def exists(name: str) -> bool:
    """Whether a path from the root, or the end of one such as `training/losses.py`, is a file."""
    return any(f"/{path.relative_to(ROOT).as_posix()}".endswith(f"/{name}") for path in FILES)


def test_files_in_the_drawing_of_the_architecture_exist() -> None:
    drawing = (ROOT / "docs/architecture.md").read_text()
    names = re.findall(r"[a-z_]+\.(?:py|html|js|css)\b", drawing)
    assert len(names) > 40 and not [name for name in names if not exists(name)]


def test_the_documents_are_found() -> None:
    assert len(DOCUMENTS) >= 11 and len(FILES) > 200


@each_document
def test_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        if not target.startswith("https://"):
            assert (document.parent / target).exists(), target


@each_document
def test_files_that_are_named_exist(document: Path) -> None:
    """Names of source files, and paths that begin with a folder of the repository."""
    for name in quoted(document.read_text()):
        path = name.removeprefix("../").rstrip("/")
        if re.fullmatch(r"[\w/.-]+\.(py|sh|j2|toml)", name):
            assert exists(path), name
        elif re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w/.-]+", path):
            assert (ROOT / path).exists(), name


@each_document
def test_modules_that_are_named_exist(document: Path) -> None:
    for name in re.findall(r"\bganim((?:\.[a-zA-Z]\w*)+)", document.read_text()):
        parent, _, last = f"ganim{name}".rpartition(".")
        module = import_module(parent)
        is_module = hasattr(module, "__path__") and find_spec(f"{parent}.{last}") is not None
        assert is_module or hasattr(module, last), name


def test_commands_are_found() -> None:
    lines = "    ganim train s/ \\\n        --run r\n`python bench/prepare.py --count 4`\n"
    lines += "    torchrun --nproc-per-node 4 -m -- ganim.cli train s/    # four\n"
    lines += "    python -m ganim.model.train_proposals --out o\n"
    assert list(commands(lines)) == [
        ("ganim", ["train", "s/", "--run", "r"]),
        ("ganim", ["train", "s/"]),
        ("model/train_proposals.py", ["--out", "o"]),
        ("bench/prepare.py", ["--count", "4"]),
    ]


@each_document
def test_commands_have_the_options_that_are_given(document: Path) -> None:
    for program, words in commands(document.read_text()):
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        if program != "ganim":
            source = (ROOT / program).read_text()
            if "@part_command(" in source:
                source += (ROOT / "model/training/part_command.py").read_text()
            assert [option for option in given if f'"{option}"' not in source] == [], words
        elif words and not words[0].startswith("-"):
            assert given <= options_of(words[0]) | {"--help"}, words


OTHER_PROGRAMS = {"--nproc-per-node", "--max-restarts", "--nthreads"}
"""torchrun's and Dask's options."""


@each_document
def test_options_that_are_named_exist(document: Path) -> None:
    scripts = "".join(path.read_text() for path in FILES if path.suffix == ".py")
    known = {option for command in COMMANDS for option in options_of(command)}
    for text in quoted(document.read_text()):
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z](?![\w…-])", text):
            found = option in known or f'"{option}"' in scripts
            assert found or option in OTHER_PROGRAMS | {"--help"}, option
