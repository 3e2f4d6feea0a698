"""Match photographs to the entries of a table that names them.

A table may have been made on another machine, in another folder, or by another tool. So names are
compared without regard to letter case, to the form of Unicode characters, to the kind of slash and
to the ending of a file. An entry may belong to a photograph if the path of one is the end of the
other's: `celeba/1.jpg` to `/data/celeba/1.jpg`, `1.csv` to `celeba/1.jpg`. The one with the longest
common end is meant, and of several such the one with the same ending and the same letter case. What
this does not decide is ambiguous.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from .images import CLIP_SUFFIXES, decode

_ENDINGS = decode.SUFFIXES | CLIP_SUFFIXES | {".csv"}

Parts = tuple[str, ...]
"""The parts of a path as they are compared, without the ending."""
Rank = tuple[bool, int, bool, bool]
"""How well an entry names a photograph: whether the paths below the prepared folder are the same,
the number of parts in common, whether the ending is the same, and the letter case."""


class Ambiguous(Exception):
    """The entry that may be meant belongs to several photographs, or several entries may be meant.
    The message names one."""


@dataclass(frozen=True)
class _Path:
    """A photograph's path below the prepared folder, or an entry."""

    text: str
    """As it was given."""
    parts: Parts
    name: str
    """The last part, with its letter case and ending."""
    ending: str
    """Of a picture, a clip or a CSV, in lower case; otherwise empty."""

    @classmethod
    def of(cls, text: str) -> "_Path":
        path = unicodedata.normalize("NFC", text.strip().replace("\\", "/"))
        parts: list[str] = []
        for part in path.split("/"):
            if part == ".." and parts:
                parts.pop()
            elif part not in ("", ".", ".."):
                parts.append(part)
        name = parts.pop() if parts else ""
        ending = PurePosixPath(name).suffix.lower()
        ending = ending if ending in _ENDINGS else ""
        stem = name[: len(name) - len(ending)]
        return cls(text, tuple(part.casefold() for part in (*parts, stem)), name, ending)


class PhotographMatcher:
    """Finds the entry of a photograph in a table."""

    def __init__(
        self, photographs: Iterable[str], entries: Iterable[str], folder: str | None = None
    ) -> None:
        """photographs: the path of each photograph below the prepared folder, as in `source`.
        entries: the names in the table.
        folder: the prepared folder; None if it is not known."""
        parent = _Path.of(folder) if folder else None
        # A folder's name may have a dot: the part before an ending alone would not do.
        self._outer: Parts = (
            (*parent.parts[:-1], parent.name.casefold()) if parent is not None else ()
        )
        self._photographs = {text: _Path.of(text) for text in photographs}
        self._photographs_ending = _by_ends(
            (path, range(1, len(path.parts) + 1)) for path in self._photographs.values()
        )
        depths = {len(path.parts) for path in self._photographs.values()}
        paths = [self._stripped(_Path.of(text)) for text in dict.fromkeys(entries)]
        self._entries_ending = _by_ends((path, depths) for path in paths)
        self._entries_whole = _by_ends((path, [len(path.parts)]) for path in paths)
        self._photographs_whole = _by_ends(
            (path, [len(path.parts)]) for path in self._photographs.values()
        )
        self._telling = self._telling_folders()
        self._owners: dict[str, list[_Path]] = {}

    def find(self, photograph: str) -> str | None:
        """Return the entry of a photograph, None if there is none. Raises Ambiguous."""
        one = self._photographs.get(photograph)
        if one is None:
            return None
        entries = list(self._entries_ending.get(one.parts, []))
        for depth in range(1, len(one.parts)):
            entries += self._entries_whole.get(one.parts[-depth:], [])
        if not entries:
            return None
        ranks = [self._rank(one, entry) for entry in entries]
        best = max(ranks)
        first, *others = [entry for rank, entry in zip(ranks, entries, strict=True) if rank == best]
        if others:
            raise Ambiguous(f"may be {first.text} or {others[0].text}")
        if self._owners_of(first) != [one]:
            raise Ambiguous(f"{first.text} may belong to another photograph of that name")
        front = first.parts[: -len(one.parts)]
        if front in self._telling and front[-1:] != self._outer[-1:]:
            raise Ambiguous(f"{first.text} may belong to a photograph of another folder")
        return first.text

    def _stripped(self, entry: _Path) -> _Path:
        """An entry without the prepared folder in front."""
        outer = len(self._outer)
        if not outer or len(entry.parts) <= outer or entry.parts[:outer] != self._outer:
            return entry
        return _Path(entry.text, entry.parts[outer:], entry.name, entry.ending)

    def _owners_of(self, entry: _Path) -> list[_Path]:
        """The photographs that an entry names best."""
        if entry.text not in self._owners:
            photographs = list(self._photographs_ending.get(entry.parts, []))
            for depth in range(1, len(entry.parts)):
                photographs += self._photographs_whole.get(entry.parts[-depth:], [])
            ranks = [self._rank(photograph, entry) for photograph in photographs]
            best = max(ranks)
            self._owners[entry.text] = [
                photograph
                for rank, photograph in zip(ranks, photographs, strict=True)
                if rank == best
            ]
        return self._owners[entry.text]

    def _rank(self, photograph: _Path, entry: _Path) -> Rank:
        common = 0
        whole = self._outer + photograph.parts
        for one, other in zip(reversed(whole), reversed(entry.parts), strict=False):
            if one != other:
                break
            common += 1
        return (
            photograph.parts == entry.parts,
            common,
            photograph.ending == entry.ending,
            photograph.name == entry.name,
        )

    def _telling_folders(self) -> set[Parts]:
        """What stands in front of names in entries where nothing else tells these entries apart.

        Such folders are not to be left out: 1/a.jpg and 2/a.jpg are different photographs.
        """
        telling: set[Parts] = set()
        for end, entries in self._entries_ending.items():
            fronts = {entry.parts[: -len(end)] for entry in entries}
            if len(fronts) > 1:
                telling |= fronts
        return telling - {()}


def _by_ends(paths: Iterable[tuple[_Path, Iterable[int]]]) -> dict[Parts, list[_Path]]:
    """Paths by their last parts, of the given numbers of parts."""
    by_end: dict[Parts, list[_Path]] = defaultdict(list)
    for path, depths in paths:
        for depth in depths:
            if 0 < depth <= len(path.parts):
                by_end[path.parts[-depth:]].append(path)
    return by_end


def entry_path(name: str) -> str:
    r"""Return the path in a table with slashes, as in `source`: `a\b.jpg` becomes `a/b.jpg`."""
    return str(PurePosixPath(name.strip().replace("\\", "/")))
