"""Imports inside the package: one way from cli over commands, studio and model to pipeline.

There are no circles.
Imports are read from the syntax trees of all files, those inside functions included. Imports for
type annotations alone (`if TYPE_CHECKING:`) do not count.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("cli", "commands", "studio", "model", "pipeline")
"""Each layer may import from itself and from those after it."""


def find_modules(root: Path) -> dict[str, Path]:
    """The modules of all layers by dotted name. A package is named as its folder is."""
    modules = {}
    for layer in LAYERS:
        alone = root / f"{layer}.py"
        for path in [alone] if alone.exists() else sorted((root / layer).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def import_statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports below a node, except those for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for alternative in child.orelse:
                yield from import_statements(alternative)
        else:
            yield from import_statements(child)


def imported(source: str, package: str, modules: Iterable[str]) -> set[str]:
    """The modules that the source of a module in `package` imports, by dotted name."""
    names: set[str] = set()
    for statement in import_statements(ast.parse(source)):
        if isinstance(statement, ast.Import):
            candidates = [alias.name for alias in statement.names]
            inside = [name for name in candidates if name.split(".")[0] == "ganim"]
            names |= {name.removeprefix("ganim.") for name in inside}
            continue
        if statement.level:
            parts = package.split(".") if package else []
            base = parts[: len(parts) - statement.level + 1]
        elif (statement.module or "").split(".")[0] == "ganim":
            base = []
        else:
            continue
        module = (statement.module or "").removeprefix("ganim").strip(".")
        base += module.split(".") if module else []
        for alias in statement.names:
            whole = ".".join([*base, alias.name])
            names.add(whole if whole in modules else ".".join(base))
    return names & set(modules)


def import_graph(root: Path) -> dict[str, set[str]]:
    """For each module, the modules of the package that it imports."""
    modules = find_modules(root)
    graph = {}
    for name, path in modules.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        graph[name] = imported(path.read_text(), package, modules) - {name}
    return graph


def room_of(module: str, rooms: Iterable[str]) -> str:
    """The folder of a module below its layer, or the module itself where it is in none."""
    return next((room for room in rooms if module.startswith(f"{room}.")), module)


def room_graph(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """For each room, the other rooms that its modules import."""
    rooms = {".".join(name.split(".")[:2]) for name in graph if len(name.split(".")) > 2}
    edges: dict[str, set[str]] = {}
    for name, targets in graph.items():
        room = room_of(name, rooms)
        edges.setdefault(room, set()).update(room_of(target, rooms) for target in targets)
        edges[room].discard(room)
    return edges


def find_circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One circle of a graph, from a node back to it; empty if there is none."""
    for start in sorted(graph):
        paths = [[start]]
        visited: set[str] = set()
        while paths:
            path = paths.pop()
            for target in sorted(graph.get(path[-1], ())):
                if target == start:
                    return [*path, start]
                if target not in visited:
                    visited.add(target)
                    paths.append([*path, target])
    return []


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    graph = import_graph(ROOT)
    # Without these the other tests could pass on a graph that lacks half of the package.
    assert len(graph) > 60
    assert "model.training.trainer" in graph["model.training.run"]
    assert "model.estimator.onnx" in graph["model.estimator.annotator"], "inside a function"
    assert graph["cli"]
    return graph


def test_imports_run_from_cli_to_commands_to_studio_to_model_to_pipeline(graph) -> None:
    def layer(module: str) -> int:
        return LAYERS.index(module.split(".")[0])

    against = [
        f"{name} imports {target}"
        for name, targets in graph.items()
        for target in targets
        if layer(target) < layer(name)
    ]
    assert not against


def test_no_modules_import_each_other_in_a_circle(graph) -> None:
    assert find_circle(graph) == []


def test_no_rooms_import_each_other_in_a_circle(graph) -> None:
    rooms = room_graph(graph)
    assert "model.landmarks" in rooms["model.estimator"]
    assert find_circle(rooms) == []


def test_circles_are_found() -> None:
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    modules = {"model.x.one": {"model.y.two"}, "model.y.three": {"model.x.four"}}
    modules |= {"model.y.two": set(), "model.x.four": set()}
    assert find_circle(modules) == []
    assert find_circle(room_graph(modules)) == ["model.x", "model.y", "model.x"]


def test_every_way_of_importing_is_seen() -> None:
    source = """
from typing import TYPE_CHECKING
import numpy
import ganim.pipeline.files
from ganim.model import data
from ganim.model.config import TrainSettings
from .. import ema
from ..estimator import hog, network
from .sampler import Sampler
if TYPE_CHECKING:
    from . import trainer
def late():
    with open("x"):
        from ...pipeline.shards import read
"""
    names = "pipeline.files model.data model.config model.ema model.estimator.hog "
    names += "model.estimator.network model.training.sampler model.training.trainer "
    names += "pipeline.shards pipeline.shards.read"
    found = imported(source, "model.training", names.split())
    assert found == set(names.split()) - {"model.training.trainer", "pipeline.shards"}
