"""What labels need to know of a shard set: its photographs, the faces in them, and its clips."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .. import shards
from ..prepare.names import file_of, seconds_of
from .label_faces import Box


@dataclass(frozen=True)
class Photographs:
    """The photographs of a shard set and the frames of its clips, by their `source`."""

    sources: Sequence[str]
    folder: str | None = None
    """The folder that was prepared; None if it is not known."""
    boxes: Mapping[str, list[Box]] = field(default_factory=dict)
    """The HOG boxes of the crops of each; none if the photograph has no crop."""
    frames: Mapping[str, int | None] = field(default_factory=dict)
    """The number of each frame in its clip, from 1; None if the set does not say."""

    @classmethod
    def of_shards(cls, folder: Path) -> "Photographs":
        """Read the photographs of a set. Raises WrongUse if a shard cannot be read."""
        boxes: dict[str, list[Box]] = defaultdict(list)
        frames: dict[str, int | None] = {}
        sources: dict[str, None] = {}
        for path in shards.shard_paths(folder):
            for row in shards.read_shard(path, ["source", "box", "frame"]).to_pylist():
                sources[row["source"]] = None
                if row["box"]:
                    boxes[row["source"]].append(tuple(row["box"]))
                if row["source"] != file_of(row["source"]):
                    frames[row["source"]] = row["frame"]
        manifest = shards.read_manifest(folder)
        prepared = manifest["settings"].get("source") if manifest else None
        return cls(list(sources), prepared, boxes, frames)

    @cached_property
    def names(self) -> list[str]:
        """The sources, and the names of the clips that frames are from."""
        return list(dict.fromkeys([*self.sources, *map(file_of, self.sources)]))

    @cached_property
    def crowded(self) -> set[str]:
        """The clips that have a frame with several crops."""
        return {
            file_of(source)
            for source, boxes in self.boxes.items()
            if len(boxes) > 1 and file_of(source) != source
        }

    @cached_property
    def times(self) -> Mapping[str, list[tuple[int, float]]]:
        """Number and time (s) of the known frames of each clip."""
        times: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for source, frame in self.frames.items():
            seconds = seconds_of(source)
            if frame is not None and seconds is not None:
                times[file_of(source)].append((frame, seconds))
        return times
