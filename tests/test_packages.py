"""The package as it is installed: what it lists, and what its parts import."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
TOPS = [path.parent for path in ROOT.glob("*/__init__.py")]
FOLDERS = [path.parent for top in TOPS for path in top.rglob("__init__.py")]


def name_of(folder: Path) -> str:
    return ".".join(["ganim", *folder.relative_to(ROOT).parts])


def test_every_package_is_listed() -> None:
    assert {"commands", "model", "pipeline", "studio"} == {top.name for top in TOPS}
    assert SETUPTOOLS["packages"] == ["ganim", *sorted(name_of(folder) for folder in FOLDERS)]


def test_every_other_file_is_package_data() -> None:
    """Patterns apply within each package; * does not match across folders."""
    patterns = SETUPTOOLS["package-data"]["*"]
    covered = {path for folder in FOLDERS for one in patterns for path in folder.glob(one)}
    files = {path for top in TOPS for path in top.rglob("*") if path.is_file()}
    data = {path for path in files if path.suffix != ".py" and path.parent.name != "__pycache__"}
    assert data == covered
    names = {path.name for path in data}
    assert {"page.html.j2", "generator.safetensors", "self_test.jpg"} <= names
    code = {path.parent for path in files if path.suffix == ".py"}
    assert code == set(FOLDERS), "a folder of code without an __init__.py is in no package"


LAYERS = ["pipeline", "model", "studio", "commands"]


@pytest.mark.parametrize("layer", LAYERS[:3])
def test_imports_run_from_commands_to_studio_to_model_to_pipeline(layer: str) -> None:
    later = {f"ganim.{name}" for name in LAYERS[LAYERS.index(layer) + 1 :]} | {"ganim.cli"}
    files = sorted((ROOT / layer).rglob("*.py"))
    assert files
    for path in files:
        package = ["ganim", *path.parent.relative_to(ROOT).parts]
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            base = package[: len(package) - node.level + 1]
            imported = [*base, *(node.module or "").split(".")]
            names = {".".join([*filter(None, imported), one.name]) for one in node.names}
            wrong = [one for one in names if any(f"{one}.".startswith(f"{x}.") for x in later)]
            assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


UNWANTED = ("pandas", "pyarrow", "rich", "av", "distributed", "matplotlib", "onnxruntime")
ROOMS = ("pipeline.annotate", "pipeline.execution", "pipeline.shards", "pipeline.openface")
ROOMS += ("pipeline.prepare", "pipeline.report", "model.training", "model.evaluation", "model.data")


@pytest.mark.parametrize(
    "script",
    [
        "import ganim.model.networks.generator",
        "from ganim.cli import main; main({words}, standalone_mode=False)",
    ],
    ids=["generator", "animate"],
)
def test_to_animate_nothing_is_imported_that_is_not_needed(script: str, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    photograph = ROOT / "examples" / "astronaut.png"
    words = ["animate", str(photograph), "--au", "12=1.0", "-o", str(out)]
    script = script.format(words=words) + "\nimport sys\nprint('LOADED', *sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert out.exists() == ("animate" in script)
    loaded = done.stdout.partition("LOADED")[2].split()
    assert "ganim.model.networks.generator" in loaded and "torch" in loaded
    unwanted = [*UNWANTED, *(f"ganim.{room}" for room in ROOMS)]
    wrong = [one for one in loaded if any(f"{one}.".startswith(f"{x}.") for x in unwanted)]
    assert wrong == []
