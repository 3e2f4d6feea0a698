"""Which photographs a command reads, and the file that each of them gives."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from ..errors import NothingUsable, WrongUse
from . import STANDARD
from .decode import SUFFIXES
from .write import FORMATS

_ADDED = "-animated"


@dataclass(frozen=True)
class Job:
    """A photograph, and the file that is made of it."""

    source: Path | None
    """None: standard input."""
    target: Path | None
    """None: standard output."""
    done: bool = False
    """Whether the file exists, and is to stay as it is."""


def plan(
    sources: Sequence[str], output: str | None, out_dir: Path | None, overwrite: bool
) -> list[Job]:
    """Decide what is made of each photograph; `sources` are files, folders or `-`.

    output: of a single photograph; None: `NAME-animated.png`, or standard output for standard
        input. out_dir: the folder for several, in which they keep their names, and which is not
        searched for photographs.

    Raises WrongUse if a source is not there or the options do not fit, if the output is one of the
    sources, or exists and may not be replaced; and NothingUsable if folders hold no photograph. Of
    several, files that exist are jobs that are done.
    """
    if output is not None and out_dir is not None:
        raise WrongUse("-o names one file and --out-dir a folder: give one of them.")
    found = [pair for source in sources for pair in _photographs(source, out_dir)]
    if not found:
        raise NothingUsable(f"There is no photograph in {', '.join(sources)}.")
    if out_dir is None:
        if len(found) > 1 or Path(sources[0]).is_dir():
            raise WrongUse("Several photographs need --out-dir, the folder for the results.")
        return [_single(found[0][0], output, overwrite)]
    if _exists(out_dir) and not out_dir.is_dir():
        raise WrongUse(f"--out-dir {out_dir} is a file: name a folder.")
    return list(_several(found, out_dir, overwrite))


def _photographs(source: str, out_dir: Path | None) -> Iterator[tuple[Path | None, Path]]:
    """The photographs of a source, each with its place below the folder for results."""
    if source == STANDARD:
        yield None, Path("standard-input.png")
        return
    path = Path(source)
    if not _exists(path):
        raise WrongUse(f"{source} is not there. Name a photograph, or a folder of them.")
    if not path.is_dir():
        yield path, Path(path.name)
        return
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".")
            and not (out_dir is not None and _same(out_dir, Path(folder, name)))
        )
        for name in sorted(names):
            file = Path(folder, name)
            if file.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield file, file.relative_to(path)


def _single(source: Path | None, output: str | None, overwrite: bool) -> Job:
    if output == STANDARD or (output is None and source is None):
        return Job(source, None)
    target = Path(output or f"{source.stem if source else ''}{_ADDED}.png")
    if output is None and len(os.fsencode(target.name)) > 255:
        raise WrongUse(f"{target} is too long for the name of a file: name one with -o.")
    if source is not None and _same(source, target):
        raise WrongUse(f"{target} is the photograph itself: name another file with -o.")
    if _exists(target) and not overwrite:
        raise WrongUse(f"{target} exists already: name another file, or give --overwrite.")
    return Job(source, target)


def _several(
    found: Sequence[tuple[Path | None, Path]], out_dir: Path, overwrite: bool
) -> Iterator[Job]:
    sources = {path.resolve() for path, _ in found if path is not None}
    taken: set[str] = set()
    for source, place in found:
        target = out_dir / place
        if target.suffix.lower() not in FORMATS:
            target = target.with_suffix(".png")
        names = chain(
            [target, target.with_name(f"{place.name}.png")],  # face.heic and face.png
            (target.with_name(f"{place.name}.{number}.png") for number in count(2)),
        )
        # Some file systems take A.png and a.png for one file.
        target = next(name for name in names if str(name).casefold() not in taken)
        taken.add(str(target).casefold())
        if target.resolve() in sources:
            raise WrongUse(f"{target} is one of the photographs: name another --out-dir.")
        yield Job(source, target, done=_exists(target) and not overwrite)


def _same(source: Path, target: Path) -> bool:
    try:
        return source.samefile(target)
    except OSError:  # there is no such target
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False
