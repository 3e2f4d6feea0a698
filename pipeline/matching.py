"""Match photographs to the entries of a table that names them.

An entry belongs to the photograph with the same path below the prepared folder, with or without
the suffix. An entry with a name only, such as `photo.jpg`, also belongs to a photograph in a
subfolder, but only if no other photograph has that name.
"""

from collections import Counter
from collections.abc import Container, Iterable
from pathlib import PurePosixPath


class Ambiguous(Exception):
    """The entry that may be meant belongs to several photographs. The message names it."""


class PhotographMatcher:
    """Finds the entry of a photograph in a table. Without the photographs of the whole set, only
    entries with a whole path match."""

    def __init__(self, photographs: Iterable[str] = ()) -> None:
        """photographs: the path of each photograph below the prepared folder, as in `source`."""
        # How many photographs have a path without suffix, and a name without folder and suffix.
        paths = [PurePosixPath(photograph) for photograph in set(photographs)]
        self._paths = Counter(str(path.with_suffix("")) for path in paths)
        self._names = Counter(path.stem for path in paths)

    def find(self, photograph: str, entries: Container[str]) -> str | None:
        """Return the entry of a photograph, None if there is none. Raises Ambiguous."""
        if photograph in entries:
            return photograph
        path = PurePosixPath(photograph)
        without_suffix = str(path.with_suffix(""))
        if without_suffix in entries:
            if self._paths[without_suffix] > 1:
                raise Ambiguous(f"{without_suffix} may belong to another photograph")
            return without_suffix
        for name in (path.name, path.stem):
            if name in entries and self._names[path.stem] == 1:
                return name
            if name in entries:
                raise Ambiguous(f"{name} may belong to another photograph of that name")
        return None


def entry_path(name: str) -> str:
    r"""Return the path in a table with slashes, as in `source`: `a\b.jpg` becomes `a/b.jpg`."""
    return str(PurePosixPath(name.replace("\\", "/")))
