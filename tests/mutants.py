"""Deliberate faults in the objective, and the tests that catch them.

    python tests/mutants.py [--only WORD]

Each fault of mutants.txt replaces one piece of source in a temporary copy of the package, and the
fast tests of the objective run against the copy until the first fails. The table is printed as
Markdown, with the test that caught each fault; docs/mutants.md keeps it. The exit status is 1 if a
fault survives, if its piece of source does not stand exactly once in its file, or if the tests fail
without a fault.

torch and the other libraries are imported once: each run is a fork of this process.
"""

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
FAST = ("test_losses.py", "test_sampler.py", "test_objective.py")
"""The tests that are run, in this order."""
SECONDS = 60
"""Of processor time: a fault that is not caught in so many has survived."""


class Mutant(NamedTuple):
    """A fault: `old` in the file `path` is replaced by `new`."""

    what: str
    path: str
    old: str
    new: str

    def problem(self) -> str | None:
        """Why it cannot be applied to the sources as they are, if it cannot."""
        count = (ROOT / self.path).read_text().count(self.old)
        return None if count == 1 else f"{self.what}: found {count} times in {self.path}"


def read_mutants() -> list[Mutant]:
    """The faults of mutants.txt."""
    mutants = []
    _, *files = (TESTS / "mutants.txt").read_text().split("\n== ")
    for file in files:
        path, *faults = file.split("\n# ")
        for fault in faults:
            what, *lines = fault.strip("\n").split("\n")
            old, new = (
                "\n".join(line[1:] for line in lines if line.startswith(sign)) for sign in "-+"
            )
            mutants.append(Mutant(what, path.strip(), old, new))
    return mutants


class _FirstFailure:
    """A pytest plugin that keeps the name of the first test that failed."""

    name = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid.split("::", 1)[1]


def run(mutant: Mutant | None) -> tuple[str, float]:
    """Run the tests against the package with a fault, or without.

    Returns the test that failed, empty if all passed, and the processor seconds it took. Raises
    RuntimeError if the tests could not be run, or took too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        package = copy_of_package(Path(folder))
        if mutant is not None:
            path = package / mutant.path
            source = path.read_text()
            path.unlink()  # a link to the original
            path.write_text(source.replace(mutant.old, mutant.new))
        told = Path(folder) / "told"
        pid = os.fork()
        if pid == 0:
            _run_tests(Path(folder), told)
        _, status, used = os.wait4(pid, 0)
        status = os.waitstatus_to_exitcode(status)
        if status not in (0, 1):
            output = (Path(folder) / "output").read_text()
            raise RuntimeError(f"The tests ended with status {status}:\n{output}")
        return told.read_text(), used.ru_utime + used.ru_stime


def copy_of_package(folder: Path) -> Path:
    """`folder/ganim`: the package as links to its files."""
    package = folder / "ganim"
    package.mkdir()
    for name in ("model", "pipeline"):
        shutil.copytree(ROOT / name, package / name, copy_function=os.symlink)
    for name in ("__init__.py", "cli.py"):
        (package / name).symlink_to(ROOT / name)
    return package


def _run_tests(folder: Path, told: Path) -> None:
    """In a child process, which it ends: 0 if the tests pass, 1 if one fails, else another."""
    status = 3
    try:
        output = os.open(folder / "output", os.O_CREAT | os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        sys.path.insert(0, str(folder))
        first = _FirstFailure()
        options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'tmp'}"]
        status = pytest.main([*options, *(str(TESTS / name) for name in FAST)], [first])
        import ganim

        assert Path(ganim.__file__).parent == folder / "ganim", "the copy is what was tested"
        told.write_text(first.name)
    finally:
        sys.stdout.flush()
        os._exit(status)


def import_libraries() -> None:
    """Import what the package needs and use it once, and forget the package itself."""
    import torch

    torch.set_num_threads(1)  # threads would not survive a fork
    sys.path.insert(0, str(TESTS))
    from tiny import TINY, smooth_faces

    from ganim.model.training.trainer import Trainer

    Trainer(TINY, smooth_faces(4, 64), torch.device("cpu")).step()
    for name in list(sys.modules):
        if name.split(".")[0] in ("ganim", "tiny", "reference"):
            del sys.modules[name]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="Faults whose description contains this.")
    only = parser.parse_args().only
    mutants = read_mutants()
    problems = [problem for mutant in mutants if (problem := mutant.problem())]
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    os.environ["OMP_NUM_THREADS"] = "1"
    began = time.monotonic()
    import_libraries()
    failed, seconds = run(None)
    if failed:
        print(f"Without a fault {failed} fails.", file=sys.stderr)
        return 1
    without = total = seconds
    chosen = [mutant for mutant in mutants if only in mutant.what]
    caught, longest = 0, 0.0
    print("| fault | file | caught by | processor seconds |\n| --- | --- | --- | --- |")
    for mutant in chosen:
        try:
            failed, seconds = run(mutant)
        except RuntimeError as error:
            print(f"{mutant.what}: {error}", file=sys.stderr)
            failed, seconds = "", 0.0
        caught += bool(failed)
        longest, total = max(longest, seconds), total + seconds
        by = f"`{failed}`" if failed else "**survived**"
        print(f"| {mutant.what} | {Path(mutant.path).name} | {by} | {seconds:.1f} |", flush=True)
    print(
        f"\n{caught} of {len(chosen)} faults are caught, in {total:.0f} seconds of processor time "
        f"({time.monotonic() - began:.0f} of the clock). The longest took {longest:.1f}, the tests "
        f"without a fault {without:.1f}."
    )
    return int(caught < len(chosen))


if __name__ == "__main__":
    sys.exit(main())
