"""Annotating annotated faces again: which ones, and how far an interrupted pass has got.

The shards record which faces are annotated, but not which are annotated *again*. So while
`--overwrite` or `--redo-below` is under way, a file beside the shards lists the shards that are
finished, and the same command continues with the others after an interruption.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import WrongUse
from ..files import write_whole

PROGRESS_FILE = "annotating.json"


@dataclass
class Reannotation:
    """Which annotated faces are to be annotated again. `start` makes one."""

    annotator: str
    overwrite: bool = False
    """All faces, whichever annotator read them."""
    below: float | None = None
    """Faces with a lower confidence (0-1), and those without AUs."""
    file: Path | None = None
    """Where the progress is kept; None if no face is to be annotated again."""
    finished: list[str] = field(default_factory=list)
    """The names of the shards that this pass has finished."""

    def includes(self, shard: Path, has_aus: bool, confidence: float | None) -> bool:
        """Whether an annotated face of a shard is to be annotated again."""
        if shard.name in self.finished:
            return False
        if self.overwrite:
            return True
        if self.below is None:
            return False
        return not has_aus or (confidence is not None and confidence < self.below)

    def finish_shard(self, shard: Path) -> None:
        """Record that a shard is finished."""
        if self.file is not None:
            self.finished.append(shard.name)
            self._write(self.file)

    def finish(self) -> None:
        """Delete the progress file, as the pass is complete."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def _write(self, file: Path) -> None:
        state = _settings(self.annotator, self.overwrite, self.below) | {"done": self.finished}
        write_whole(file, lambda beside: beside.write_text(json.dumps(state, indent=1)))


def start(folder: Path, annotator: str, overwrite: bool, below: float | None) -> Reannotation:
    """Start a pass over the shards in `folder`, or continue an interrupted one of equal settings.

    Raises WrongUse if the progress file is damaged.
    """
    if not overwrite and below is None:
        return Reannotation(annotator)
    file = folder / PROGRESS_FILE
    reannotation = Reannotation(annotator, overwrite, below, file)
    interrupted = _read(file)
    if interrupted is not None:
        settings = _settings(annotator, overwrite, below)
        if settings.items() <= interrupted.items():
            reannotation.finished = [str(name) for name in interrupted.get("done", [])]
    reannotation._write(file)
    return reannotation


def _settings(annotator: str, overwrite: bool, below: float | None) -> dict:
    return {"annotator": annotator, "overwrite": overwrite, "redo_below": below}


def _read(file: Path) -> dict | None:
    """The progress file's content; None if there is no such file."""
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text())
        if isinstance(content, dict):
            return content
    except ValueError:
        pass
    raise WrongUse(f"{file} is damaged. Delete it, and start again with --overwrite.")
