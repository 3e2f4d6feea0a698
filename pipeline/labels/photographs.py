"""What labels need to know of a shard set: its photographs, the faces in them, and its clips."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .. import shards
from ..prepare.names import file_of, seconds_of
from .faces import Box

_MISTAKEN = 0.05
"""The share of frames in which the detector may see a face where there is none."""


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
    seen: Mapping[str, int] = field(default_factory=dict)
    """How many faces the detector saw in each, crops or not, where the set says it."""

    @classmethod
    def of_shards(cls, folder: Path) -> "Photographs":
        """Read the photographs of a set. Raises WrongUse if a shard cannot be read."""
        boxes: dict[str, list[Box]] = defaultdict(list)
        seen: dict[str, int] = {}
        frames: dict[str, int | None] = {}
        sources: dict[str, None] = {}
        for path in shards.shard_paths(folder):
            columns = ["source", "box", "frame", "faces_seen"]
            for row in shards.read_shard(path, columns).to_pylist():
                sources[row["source"]] = None
                if row["box"]:
                    boxes[row["source"]].append(tuple(row["box"]))
                if row["faces_seen"] is not None:
                    seen[row["source"]] = row["faces_seen"]
                if row["source"] != file_of(row["source"]):
                    frames[row["source"]] = row["frame"]
        manifest = shards.read_manifest(folder)
        prepared = manifest["settings"].get("source") if manifest else None
        return cls(list(sources), prepared, boxes, frames, seen)

    def faces_in(self, source: str) -> int:
        """How many faces a photograph or frame shows, as far as is known."""
        return max(self.seen.get(source, 0), len(self.boxes.get(source, ())))

    @cached_property
    def names(self) -> list[str]:
        """The sources, and the names of the clips that frames are from."""
        return list(dict.fromkeys([*self.sources, *map(file_of, self.sources)]))

    @cached_property
    def crowded(self) -> set[str]:
        """The clips that show several persons: in a frame with several crops, or in more frames
        than the detector is likely to have mistaken something for a face in."""
        frames: Counter[str] = Counter()
        several: Counter[str] = Counter()
        crowded: set[str] = set()
        for source, boxes in self.boxes.items():
            clip = file_of(source)
            if clip != source:
                frames[clip] += 1
                several[clip] += self.faces_in(source) > 1
                crowded |= {clip} if len(boxes) > 1 else set()
        return crowded | {clip for clip in frames if several[clip] > _MISTAKEN * frames[clip]}

    @cached_property
    def times(self) -> Mapping[str, list[tuple[int, float]]]:
        """Number and time (s) of the known frames of each clip."""
        times: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for source, frame in self.frames.items():
            seconds = seconds_of(source)
            if frame is not None and seconds is not None:
                times[file_of(source)].append((frame, seconds))
        return times
