"""A second look at faces that have answers: which shards it has done survives a stop.

A shard tells what is annotated, not what is annotated *again*. So while `--overwrite` or
`--redo-below` goes over a folder, a file beside the shards names those it has done, and the same
command, stopped and started again, goes on after them.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import WrongUse
from ..files import write_whole

NOTE = "annotating.json"


@dataclass
class Redo:
    """Which faces that have answers are to be read again. `begin` makes one."""

    annotator: str
    overwrite: bool = False
    """All of them, whoever read them."""
    below: float | None = None
    """Those read with less confidence (0-1), and those the annotator had no AUs for."""
    note: Path | None = None
    done: list[str] = field(default_factory=list)
    """The shards this pass has finished, by name."""

    def asks_for(self, shard: Path, has_aus: bool, confidence: float | None) -> bool:
        """Whether a face of a shard that has an answer is to be read again."""
        if shard.name in self.done:
            return False
        if self.overwrite:
            return True
        if self.below is None:
            return False
        return not has_aus or (confidence is not None and confidence < self.below)

    def finished(self, shard: Path) -> None:
        """Note that a shard is done."""
        if self.note is not None:
            self.done.append(shard.name)
            self._write()

    def end(self) -> None:
        """The pass is over: nothing is left to go on with."""
        if self.note is not None:
            self.note.unlink(missing_ok=True)

    def _write(self) -> None:
        assert self.note is not None
        text = json.dumps(
            {
                "annotator": self.annotator,
                "overwrite": self.overwrite,
                "redo_below": self.below,
                "done": self.done,
            },
            indent=1,
        )
        write_whole(self.note, lambda beside: beside.write_text(text))


def begin(folder: Path, annotator: str, overwrite: bool, below: float | None) -> Redo:
    """The pass that is asked for, begun anew or where the same one was stopped."""
    if not overwrite and below is None:
        return Redo(annotator)
    redo = Redo(annotator, overwrite, below, folder / NOTE)
    earlier = read_note(folder)
    asked = {"annotator": annotator, "overwrite": overwrite, "redo_below": below}
    if earlier is not None and asked.items() <= earlier.items():
        redo.done = [str(name) for name in earlier.get("done", [])]
    redo._write()
    return redo


def read_note(folder: Path) -> dict | None:
    """What a stopped pass left, if one was stopped. Raises WrongUse for a damaged file."""
    path = folder / NOTE
    if not path.exists():
        return None
    try:
        note = json.loads(path.read_text())
        if isinstance(note, dict):
            return note
    except ValueError:
        pass
    raise WrongUse(f"{path} is damaged. Delete it, and begin again with --overwrite.")
