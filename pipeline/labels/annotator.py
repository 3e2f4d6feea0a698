"""The annotator that looks up AUs which exist already, in a file or a folder of CSVs.

`matching` says which photograph a label belongs to, `faces` which face of it, and `clips` which
frame of a clip.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from ..annotator import Annotator, Crop, Reading
from ..errors import WrongUse
from ..matching import Ambiguous, PhotographMatcher
from ..openface.output import MIN_CONFIDENCE, FaceRecord, to_reading
from ..prepare.names import file_of, seconds_of
from .clips import ClipLabels, NoLabel
from .columns import BadLabels
from .faces import assign
from .files import LabelFile
from .photographs import Photographs
from .scales import Scale, clamp


class Labels(Annotator):
    """The annotator that looks up AUs. `Labels.load` makes one."""

    batch = 4096

    def __init__(
        self, file: LabelFile, photographs: Photographs, min_confidence: float = MIN_CONFIDENCE
    ) -> None:
        """Arguments as for `load`."""
        self.name = file.name
        self.min_confidence = min_confidence
        self.clamped = 0
        """Values slightly outside 0-5 that were read as 0 or 5."""
        self._file = file
        self._photographs = photographs
        self._matcher = PhotographMatcher(photographs.names, file.entries, photographs.folder)
        # Crops of one photograph or clip follow each other.
        self._records = lru_cache(maxsize=16)(file.faces_of)
        self._clip = lru_cache(maxsize=16)(self._labels_of_clip)

    @classmethod
    def load(
        cls,
        path: Path,
        photographs: Photographs,
        min_confidence: float = MIN_CONFIDENCE,
        scale: Scale | None = None,
    ) -> "Labels":
        """Load labels from a file or folder, as `LabelFile.load` does.

        photographs: those of the shard set.
        min_confidence: labels with a lower confidence (0-1) are read with an error.
        scale: of the AUs; None: that of the tool that wrote them, or 0-5.
        Raises WrongUse if the path does not exist or has another format, or if no photograph has a
        label.
        """
        labels = cls(LabelFile.load(path, scale), photographs, min_confidence)
        labels._check_names(path)
        return labels

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """Look up the AUs of crops: one reading per crop, in order, with an error if there is no
        label, if it may be another face's, or if its confidence is too low."""
        return [self._read(crop) for crop in crops]

    def summary(self, seconds: float) -> str:
        """How many values were clamped, and which AUs the labels do not have."""
        said = []
        if self.clamped:
            said.append(f"{self.clamped:,} values slightly outside 0 to 5 were clamped")
        if self._file.absent:
            said.append(f"the labels have no {self._file.absent_in_words()}")
        return "; ".join(said)

    def _check_names(self, path: Path) -> None:
        """Raise WrongUse if no photograph has a label, so that no row is written in vain."""
        photographs = self._photographs.names
        for photograph in photographs:
            try:
                if self._matcher.find(photograph) is not None:
                    return
            except Ambiguous:
                return
        if photographs:
            entry = next(iter(self._file.entries), None)
            raise WrongUse(
                f"{path} names none of the {len(photographs):,} photographs of the set. One of "
                f"these is {photographs[0]}, "
                + ("and the labels are empty." if entry is None else f"one of the labels {entry}.")
            )

    def _read(self, crop: Crop) -> Reading:
        try:
            face = self._face_of(crop)
        except (NoLabel, BadLabels) as reason:
            return Reading(None, error=str(reason))
        aus, count = clamp(face.aus)
        reading = to_reading(replace(face, aus=aus), self.min_confidence)
        if reading.aus is not None:
            self.clamped += count
        return reading

    def _face_of(self, crop: Crop) -> FaceRecord:
        """The label of a crop. Raises NoLabel."""
        boxes = self._photographs.boxes.get(crop.source) or [crop.box]
        seen = self._photographs.faces_in(crop.source)
        answers = assign(self._faces_of(crop), boxes, self.min_confidence, seen)
        answer = answers[boxes.index(crop.box)]
        if isinstance(answer, str):
            raise NoLabel(answer)
        return answer

    def _faces_of(self, crop: Crop) -> list[FaceRecord]:
        """The labels of the photograph or frame of a crop."""
        entry = self._entry(crop.source)
        clip, seconds = file_of(crop.source), seconds_of(crop.source)
        if entry is None and seconds is not None:
            entry = self._entry(clip)
            if entry is not None:
                frame = self._photographs.frames.get(crop.source)
                return self._clip(clip, entry).of_frame(frame, seconds)
        if entry is None:
            raise NoLabel("no label for this photograph")
        faces = self._records(entry)
        if not self._file.has_names and len({face.frame for face in faces}) > 1:
            raise NoLabel("its CSV is of a clip, not of a photograph")
        return faces

    def _labels_of_clip(self, clip: str, entry: str) -> ClipLabels:
        known = self._photographs
        return ClipLabels(self._records(entry), known.times.get(clip, []), clip in known.crowded)

    def _entry(self, source: str) -> str | None:
        try:
            return self._matcher.find(source)
        except Ambiguous as reason:
            raise NoLabel(f"the label {reason}") from reason
